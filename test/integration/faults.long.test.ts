/**
 * What Postern depends on fails: the identity provider, Okta's API, the store. Existing sessions go on with what is
 * known, nothing that is unknown becomes "allow", and everything recovers without a restart. (Cookie garbage and
 * callbacks: test/security/cookies, sign-in-flow; upstreams: faults-upstream.)
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { open as openRaw } from 'lmdb'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { FaultAct } from '../../emulator/okta/http/faults.ts'
import type { Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { timePasses, whileTimePasses } from '../support/passing-time.ts'
import { createTestWorld, type World, type WorldOptions } from '../support/world.ts'

const ENGINEERING = 'http://engineering.localhost/'
const EVERYONE = 'http://everyone.localhost/'
const JSON_ASK = { headers: { accept: 'application/json' } }
const MINUTE = 60_000
const HOUR = 60 * MINUTE

let clock: ManualClock
let world: World
beforeEach(() => {
  clock = manualClock()
})
afterEach(() => world.close())

async function begin(options: WorldOptions = {}): Promise<void> {
  world = await createTestWorld({ clock, ...options })
}

async function signedIn(login = 'alice@example.com', url = ENGINEERING): Promise<Browser> {
  const browser = world.browser()
  await whileTimePasses(clock, world.signIn(browser, url, login))
  return browser
}

/** 0: cut, because the permission ended while this request was under way. */
const statusOf = (browser: Browser, url = ENGINEERING): Promise<number> =>
  browser.ask(url, JSON_ASK).then(
    ({ status }) => status,
    () => 0,
  )
const managementCalls = () => world.okta.calls().filter(({ path }) => path.startsWith('/api/v1/'))
const alarms = () =>
  world.log().filter(({ level, error }) => level === 'error' && error === 'ERR_DIRECTORY_UNAUTHORIZED')
const messages = (text: string) => world.log().filter(({ msg }) => String(msg).includes(text))

describe('the identity provider', () => {
  test('unreachable at the start: sessions work, sign-in is 503 with Retry-After, and it recovers by itself', async () => {
    await begin()
    const alice = await signedIn()
    world.okta.fault({ path: '/', act: { kind: 'cut' } })
    await world.restart()

    expect(await statusOf(alice)).toBe(200)
    const page = await world.browser().go(EVERYONE)
    expect(page.status).toBe(503)
    expect(Number(page.headers['retry-after'])).toBeGreaterThan(0)
    expect(page.body).toContain('The identity provider cannot be reached at the moment.')
    expect(page.body).toContain('ERR_IDP_UNREACHABLE')
    expect(await statusOf(world.browser())).toBe(401)
    expect(await statusOf(alice)).toBe(200)

    world.okta.clearFaults()
    clock.advance(5000)
    const bob = world.browser()
    expect((await world.signIn(bob, EVERYONE, 'bob@example.com')).status).toBe(200)
  })

  test('unreachable: many sign-ins make few requests to it', async () => {
    await begin()
    world.okta.fault({ path: '/', act: { kind: 'status', status: 503 } })
    await world.restart()
    world.okta.clearCalls()
    const answers = await Promise.all(Array.from({ length: 50 }, () => world.browser().go(EVERYONE)))
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]))
    expect(world.okta.calls().length).toBeLessThanOrEqual(2)
  })

  test('unreachable: sign-out still ends the session here', async () => {
    await begin()
    const alice = await signedIn()
    world.okta.fault({ path: '/', act: { kind: 'cut' } })
    await world.restart()
    const page = await alice.ask(`${ENGINEERING}.postern/sign_out`)
    const out = await alice.ask(`${ENGINEERING}.postern/sign_out`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: `csrf=${/name="csrf" value="([^"]+)"/.exec(page.body)?.[1]}`,
    })
    expect(out).toMatchObject({ status: 303 })
    expect(out.headers.location).toMatch('http://authenticate.localhost/.postern/signed_out?state=')
    expect(await statusOf(alice)).toBe(401)
  })
})

describe('an API token that Okta does not accept', () => {
  test('from the start: sign-in works, group rules are 503 with a reason, one alarm, few calls', async () => {
    await begin({ config: { idp_service_account: 'this-is-not-the-token' } })
    const alice = await signedIn()
    expect(await statusOf(alice, `${ENGINEERING}.postern/user`)).toBe(200)

    const page = await alice.ask(ENGINEERING)
    expect(page.status).toBe(503)
    expect(page.body).toContain('Waiting does not help')
    const json = await alice.ask(ENGINEERING, JSON_ASK)
    const told = { error: 'unavailable', reason: 'groups-unknown', code: 'ERR_DIRECTORY_UNAUTHORIZED' }
    expect(JSON.parse(json.body)).toMatchObject(told)
    for (const { headers } of [page, json]) expect(headers['retry-after']).toBeUndefined()
    expect((await alice.go(EVERYONE)).status).toBe(200)
    expect(world.received).toHaveLength(1)

    world.okta.clearCalls()
    const until = clock.now() + 10 * MINUTE
    await timePasses(clock, async () => (await statusOf(alice)) !== 503 || clock.now() > until, 5000)
    expect(await statusOf(alice)).toBe(503)
    expect(managementCalls().length).toBeLessThanOrEqual(12)
    expect(managementCalls().length).toBeGreaterThan(0)
    expect(alarms()).toHaveLength(2)
  })

  test('later: known groups count until max_staleness, then 503; once accepted again it recovers by itself', async () => {
    await begin()
    const alice = await signedIn()
    await alice.go(EVERYONE)
    const { id } = world.okta.org.findToken(DEMO.apiToken) ?? { id: '' }
    world.okta.org.updateToken(id, { revoked: true })

    const halfAnHour = clock.now() + HOUR / 2
    await timePasses(clock, async () => (await statusOf(alice)) !== 200 || clock.now() > halfAnHour, 10_000)
    expect(await statusOf(alice)).toBe(200)
    await timePasses(clock, async () => (await statusOf(alice)) !== 200, 30_000)
    expect(await statusOf(alice)).toBe(503)
    expect(await statusOf(alice, EVERYONE)).toBe(200)

    world.okta.org.updateToken(id, { revoked: false })
    await timePasses(clock, async () => (await statusOf(alice)) === 200, 5000)
    expect(alarms().length).toBeGreaterThan(0)
    expect([...messages('answers again'), ...messages('changes are followed again')]).not.toEqual([])
  })
})

const FAULTS: readonly (readonly [string, FaultAct])[] = [
  ['429', { kind: 'status', status: 429, body: '{"errorCode":"E0000047"}' }],
  ['500', { kind: 'status', status: 500 }],
  ['403', { kind: 'status', status: 403, body: '{"errorCode":"E0000006"}' }],
  ['a 404 that is not Okta’s own', { kind: 'status', status: 404 }],
  ['HTML with a 200', { kind: 'status', status: 200 }],
  [
    'an empty JSON object',
    { kind: 'status', status: 200, body: '{}', headers: { 'content-type': 'application/json' } },
  ],
  ['a connection that is cut', { kind: 'cut' }],
  ['half an answer', { kind: 'half' }],
  ['JSON that ends in the middle', { kind: 'malformed' }],
  ['nothing for an hour', { kind: 'slow', by: HOUR }],
  ['a next page elsewhere', { kind: 'headers', headers: { link: '<https://evil.test/api/v1/x?after=1>; rel="next"' } }],
]

describe('Okta’s API', () => {
  /** Alice is in 250 groups: two pages, and Engineering's route wants one of the second. */
  async function withTwoPages(): Promise<Browser> {
    await begin({
      routes: [
        { name: 'last', from: 'http://engineering.localhost', allowed_groups: ['group 249'] },
        { name: 'everyone', from: 'http://everyone.localhost', allow_any_authenticated_user: true },
      ],
    })
    for (let i = 0; i < 250; i++) {
      world.okta.addGroup(`group ${i}`)
      world.okta.addMember(`group ${i}`, 'alice@example.com')
    }
    return signedIn()
  }

  const groupsOf = async (browser: Browser): Promise<number> => {
    const { body } = await browser.ask(`${ENGINEERING}.postern/user`, JSON_ASK)
    return (JSON.parse(body) as { groups: unknown[] }).groups.length
  }

  test.each(FAULTS)(
    '%s on the second page: half a set is never used, the last good one counts until there is a new one',
    async (_, act) => {
      const alice = await withTwoPages()
      expect(await statusOf(alice)).toBe(200)
      const whole = await groupsOf(alice)
      expect(whole).toBeGreaterThanOrEqual(252)

      const path = `/api/v1/users/${DEMO.people.alice}/groups`
      world.okta.clearCalls()
      // Something happened to Alice's groups; when they are read again the first page comes, then nothing good any more.
      world.okta.fault({ path, after: 1, act })
      world.okta.addGroup('one more')
      world.okta.addMember('one more', 'alice@example.com')
      await signedIn()
      const until = clock.now() + 5 * MINUTE
      await timePasses(clock, async () => (await statusOf(alice)) !== 200 || clock.now() > until, 3000)
      expect(await statusOf(alice)).toBe(200)
      // The new group counts without a reading when the comparison has told its name before the log tells who is in it.
      expect([whole, whole + 1]).toContain(await groupsOf(alice))
      // Half a set was at hand.
      const firstPages = world.okta.calls().filter((call) => call.path === path && call.status === 200)
      expect(firstPages.some(({ query }) => !query.includes('after'))).toBe(true)

      world.okta.clearFaults()
      await timePasses(clock, async () => (await groupsOf(alice)) === whole + 1, 3000)
      expect(await statusOf(alice)).toBe(200)
    },
  )

  test.each(FAULTS.filter(([name]) => name !== 'a next page elsewhere'))(
    '%s for everything: sign-in still works, its group rules are 503, and it recovers',
    async (_, act) => {
      await begin()
      const bob = await signedIn('bob@example.com', EVERYONE)
      world.okta.fault({ path: '/api/v1/', act })
      const alice = await signedIn()
      expect(await statusOf(alice)).toBe(503)
      const { body } = await alice.ask(ENGINEERING, JSON_ASK)
      expect(JSON.parse(body)).toMatchObject({ reason: 'groups-unknown' })
      expect((await alice.go(EVERYONE)).status).toBe(200)
      expect(await statusOf(bob, EVERYONE)).toBe(200)
      world.okta.clearFaults()
      await timePasses(clock, async () => (await statusOf(alice)) === 200, 3000)
    },
  )

  test('an answer without groups is believed: denied, not unknown', async () => {
    await begin()
    const alice = await signedIn()
    world.okta.removeMember('Engineering', 'alice@example.com')
    await timePasses(clock, async () => (await statusOf(alice)) === 403, 3000)
  })

  test('a suspended person’s sessions end, on every host, and stay ended', async () => {
    await begin()
    const alice = await signedIn()
    await alice.go(EVERYONE)
    world.okta.setStatus('alice@example.com', 'SUSPENDED')
    await timePasses(clock, async () => (await statusOf(alice)) === 401, 3000)
    expect(await statusOf(alice, EVERYONE)).toBe(401)
    world.okta.setStatus('alice@example.com', 'ACTIVE')
    clock.advance(2 * MINUTE)
    expect(await statusOf(alice)).toBe(401)
  })
})

describe('the store', () => {
  let path: string
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'postern-faults-'))
  })
  afterEach(() => rmSync(path, { recursive: true, force: true }))

  const raw = () => openRaw({ path: join(path, 'postern.mdb'), noSubdir: true, encoding: 'string' })

  test('that cannot be opened ends the start with a code and the path', async () => {
    await begin()
    writeFileSync(join(path, 'file'), 'not a directory')
    const storage = { type: 'embedded', path: join(path, 'file') }
    await expect(createTestWorld({ config: { storage } })).rejects.toMatchObject({
      code: 'ERR_STORE_UNAVAILABLE',
      message: expect.stringContaining(join(path, 'file')),
    })
  })

  test('that cannot be read is 503 with Retry-After for everybody who needs a session, and allows nobody', async () => {
    await begin({ config: { storage: { type: 'embedded', path } } })
    const alice = await signedIn()
    const before = world.received.length
    const root = raw()
    await root.openDB({ name: 'records', encoding: 'string' }).drop()
    // No session is trusted longer than five seconds without a look at the store.
    clock.advance(6000)
    const answer = await alice.ask(ENGINEERING, JSON_ASK)
    expect(answer.status).toBe(503)
    expect(JSON.parse(answer.body)).toMatchObject({ error: 'ERR_STORE_UNAVAILABLE' })
    expect(answer.headers['retry-after']).toBe('5')
    expect(answer.headers['set-cookie']).toBeUndefined()
    const page = await alice.ask(ENGINEERING)
    expect(page.status).toBe(503)
    expect(page.body).toContain('The session store is not available at the moment.')
    expect(world.received).toHaveLength(before)
    expect((await world.browser().ask('http://public.localhost/')).status).toBe(200)
    await root.close()
  })

  test('with a session record that is damaged: signed out, never 500, and the next sign-in mends it', async () => {
    await begin({ config: { storage: { type: 'embedded', path } } })
    const alice = await signedIn()
    const root = raw()
    const records = root.openDB<string, string[]>({ name: 'records', encoding: 'string' })
    for (const { key } of records.getRange())
      if (key[0] === 'sessions-by-person') records.putSync(key, '{"schema":1,"ver')
    clock.advance(6000)
    expect(await statusOf(alice)).toBe(401)
    await root.close()
    await whileTimePasses(clock, world.signIn(alice, ENGINEERING, 'alice@example.com'))
    expect(await statusOf(alice)).toBe(200)
  })

  test('on a full disk: nobody is signed in, sessions go on, and with the space sign-in comes back', async (context) => {
    const disk = join(path, 'disk')
    mkdirSync(disk)
    const mounted = mountSmall(disk)
    try {
      await begin({ config: { storage: { type: 'embedded', path: join(mounted ? disk : path, 'store') } } })
      if (!mounted) context.skip('needs the right to mount a tmpfs')
      const alice = await signedIn()
      const ballast = join(disk, 'ballast')
      fill(ballast)
      const bob = world.browser()
      const refused = await whileTimePasses(clock, world.signIn(bob, EVERYONE, 'bob@example.com'))
      expect(refused.status).toBe(503)
      expect(refused.headers['retry-after']).toBe('5')
      expect(bob.cookies.get('authenticate.localhost')?.has('postern') ?? false).toBe(false)
      clock.advance(6000)
      expect(await statusOf(alice)).toBe(200)
      rmSync(ballast)
      expect((await whileTimePasses(clock, world.signIn(bob, EVERYONE, 'bob@example.com'))).status).toBe(200)
      await world.close()
      await begin()
    } finally {
      if (mounted) execFileSync('umount', ['-l', disk])
    }
  })
})

/** A file system of 2 MiB, where we may mount one. */
function mountSmall(at: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', at], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

function fill(file: string): void {
  for (let size = 64 * 1024; size >= 512; size /= 2) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(size), { flag: 'a' })
    } catch {
      // No room for a piece of this size; perhaps for half of it.
    }
  }
}
