/** The command line sees people as fresh as the running directory does: by what the feed covers, not by the reading alone. */
import { createServer, type Server } from 'node:http'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { createFeedTable } from '../../src/directory/okta/position.ts'
import { createDirectoryTable, type DirectoryRecord } from '../../src/directory/records.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { personKey } from '../../src/lib/person.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import { cli, type Ran } from '../support/cli.ts'
import { manualClock } from '../support/clock.ts'
import { listenOn, portOf } from '../support/world.ts'

const OKTA = 'https://corp.okta.com'
const USER = '00u1emaK22TWRYd3TtG'
const ENGINEERING = { id: '00g1emaKYZTWRYYRRTSK', name: 'Engineering', type: 'OKTA_GROUP' } as const
const SECONDS = 1000
const HOURS = 3_600_000

const clock = manualClock()
const now = clock.now()
let folder = ''
let metrics: Server | undefined
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-fresh-'))
})
afterEach(async () => {
  if (metrics) await new Promise((resolve) => metrics?.close(resolve))
  metrics = undefined
  rmSync(folder, { recursive: true })
})

/** What a running Postern has left in the store; `lag`: since the feed was at its end, `since`: what it covers. */
async function leave(
  person: Partial<DirectoryRecord>,
  feed: { readonly lag: number; readonly since: number } | undefined,
): Promise<void> {
  const store = openLmdbStore({ path: join(folder, 'store'), clock, logger: silentLogger })
  const readAt = now - 2 * HOURS
  const record: DirectoryRecord = {
    source: 'okta',
    status: 'active',
    statusText: 'ACTIVE',
    groups: [ENGINEERING],
    asOf: readAt - 2 * SECONDS,
    readAt,
    ...person,
  }
  await store.put(createDirectoryTable(), personKey({ issuer: OKTA, subject: USER }), record)
  if (feed) {
    await store.put(createFeedTable(), OKTA, {
      cursor: undefined,
      lastPublished: now - 60 * SECONDS,
      since: feed.since,
      upTo: now - feed.lag,
      comparisonDue: false,
    })
  }
  await store.close()
}

function run(args: readonly string[], changes: object = {}): Promise<Ran> {
  const file = join(folder, 'config.yaml')
  const settings = {
    authenticate_service_url: 'https://authenticate.corp.example',
    insecure_server: true,
    shared_secret: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    idp_provider_url: OKTA,
    idp_client_id: '0oa1',
    idp_client_secret: 'the-client-secret',
    idp_service_account: '00an-api-token-that-opens-nothing',
    storage: { type: 'embedded', path: join(folder, 'store') },
    routes: [{ from: 'https://wiki.corp.example', to: 'http://wiki:8080', allowed_groups: ['Engineering'] }],
    ...changes,
  }
  writeFileSync(file, stringify(settings))
  return cli([...args, '--config', file], { clock })
}
const show = (changes?: object): Promise<Ran> => run(['groups', 'show', USER], changes)
const explain = async (changes?: object): Promise<string | undefined> =>
  (await run(['explain', '--url', 'https://wiki.corp.example/', '--user', USER], changes)).out.split('\n').at(-1)

const ALL = now - 24 * HOURS

describe('a reading of two hours ago', () => {
  test('counts while the feed covers it', async () => {
    await leave({}, { lag: 4 * SECONDS, since: ALL })
    const { exitCode, out } = await show()
    expect(exitCode).toBe(0)
    expect(out).toContain('Source    okta, read 2 hours ago')
    expect(out).toContain('Fresh     4 seconds ago, by the change feed, which covers this reading')
    expect(out).toContain('Feed      read to its end 4 seconds ago; newest event 2026-11-20T11:59:00Z')
    expect(out).not.toContain('Rules')
    expect(await explain()).toBe('Decision  allow (groups-ok)')
    const people = await run(['groups', 'show', '--group', 'Engineering'])
    expect(people.out).toMatch(new RegExp(`${USER} .* 2 hours ago {2}4 seconds ago\n\nFeed {6}read to its end`))
    const json = JSON.parse((await run(['groups', 'show', '--json', USER])).out) as object
    expect(json).toMatchObject({
      known_to_rules: true,
      fresh_at: '2026-11-20T11:59:56.000Z',
      feed: {
        mode: null,
        up_to: '2026-11-20T11:59:56.000Z',
        lag_seconds: 4,
        newest_event_at: '2026-11-20T11:59:00.000Z',
      },
      budget: null,
    })
  })

  test.each([
    ['without a feed', {}, undefined],
    ['with a feed that began later', {}, { lag: 4 * SECONDS, since: now - HOURS }],
    ['with a feed that stopped', {}, { lag: 1.5 * HOURS, since: ALL }],
    ['that is in doubt', { doubtAt: now - 60 * SECONDS }, { lag: 4 * SECONDS, since: ALL }],
    ['of another source', { source: 'scim' }, { lag: 4 * SECONDS, since: ALL }],
  ])('is unknown to rules %s', async (_what, person, feed) => {
    await leave(person, feed)
    expect((await show()).out).toContain('Rules     see no groups')
    expect(await explain()).toBe('Decision  unavailable (groups-unknown)')
    expect((await run(['groups', 'show', '--group', 'Engineering'])).exitCode).toBe(1)
  })

  test('of an inactive person denies, however fresh it is', async () => {
    await leave({ status: 'inactive', statusText: 'SUSPENDED' }, { lag: 4 * SECONDS, since: ALL })
    expect((await show()).out).toContain('Status    inactive (SUSPENDED)')
    expect(await explain()).toBe('Decision  deny (user-inactive)')
  })

  test('is compared with the max_directory_age of a route', async () => {
    await leave({}, { lag: 4 * SECONDS, since: ALL })
    const route = { from: 'https://wiki.corp.example', to: 'http://wiki:8080', allowed_groups: ['Engineering'] }
    expect(await explain({ routes: [{ ...route, max_directory_age: '5s' }] })).toBe('Decision  allow (groups-ok)')
    expect(await explain({ routes: [{ ...route, max_directory_age: '3s' }] })).toBe(
      'Decision  unavailable (groups-unknown)',
    )
  })
})

describe('the budget', () => {
  const text = [
    'postern_directory_feed_info{mode="log",leading="true"} 1',
    'postern_directory_rate_limit_limit{endpoint="/api/v1/users/{id}"} 600',
    'postern_directory_rate_limit_remaining{endpoint="/api/v1/users/{id}"} 540',
    '',
  ].join('\n')

  test('is read from the metrics address of the running Postern', async () => {
    metrics = await listenOn(createServer((req, res) => res.writeHead(req.url === '/metrics' ? 200 : 404).end(text)))
    const metricsAddress = { metrics_address: `127.0.0.1:${portOf(metrics)}` }
    await leave({}, { lag: 4 * SECONDS, since: ALL })
    const { out } = await show(metricsAddress)
    expect(out).toContain('newest event 2026-11-20T11:59:00Z, by the System Log')
    expect(out).toContain('Budget    /api/v1/users/{id} 540 of 600')
    const json = JSON.parse((await run(['groups', 'show', '--json', USER], metricsAddress)).out) as object
    expect(json).toMatchObject({
      feed: { mode: 'log' },
      budget: [{ endpoint: '/api/v1/users/{id}', remaining: 540, limit: 600 }],
    })
  })

  test('is unknown when nothing or something else answers there', async () => {
    await leave({}, undefined)
    expect((await show()).out).toContain('Budget    unknown: metrics_address is not configured')
    expect((await show({ metrics_address: '127.0.0.1:0' })).out).toContain('unknown: metrics_address has no fixed port')
    metrics = await listenOn(createServer((_req, res) => res.writeHead(404).end()))
    const port = portOf(metrics)
    expect((await show({ metrics_address: `:${port}` })).out).toMatch(
      /Budget {4}unknown: no answer from http:\/\/\S+\/metrics/,
    )
  })
})
