/** The only process, killed under load, with a million sessions of 100,000 people in the embedded store. */
import { keyRingsOf } from '../../test/support/key-rings.ts'
import { readFileSync } from 'node:fs'
import { get } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import type { Group } from '../../src/directory/model.ts'
import { createDirectoryTable, type DirectoryRecord } from '../../src/directory/records.ts'
import { randomId } from '../../src/lib/crypto.ts'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { silentLogger as logger } from '../../src/lib/log.ts'
import { personKey } from '../../src/lib/person.ts'
import { asSourceTime, later } from '../../src/lib/time.ts'
import { createSessions } from '../../src/session/sessions.ts'
import { sessionsTable } from '../../src/session/tables.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import type { Identity, Store, Table } from '../../src/types.ts'
import type { Session } from '../../src/session/model.ts'
import { ENGINEERING, type Deployment, SHARED_SECRET, startDeployment } from './deployment.ts'
import { startLoad } from './load.ts'
import type { Program } from './program.ts'

const SESSIONS = 1_000_000
const PEOPLE = 100_000
/** Whose cookies are tried afterwards. */
const SAMPLES = 20
const HOST = new URL(ENGINEERING).host
/** In one transaction. */
const BATCH = 5000
const TICKS_PER_SECOND = 100

/** Writes `count` records at the speed of the disk. */
async function fill<T>(store: Store, table: Table<T>, count: number, make: (n: number) => readonly [string, T]) {
  for (let from = 0; from < count; from += BATCH) {
    const batch = new Map(Array.from({ length: BATCH }, (_, i) => make(from + i)))
    await store.write(table, batch, { table, key: 'none', version: 0 })
  }
}

const GROUPS: readonly Group[] = ['Everyone', 'Engineering'].map((name) => ({
  id: `00g${name}`,
  name,
  type: 'OKTA_GROUP',
}))

/** The cookies of some of the sessions. */
async function fillStore(path: string, issuer: string): Promise<readonly string[]> {
  // Nobody listens, and an idle look at the changes would only cost time.
  const store = openLmdbStore({ path, clock, logger })
  const sessions = createSessions({ store, clock, audit: () => {}, keyRings: keyRingsOf(SHARED_SECRET) })
  const now = clock.now()
  const expiresAt = later(now, 14 * 3_600_000)
  const identityOf = (n: number): Identity => {
    const subject = `00u${n % PEOPLE}`
    const email = `person${n % PEOPLE}@example.com`
    return { issuer, subject, email, claims: { sub: subject, email, name: 'Somebody' } }
  }
  await fill<DirectoryRecord>(store, createDirectoryTable(), PEOPLE, (n) => [
    personKey(identityOf(n)),
    {
      source: 'okta',
      status: 'active',
      statusText: 'ACTIVE',
      groups: GROUPS,
      asOf: asSourceTime(now),
      readAt: now,
    },
  ])
  await fill(store, sessionsTable, SESSIONS, (n) => {
    const identity = identityOf(n)
    const session: Session = {
      id: randomId(),
      person: personKey(identity),
      identity,
      createdAt: now,
      signedInAt: now,
      lastSeenAt: now,
      expiresAt,
      // As long as a sealed ID token and refresh token are.
      sealedTokens: 'x'.repeat(1200),
    }
    return [session.id, session]
  })
  const cookies: string[] = []
  for (let n = 0; n < SAMPLES; n++) {
    const { id } = await sessions.create(identityOf(n * 4001), { idToken: 'a.b.c' }, expiresAt)
    cookies.push(`postern=${sessions.cookieValue(id, 'postern', HOST)}`)
  }
  sessions.close()
  await store.close()
  return cookies
}

function ask(port: number, cookie: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const headers = { host: HOST, cookie, accept: 'application/json' }
    get({ host: '127.0.0.1', port, path: '/', agent: false, headers }, (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    }).on('error', reject)
  })
}

/** Seconds of CPU time since its start: what it takes alone on the machine, too. */
function cpuSeconds({ pid }: Program): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

test('a killed process answers again within two seconds, and nobody has lost a session', async () => {
  let cookies: readonly string[] = []
  const deployment: Deployment = await startDeployment({
    count: 1,
    storage: (folder) => ({ type: 'embedded', path: `${folder}/store` }),
    prepare: async (folder, issuer) => void (cookies = await fillStore(`${folder}/store`, issuer)),
  })
  onTestFinished(() => deployment.close())
  const [first] = deployment.replicas as readonly [Program]
  const answersOf = (port: number) => Promise.all(cookies.map((cookie) => ask(port, cookie)))
  expect(new Set(await answersOf(first.port))).toEqual(new Set([200]))

  const busy = startLoad({ port: deployment.balancer.port, host: HOST, cookie: cookies[0] ?? '' })
  // While people sign in, too: what was answered is stored.
  const alice = deployment.browser()
  expect((await deployment.signIn(alice, 'alice@example.com', `${ENGINEERING}/`)).status).toBe(200)
  await first.kill()
  const again = await deployment.replace(first)
  expect(await ask(again.port, cookies[1] ?? '')).toBe(200)
  expect(cpuSeconds(again)).toBeLessThan(2)
  expect(new Set(await answersOf(again.port))).toEqual(new Set([200]))
  await deployment.untilReady(1)
  expect((await alice.ask(`${ENGINEERING}/`)).status).toBe(200)
  await busy.stop()
  expect([...busy.answered().keys()]).toEqual([200])
}, 900_000)
