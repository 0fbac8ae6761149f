/** The status page on the running program: who sees it, what is on it, and what nobody can make of it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Browser } from '../support/browser.ts'
import { createTestWorld, SHARED_SECRET, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const AUTH = 'http://authenticate.localhost'
const PAGE = `${AUTH}/.postern/status`
const TWIN = `${AUTH}/.postern/api/v1/status`
const JSON_ASK = { headers: { accept: 'application/json' } }
const ADMIN = { allow: { or: [{ groups: { has: 'Engineering' } }] } }

let world: World
let alice: Browser
let bob: Browser
beforeAll(async () => {
  world = await createTestWorld({
    config: { admin: ADMIN },
    routes: [
      { name: 'App', from: APP, allow_any_authenticated_user: true },
      { name: 'Wiki', from: 'http://wiki.localhost', allowed_groups: ['Engineering'] },
    ],
  })
  ;[alice, bob] = [await signedIn('alice'), await signedIn('bob')]
})
afterAll(() => world.close())

async function signedIn(name: string): Promise<Browser> {
  const browser = world.browser()
  expect((await world.signIn(browser, `${APP}/`, `${name}@example.com`)).status).toBe(200)
  return browser
}
interface Seen {
  readonly sessions: number | null
  readonly started_at: string
  readonly directories: readonly { readonly source: string; readonly staleness_seconds: number | null }[]
  readonly components: readonly { readonly name: string; readonly status: string }[]
  readonly configuration: {
    readonly routes: number
    readonly checksum: number
    readonly refused: unknown
    readonly warnings: readonly string[]
    readonly needs_restart: readonly string[]
  }
  readonly refused: readonly Record<string, unknown>[]
  readonly allowed: readonly Record<string, unknown>[]
  readonly answer?: { readonly outcome?: string; readonly reasons?: readonly string[]; readonly problem?: string }
}
const seen = async (query: Readonly<Record<string, string>> = {}): Promise<Seen> =>
  JSON.parse((await alice.ask(`${TWIN}?${new URLSearchParams(query)}`, JSON_ASK)).body) as Seen

describe('who sees it', () => {
  test('whoever the policy lets in', async () => {
    const page = await alice.ask(PAGE)
    expect(page.status).toBe(200)
    expect(page.headers['cache-control']).toBe('no-store')
    for (const shown of ['Status', 'directory', 'store', 'Checksum', 'Refused lately', 'What would happen'])
      expect(page.body).toContain(shown)
  })

  test('the portal of the sign-in service leads whoever may see it there, and nobody else', async () => {
    const link = '>Status</a>'
    expect((await alice.ask(`${AUTH}/.postern/`)).body).toContain(link)
    expect((await alice.ask(`${APP}/.postern/`)).body).not.toContain(link)
    expect((await bob.ask(`${AUTH}/.postern/`)).body).not.toContain(link)
  })

  test('nobody else: a person learns that, and nothing of the page', async () => {
    const page = await bob.ask(PAGE)
    expect(page.status).toBe(403)
    expect(page.body).toContain('You cannot open the status page')
    expect(page.body).not.toMatch(/Checksum|Refused lately/)
    const twin = await bob.ask(TWIN, JSON_ASK)
    expect([twin.status, Object.keys(JSON.parse(twin.body) as object)]).toEqual([
      403,
      ['error', 'reason', 'request_id'],
    ])
  })

  test('whoever is not signed in signs in first, and comes back', async () => {
    expect((await world.browser().ask(TWIN, JSON_ASK)).status).toBe(401)
    const page = await world.signIn(world.browser(), PAGE, 'alice@example.com')
    expect([page.status, page.url.href]).toEqual([200, PAGE])
  })

  test.each([APP, 'http://nowhere.localhost'])('nobody at %s, where scripts of applications run', async (origin) => {
    for (const path of ['/.postern/status', '/.postern/api/v1/status']) {
      expect((await alice.ask(origin + path)).status).toBe(404)
    }
    const { headers } = await alice.ask(TWIN, { headers: { accept: 'application/json', origin: APP } })
    expect(headers['access-control-allow-origin']).toBeUndefined()
  })

  test('nobody with a policy that asks for no session, without one', async () => {
    const open = await world.another({ admin: { allow: { or: [{ accept: true }] } } })
    try {
      expect((await open.browser().ask(TWIN, JSON_ASK)).status).toBe(401)
    } finally {
      await open.close()
    }
  })

  test('nobody at all without `admin`', async () => {
    const none = await world.another({ admin: undefined })
    try {
      for (const url of [PAGE, TWIN]) expect((await none.browser().ask(url)).status).toBe(404)
    } finally {
      await none.close()
    }
  })

  test('nobody can send anything to it', async () => {
    expect((await alice.ask(PAGE, { method: 'POST', headers: { accept: 'text/html' } })).status).toBe(405)
  })
})

describe('what is on it', () => {
  test('how many sessions there are, since when it runs, and each directory', async () => {
    const { sessions, started_at: startedAt, directories } = await seen()
    // Of alice and of bob, here and at the sign-in service.
    expect(sessions).toBeGreaterThanOrEqual(2)
    expect(Date.parse(startedAt)).toBeLessThanOrEqual(Date.now())
    expect(directories).toMatchObject([{ issuer: world.okta.url, source: 'okta', leading: true, trouble: null }])
    expect(directories[0]?.staleness_seconds).toBeLessThan(60)
    const { body } = await alice.ask(PAGE)
    expect(body).toContain(`${sessions}, of all processes`)
    expect(body).toContain('running for')
  })

  test('parts, configuration, and decisions without query, cookie or secret', async () => {
    expect((await world.browser().ask('http://wiki.localhost/of-nobody')).status).toBe(302)
    expect((await bob.go('http://wiki.localhost/secret/page?token=of-nobody')).status).toBe(403)
    await alice.ask(`${APP}/fine?token=of-nobody`)
    const status = await seen()
    expect(status.components.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['directory', 'store', 'upstreams']),
    )
    expect(status.configuration).toMatchObject({ routes: 2, refused: null, checksum: expect.any(Number) })
    expect(status.refused[0]).toMatchObject({
      outcome: 'deny',
      status: 403,
      method: 'GET',
      host: 'wiki.localhost',
      path: '/secret/page',
      route: 'Wiki',
      person: 'bob@example.com',
      reasons: ['groups-unauthorized'],
    })
    expect(status.allowed[0]).toMatchObject({ outcome: 'allow', path: '/fine', person: 'alice@example.com' })
    const page = (await alice.ask(PAGE)).body
    for (const secret of ['of-nobody', 'postern=', SHARED_SECRET, DEMO.clientSecret, DEMO.apiToken, 'eyJ'])
      expect(JSON.stringify(status) + page).not.toContain(secret)
  })

  test('a reload, and a configuration that was refused', async () => {
    const { checksum } = (await seen()).configuration
    world.app.refuse('config.yaml:1:1 <b>broken</b>')
    expect((await seen()).configuration.refused).toMatchObject({ problem: 'config.yaml:1:1 <b>broken</b>' })
    const { body } = await alice.ask(PAGE)
    expect(body).toContain('config.yaml:1:1 &lt;b>broken')
    world.reload({ cookie_expire: '10h', policies: { idle: { allow: { or: [{ accept: true }] } } } })
    const { configuration } = await seen()
    expect(configuration.refused).toBeNull()
    expect(configuration.warnings).toContainEqual(expect.stringContaining('idle'))
    expect((await alice.ask(PAGE)).body).toContain('<dt>Warnings</dt>')
    expect(configuration.checksum).not.toBe(checksum)
    // People compare it with the log.
    const asInTheLog = configuration.checksum.toString(16).padStart(8, '0')
    expect((await alice.ask(PAGE)).body).toContain(`<code>${asInTheLog}</code>`)
    expect(configuration.needs_restart).toEqual([])
    world.reload({ health_check_addr: '127.0.0.1:0' })
    expect((await seen()).configuration.needs_restart).toEqual(['health_check_addr'])
    expect((await alice.ask(PAGE)).body).toContain('<dt>Waits for a restart</dt><dd><code>health_check_addr</code>')
  })

  test('no more decisions than are kept', async () => {
    for (let i = 0; i < 60; i++) await bob.ask(`http://wiki.localhost/${i}`)
    const { refused, allowed } = await seen()
    expect([refused.length, allowed.length <= 20]).toEqual([50, true])
    expect(refused[0]).toMatchObject({ path: '/59' })
    expect(refused[49]).toMatchObject({ path: '/10' })
  })
})

describe('what would happen to a request', () => {
  test.each<readonly [string, Readonly<Record<string, string>>, string, readonly string[]]>([
    ['somebody by address', { url: 'http://wiki.localhost/', user: 'ALICE@example.com' }, 'allow', ['groups-ok']],
    ['somebody by id', { url: 'http://wiki.localhost/', user: DEMO.people.bob }, 'deny', ['groups-unauthorized']],
    ['nobody', { url: 'http://wiki.localhost/' }, 'sign-in', ['user-unauthenticated']],
    ['an address that no route has', { url: 'http://other.localhost/' }, 'not-found', []],
    ['a path of ours', { url: `${APP}/.postern/` }, 'control', []],
  ])('by %s', async (_, query, outcome, reasons) => {
    expect((await seen(query)).answer).toMatchObject({ outcome, reasons })
    expect((await alice.ask(`${PAGE}?${new URLSearchParams(query)}`)).body).toContain('<dt>Decision</dt>')
  })

  test('says why it cannot be told', async () => {
    expect((await seen({ url: 'nothing' })).answer?.problem).toContain('expected a URL')
    expect((await seen({ url: APP, ip: 'here' })).answer?.problem).toContain('expected an IP address')
    expect((await seen({ url: APP, user: 'nobody@example.com' })).answer?.problem).toContain('is signed in')
  })

  test('shows what was asked as text', async () => {
    const markup = `"><script>alert(1)</script>`
    const query = new URLSearchParams({ url: `${APP}/${markup}`, user: markup, method: markup, ip: markup })
    const page = await alice.ask(`${PAGE}?${query}`)
    expect(page.status).toBe(200)
    expect(page.body).not.toContain('<script')
  })

  test('leaves no trace among the decisions', async () => {
    const before = (await seen()).allowed.length
    await seen({ url: `${APP}/`, user: 'alice@example.com' })
    expect((await seen()).allowed.length).toBe(before)
  })
})
