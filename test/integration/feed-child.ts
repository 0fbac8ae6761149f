import { createInterface } from 'node:readline'
import { createLeadership } from '../../src/directory/leadership.ts'
import { createDirectory } from '../../src/directory/directory.ts'
import { createOktaClient } from '../../src/directory/okta/client.ts'
import { createOktaFeed } from '../../src/directory/okta/feed.ts'
import { createOktaSource } from '../../src/directory/okta/source.ts'
import { systemClock as clock } from '../../src/lib/clock.ts'
import { silentLogger as logger } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import type { DirectoryConfig } from '../../src/config/model.ts'
import { ISSUER, person } from '../support/person.ts'

/** Follows an Okta until it is killed. Takes lines `read USER` and `show USER`, and answers each with the person's groups. */
export async function main(path: string, origin: string, token: string): Promise<void> {
  const credentials = { kind: 'token', token: new Secret(token) } as const
  const config: DirectoryConfig = {
    kind: 'okta',
    url: new URL(origin),
    credentials,
    budget: 1,
    timeout: 5000,
    logInterval: 30,
    refreshInterval: 3_600_000,
    maxStaleness: 24 * 3_600_000,
    signInTimeout: 5000,
    order: ['okta'],
  }
  const store = openLmdbStore({ path, clock, logger })
  const client = createOktaClient({ origin, credentials, clock, timeout: 5000, budget: 1 })
  const source = createOktaSource({ client, clock, logger })
  const directory = createDirectory({ issuer: ISSUER, source, store, clock, config, logger })
  await directory.start()
  const leadership = createLeadership({ store, clock, logger, name: 'directory-feed', ttl: 200 })
  await leadership.start()
  const feed = createOktaFeed({
    client,
    directory,
    store,
    clock,
    logger,
    org: origin,
    apps: ['0oaapp'],
    interval: 30,
    refreshInterval: 3_600_000,
    leadership,
    wanted: () => [],
  })
  feed.start()
  process.stdout.write('ready\n')
  for await (const line of createInterface({ input: process.stdin })) {
    const [what, user = ''] = line.split(' ')
    if (what === 'read') await directory.refresh(person(user), new AbortController().signal)
    const membership = directory.membership(person(user))
    const names = membership === 'unknown' ? ['unknown'] : membership.groups.map(({ name }) => name).toSorted()
    process.stdout.write(`${names.join(',')}\n`)
  }
}
