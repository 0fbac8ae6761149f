import { createKeyRings } from '../../src/lib/key-ring.ts'
import { createFeedTable } from '../../src/directory/okta/position.ts'
import { createDirectoryTable } from '../../src/directory/records.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { createSessions } from '../../src/session/sessions.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Config } from '../../src/config/model.ts'
import type { Group } from '../../src/directory/model.ts'
import type { Store } from '../../src/types.ts'
import { each } from './http.ts'
import { groupName, type Person } from './org.ts'
import { asSourceTime, earlier, later } from '../../src/lib/time.ts'
import { personKey } from '../../src/lib/person.ts'

const HOUR = 3_600_000
const PARALLEL = 64
/** How long the sessions have been there: they began after the feed did. */
const AGE = 60_000

/**
 * What a Postern that has run for a while leaves in its store: a session and a reading for each of these people, and the
 * position of a feed that has nothing to repair. Gives the session ids by person.
 */
export async function seedStore(
  config: Config,
  org: string,
  people: readonly Person[],
): Promise<ReadonlyMap<string, string>> {
  const clock = systemClock
  const store = open(config)
  const sessions = createSessions({
    store,
    clock,
    keyRings: createKeyRings(() => config.live.credentials.sharedSecrets),
    audit: () => {},
  })
  const directory = createDirectoryTable()
  const readAt = clock.now()
  const ids = new Map<string, string>()
  try {
    await each(people, PARALLEL, async ({ id, login, groups }) => {
      const identity = { issuer: org, subject: id, email: login, name: login, claims: { sub: id, email: login } }
      const session = await sessions.create(identity, { idToken: 'e30.e30.e30' }, later(readAt, 12 * HOUR))
      ids.set(id, session.id)
      const record = {
        source: 'okta',
        status: 'active',
        statusText: 'ACTIVE',
        groups: [EVERYONE, ...groups.map(groupOf)],
        asOf: earlier(asSourceTime(readAt), 2000),
        readAt,
      } as const
      await store.put(directory, personKey(identity), record, { expiresAt: later(readAt, 24 * HOUR) })
    })
    const position = {
      cursor: undefined,
      lastPublished: asSourceTime(readAt),
      since: earlier(readAt, AGE),
      upTo: readAt,
      comparisonDue: false,
    }
    await store.put(createFeedTable(), org, position)
  } finally {
    sessions.close()
    await store.close()
  }
  return ids
}

/** A process that is killed keeps the lease of the feed for half a minute, which a loop of kills has no time for. */
export async function expireLease(config: Config): Promise<void> {
  const store = open(config)
  await store.delete({ name: 'leases', parse: () => undefined }, 'directory-feed')
  await store.close()
}

function open({ fixed: { storage } }: Config): Store {
  if (storage.kind !== 'embedded') throw new TypeError('bench: the embedded store is meant')
  return openLmdbStore({ path: storage.path, clock: systemClock, logger: silentLogger })
}

const EVERYONE: Group = { id: DEMO.groups.everyone, name: 'Everyone', type: 'BUILT_IN' }

function groupOf(id: string): Group {
  return { id, name: groupName(id), type: Number(id.slice(-1)) === 9 ? 'APP_GROUP' : 'OKTA_GROUP' }
}
