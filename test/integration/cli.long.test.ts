/** The command line, in another process, beside a running Postern: the same embedded store, the same Okta. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Browser } from '../support/browser.ts'
import type { Ran } from '../support/cli.ts'
import { type CliProcess, startCliProcess } from '../support/cli-process.ts'
import { createTestWorld, SHARED_SECRET, type World } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const EVERYONE = 'http://everyone.localhost/'
const JSON_ASK = { headers: { accept: 'application/json' } }
const TAG = /^[0-9a-f]{12}$/

let operator: CliProcess
beforeAll(async () => {
  operator = await startCliProcess()
})
afterAll(() => operator.close())

let folder = ''
let world: World
let file = ''
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-cli-world-'))
  world = await createTestWorld({ config: { storage: { type: 'embedded', path: join(folder, 'store') } } })
  file = writeConfig('config.yaml')
})
afterEach(async () => {
  await world.close()
  rmSync(folder, { recursive: true })
})

/** The configuration of the running Postern, as a file; `undefined` removes a key. */
function writeConfig(name: string, changes: Readonly<Record<string, unknown>> = {}): string {
  const path = join(folder, name)
  const settings = {
    authenticate_service_url: 'http://authenticate.localhost',
    shared_secret: SHARED_SECRET,
    idp_provider_url: world.okta.url,
    idp_client_id: DEMO.clientId,
    idp_client_secret: DEMO.clientSecret,
    idp_service_account: DEMO.apiToken,
    storage: { type: 'embedded', path: join(folder, 'store') },
    routes: [
      {
        name: 'Engineering',
        from: 'http://engineering.localhost',
        to: world.upstreamUrl,
        allowed_groups: ['Engineering'],
      },
      {
        from: 'http://claims.localhost',
        to: world.upstreamUrl,
        policy: { allow: { and: [{ 'claim/name': 'Alice Archer' }] } },
      },
    ],
    ...changes,
  }
  writeFileSync(path, stringify(settings))
  return path
}

const run = (...args: string[]): Promise<Ran> => operator.run([...args, '--config', file])

async function signedIn(login: string): Promise<Browser> {
  const browser = world.browser()
  await world.signIn(browser, EVERYONE, login)
  expect((await browser.ask(EVERYONE, JSON_ASK)).status).toBe(200)
  return browser
}

/** How long until the browser's session is no longer taken. */
async function millisUntilSignedOut(browser: Browser): Promise<number> {
  // Counted in turns: on a busy machine each takes longer, Postern's own (it runs in this process) just as much.
  for (let millis = 0; millis < 5000; millis += 10) {
    if ((await statusOrCut(browser)) === 401) return millis
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return Number.POSITIVE_INFINITY
}

/** An exchange that is under way when its session ends is cut. */
async function statusOrCut(browser: Browser): Promise<number | 'cut'> {
  try {
    return (await browser.ask(EVERYONE, JSON_ASK)).status
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ECONNRESET') return 'cut'
    throw error
  }
}

interface ListedSession {
  readonly session: string
  readonly user_id: string
  readonly email: string
}

async function listed(...args: string[]): Promise<readonly ListedSession[]> {
  const { exitCode, out } = await run('sessions', 'list', '--json', ...args)
  expect(exitCode).toBe(0)
  return JSON.parse(out) as ListedSession[]
}

describe('postern sessions', () => {
  test('lists who is signed in with the tag that the log shows, and never a session id', async () => {
    expect(await run('sessions', 'list')).toEqual({ exitCode: 0, out: '', err: 'nobody is signed in' })
    const alice = await signedIn('alice@example.com')
    await signedIn('bob@example.com')

    const { exitCode, out } = await run('sessions', 'list')
    expect(exitCode).toBe(0)
    const [headings = '', ...rows] = out.split('\n')
    expect(headings.split(/ {2,}/)).toEqual(['SESSION', 'USER', 'ID', 'SIGNED IN', 'ENDS'])
    expect(rows.map((row) => row.split(/ {2,}/)[1])).toEqual(['bob@example.com', 'alice@example.com'])

    const [session] = await listed('--user', 'alice@example.com')
    expect(session).toMatchObject({ email: 'alice@example.com', user_id: DEMO.people.alice })
    expect(session?.session).toMatch(TAG)
    expect(await listed('--user', DEMO.people.alice)).toEqual([session])
    expect(world.log().some((line) => line['session'] === session?.session)).toBe(true)

    // The cookie is v1.ID.MAC: neither half of it is told.
    const [, id = '', mac = ''] = alice.cookies.get('everyone.localhost')?.get('postern')?.split('.') ?? []
    expect(id).toHaveLength(22)
    const told = out + JSON.stringify(await listed())
    for (const part of [id, id.slice(0, 12), mac]) expect(told).not.toContain(part)
    for (const value of [session?.session, `v1.${session?.session}.${mac}`]) {
      const answer = await world
        .browser()
        .ask(EVERYONE, { headers: { ...JSON_ASK.headers, cookie: `postern=${value}` } })
      expect(answer.status).toBe(401)
    }
  })

  test('shows one of them: whose, since when, with what browser', async () => {
    await signedIn('alice@example.com')
    const [session] = await listed()
    const { exitCode, out } = await run('sessions', 'show', session?.session ?? '')
    expect(exitCode).toBe(0)
    expect(out.split('\n')[0]?.split(/ {2,}/)).toEqual(['SESSION', session?.session])
    expect(out).toMatch(/^user +alice@example\.com$/m)
    expect(out).toMatch(/^address +127\.0\.0\.1$/m)
    const json = await run('sessions', 'show', session?.session ?? '', '--json')
    expect(JSON.parse(json.out)).toEqual(session)
    expect(await run('sessions', 'show', '000000000000')).toMatchObject({ exitCode: 1, out: '' })
  })

  test('a session that is revoked is denied within a second, and no other session', async () => {
    const alice = await signedIn('alice@example.com')
    const bob = await signedIn('bob@example.com')
    const [session] = await listed('--user', 'alice@example.com')
    const ended = await run('sessions', 'revoke', session?.session ?? '')
    expect(ended).toEqual({ exitCode: 0, out: `ended ${session?.session} of alice@example.com`, err: '' })
    expect(await millisUntilSignedOut(alice)).toBeLessThan(1000)
    expect((await bob.ask(EVERYONE, JSON_ASK)).status).toBe(200)
    expect((await listed()).map(({ email }) => email)).toEqual(['bob@example.com'])
    const isTold = () =>
      world.log().filter(({ event, session: tag }) => event === 'session-end' && tag === session?.session)
    await expect.poll(isTold, { timeout: 20_000 }).toMatchObject([{ reason: 'revoked-by-operator' }])
    // The provider is told as well, by the Postern that has its secret.
    await expect
      .poll(() => world.okta.calls().filter(({ path }) => path.endsWith('/revoke')).length, { timeout: 20_000 })
      .toBe(1)
  })

  test('--user ends all sessions of one person, --all those of everybody', async () => {
    const [first, second, bob] = [
      await signedIn('alice@example.com'),
      await signedIn('alice@example.com'),
      await signedIn('bob@example.com'),
    ]
    const ended = await run('sessions', 'revoke', '--user', 'Alice@example.com')
    expect(ended).toEqual({ exitCode: 0, out: 'ended 2 sessions of Alice@example.com', err: '' })
    for (const browser of [first, second]) expect(await millisUntilSignedOut(browser)).toBeLessThan(1000)
    expect((await bob.ask(EVERYONE, JSON_ASK)).status).toBe(200)
    expect((await run('sessions', 'revoke', '--all')).out).toBe('ended 1 session')
    expect(await millisUntilSignedOut(bob)).toBeLessThan(1000)
    expect((await run('sessions', 'revoke', '--all')).exitCode).toBe(0)
  })

  test('reports what is not found, and wrong usage', async () => {
    expect(await run('sessions', 'revoke', 'AAAAAAAAAAAA')).toEqual({
      exitCode: 1,
      out: '',
      err: 'there is no session "AAAAAAAAAAAA"; see `postern sessions list`',
    })
    expect(await run('sessions', 'revoke', '--user', 'nobody@example.com')).toMatchObject({
      exitCode: 1,
      out: 'ended 0 sessions of nobody@example.com',
    })
    for (const args of [[], ['--all', '--user', 'x'], ['AAAAAAAAAAAA', '--all']]) {
      expect(await run('sessions', 'revoke', ...args)).toEqual({
        exitCode: 2,
        out: '',
        err: 'postern: expected one of: a session (see `postern sessions list`), --user, --all',
      })
    }
  })

  test('a store in memory is wrong usage, with the remedy', async () => {
    file = writeConfig('memory.yaml', { storage: { type: 'memory' } })
    for (const args of [
      ['sessions', 'list'],
      ['sessions', 'revoke', '--all'],
      ['groups', 'show', 'alice@example.com'],
    ])
      expect(await run(...args)).toEqual({
        exitCode: 2,
        out: '',
        err: expect.stringMatching(/^postern: storage\.type is memory: .*restart it to end all sessions/) as string,
      })
  })

  test('a directory without a store exits as a failed dependency, and none is created', async () => {
    const nowhere = join(folder, 'nowhere')
    file = writeConfig('nowhere.yaml', { storage: { type: 'embedded', path: nowhere } })
    const { exitCode, err } = await run('sessions', 'list')
    expect(exitCode).toBe(4)
    expect(err).toBe(
      `postern: there is no store at ${nowhere}: run this where Postern runs, with its configuration and in its working directory`,
    )
    expect((await run('sessions', 'list')).exitCode).toBe(4)
  })
})

describe('postern groups show', () => {
  test("a person's groups, with status, source and evidence", async () => {
    expect(await run('groups', 'show', 'alice@example.com')).toEqual({
      exitCode: 1,
      out: '',
      err: 'nothing is known of "alice@example.com": nobody of this id or address has signed in lately; --live asks Okta',
    })
    await signedIn('alice@example.com')
    const { exitCode, out } = await run('groups', 'show', 'alice@example.com')
    expect(exitCode).toBe(0)
    expect(out).toContain(`alice@example.com (${DEMO.people.alice})`)
    expect(out).toContain('Status    active (ACTIVE)')
    expect(out).toMatch(/Source {4}okta, read (?:less than a second|\d+ seconds?) ago/)
    expect(out).toMatch(/Evidence {2}\d{4}-\d\d-\d\dT[\d:]+Z, \d+ seconds? ago/)
    expect(out).toMatch(new RegExp(`Engineering +${DEMO.groups.engineering} +OKTA_GROUP`))
    expect(out).toMatch(/Fresh {5}(?:less than a second|\d+ seconds?) ago, by /)
    expect(out).toMatch(/Feed {6}(?:not read to its end yet|read to its end .+ ago; newest event \S+Z)/)
    expect(out).toContain('Budget    unknown: metrics_address is not configured')
    expect(out).not.toContain('Rules')

    const json = JSON.parse((await run('groups', 'show', '--json', DEMO.people.alice)).out) as Record<string, unknown>
    expect(json).toMatchObject({
      user_id: DEMO.people.alice,
      email: 'alice@example.com',
      status: 'active',
      status_text: 'ACTIVE',
      source: 'okta',
      known_to_rules: true,
    })
    expect(Date.parse(String(json['as_of']))).toBeLessThanOrEqual(Date.parse(String(json['read_at'])))
    expect(json['groups']).toContainEqual({ id: DEMO.groups.engineering, name: 'Engineering', type: 'OKTA_GROUP' })
  })

  test('says when rules no longer use the reading', async () => {
    await signedIn('alice@example.com')
    const { out } = await operator.run(['groups', 'show', 'alice@example.com', '--config', file], 2 * 3_600_000)
    expect(out).toContain('Source    okta, read 2 hours ago')
    expect(out).toContain('Rules     see no groups: what is known is older than directory.max_staleness (3600s)')
  })

  test('--group shows who is in it, by name or id', async () => {
    await signedIn('alice@example.com')
    await signedIn('bob@example.com')
    for (const group of ['Engineering', DEMO.groups.engineering]) {
      const { exitCode, out } = await run('groups', 'show', '--group', group)
      expect(exitCode).toBe(0)
      const [headings = '', ...rows] = out.split('\n')
      expect(headings.split(/ {2,}/)).toEqual(['USER', 'ID', 'STATUS', 'SOURCE', 'READ', 'FRESH'])
      expect(rows.slice(0, rows.indexOf('')).map((row) => row.split(/ {2,}/).slice(0, 4))).toEqual([
        ['alice@example.com', DEMO.people.alice, 'ACTIVE', 'okta'],
      ])
    }
    const everybody = JSON.parse((await run('groups', 'show', '--json', '--group', 'Everyone')).out) as {
      people: { email: string }[]
    }
    expect(everybody.people.map(({ email }) => email).toSorted()).toEqual(['alice@example.com', 'bob@example.com'])
    expect(await run('groups', 'show', '--group', 'Nobody')).toEqual({
      exitCode: 1,
      out: '',
      err: 'nobody whose groups are known is in "Nobody"',
    })
  })

  test('--live reads Okta now, and needs no store', async () => {
    file = writeConfig('live.yaml', { storage: { type: 'memory' } })
    for (const user of ['bob@example.com', DEMO.people.bob]) {
      const { exitCode, out } = await run('groups', 'show', '--live', user)
      expect([user, exitCode]).toEqual([user, 0])
      expect(out).toContain(`bob@example.com (${DEMO.people.bob})`)
      expect(out).toContain('Sales')
    }
    world.okta.removeMember('Sales', 'bob@example.com')
    expect((await run('groups', 'show', '--live', 'bob@example.com')).out).not.toContain('Sales')
    expect((await run('groups', 'show', '--live', 'carol@example.com')).out).toContain('inactive (SUSPENDED)')
    for (const user of ['zoe@example.com', 'me', '../groups']) {
      expect(await run('groups', 'show', '--live', user)).toEqual({
        exitCode: 1,
        out: '',
        err: `Okta has no user ${JSON.stringify(user)}; give a user id (00u…) or a login`,
      })
    }
  })

  test('--live with a refused token exits as a failed dependency, without a token as wrong usage', async () => {
    file = writeConfig('refused.yaml', { idp_service_account: '00wrong-token-that-opens-nothing' })
    const refused = await run('groups', 'show', '--live', 'bob@example.com')
    expect(refused.exitCode).toBe(4)
    expect(refused.err).toContain('the API token is not accepted')
    expect(refused.err).not.toContain('00wrong')
    file = writeConfig('claims.yaml', { idp_service_account: undefined })
    expect(await run('groups', 'show', '--live', 'bob@example.com')).toEqual({
      exitCode: 2,
      out: '',
      err: 'postern: --live reads groups with a service account: configure idp_service_account',
    })
  })

  test('reports wrong usage', async () => {
    expect(await run('groups', 'show')).toMatchObject({ exitCode: 2 })
    expect(await run('groups', 'show', 'a@b.example', '--group', 'A')).toMatchObject({ exitCode: 2 })
    expect((await run('groups', 'show', '--live', '--group', 'A')).err).toBe(
      'postern: --live reads one person: expected a user',
    )
  })
})

describe('postern explain', () => {
  test('--user alone decides with the groups and claims that Postern has, as Postern does', async () => {
    const alice = await signedIn('alice@example.com')
    await signedIn('bob@example.com')
    const asked = (url: string, user: string) => run('explain', '--exit-code', '--url', url, '--user', user)

    const allowed = await asked(ENGINEERING, 'alice@example.com')
    expect([allowed.exitCode, (await alice.go(ENGINEERING)).status]).toEqual([0, 200])
    expect(allowed.out).toContain(`Person    alice@example.com (${DEMO.people.alice}), active`)
    expect(allowed.out).toContain('from okta')
    expect(allowed.out).toContain('Decision  allow (groups-ok)')

    const denied = await asked(ENGINEERING, DEMO.people.bob)
    expect(denied.exitCode).toBe(10)
    expect(denied.out).toContain('false      groups has "Engineering"')
    expect(denied.out).toContain('Decision  deny (groups-unauthorized)')

    const byClaim = await asked('http://claims.localhost/', 'alice@example.com')
    expect([byClaim.exitCode, byClaim.err]).toEqual([0, ''])
    expect(byClaim.out).toContain('Decision  allow (claim-ok)')
    expect(await asked(ENGINEERING, 'zoe@example.com')).toMatchObject({ exitCode: 1, out: '' })
  })

  test('--live decides with what Okta says now', async () => {
    const asked = () => run('explain', '--exit-code', '--url', ENGINEERING, '--user', 'alice@example.com', '--live')
    expect((await asked()).out).toContain('Decision  allow (groups-ok)')
    world.okta.removeMember('Engineering', 'alice@example.com')
    const after = await asked()
    expect(after.exitCode).toBe(10)
    expect(after.out).toContain('Decision  deny (groups-unauthorized)')
    const suspended = await run('explain', '--url', ENGINEERING, '--user', 'carol@example.com', '--live')
    expect(suspended.out).toContain('Decision  deny (user-inactive)')
  })
})
