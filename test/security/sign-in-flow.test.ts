/**
 * Section I: a sign-in belongs to the browser that began it, once, for an hour. State that is missing, foreign, doubled
 * or spent (mod_auth_openidc 2026-08), login CSRF and planted codes (RFC 9700 §4.7), PKCE that is dropped
 * (CVE-2024-23647, CVE-2023-48228), application bytes in a redirect (CVE-2025-31492 mod_auth_openidc), parallel tabs
 * (oauth2-proxy #611, #817), the provider's own errors (I18), floods without a state (N07, N08).
 */
import { keyRingsOf } from '../support/key-rings.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createRedirects } from '../../src/authenticate/redirect.ts'
import type { Answer, Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { expectNoSecrets, only } from '../support/gauntlet.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { createTestWorld, SHARED_SECRET, type World } from '../support/world.ts'

const APP = 'http://app.localhost/'
const MINUTE = 60_000

let clock: ManualClock
let world: World
beforeAll(async () => {
  clock = manualClock()
  world = await createTestWorld({
    // The parameters of a sign-in are looked at.
    config: { idp_pushed_requests: false },
    clock,
    routes: [{ name: 'app', from: 'http://app.localhost', allow_any_authenticated_user: true }],
  })
})
beforeEach(() => world.okta.clearCalls())
afterAll(async () => {
  expect((await world.signIn(world.browser(), APP, 'alice@example.com')).status).toBe(200)
  expectNoSecrets(world, [...issued])
  await world.close()
})

/** Every code and state of this file: none of them may be in the log. */
const issued = new Set<string>()

/** As far as the provider's sign-in form. */
async function begin(browser: Browser, url = APP): Promise<URL> {
  const { url: authorize } = await browser.go(url, (next) => next.origin === world.okta.url)
  for (const name of ['state', 'nonce', 'code_challenge']) issued.add(authorize.searchParams.get(name) ?? '')
  return authorize
}

/** The callback that the provider sends this person's browser to. */
async function callbackOf(authorize: URL, login = 'alice@example.com'): Promise<URL> {
  const callback = await signInWith(world.okta.url, authorize, login)
  issued.add(callback.searchParams.get('code') ?? '')
  return callback
}

function withQuery(url: URL, change: (query: URLSearchParams) => void): URL {
  const changed = new URL(url)
  change(changed.searchParams)
  return changed
}

const tokenCalls = () => world.okta.calls().filter(({ path }) => path.endsWith('/token'))
const signedInAt = (browser: Browser) => browser.cookies.get('authenticate.localhost')?.has('postern') ?? false

/** 400 with a way on, no session, and the code was not spent. */
function expectNoSignIn(browser: Browser, answer: Answer): void {
  expect(answer.status).toBe(400)
  expect(answer.body).toContain('Start again')
  expect(answer.body).not.toMatch(/code=|state=/)
  expect(signedInAt(browser)).toBe(false)
  expect(tokenCalls()).toEqual([])
}

describe('I01 a callback whose state this browser does not hold is refused', () => {
  test.each<readonly [string, (query: URLSearchParams) => void]>([
    ['missing', (query) => query.delete('state')],
    ['empty', (query) => query.set('state', '')],
    ['unknown', (query) => query.set('state', 'A'.repeat(43))],
    ['with one character more', (query) => query.set('state', `${query.get('state')}A`)],
    ['in another case', (query) => query.set('state', query.get('state')?.toUpperCase() ?? '')],
    ['doubled', (query) => query.append('state', query.get('state') ?? '')],
    ['doubled with a stranger', (query) => query.append('state', 'x')],
    ['of 10,000 characters', (query) => query.set('state', 'A'.repeat(10_000))],
    ['__proto__', (query) => query.set('state', '__proto__')],
  ])('%s', async (_, change) => {
    const browser = world.browser()
    const callback = await callbackOf(await begin(browser))
    expectNoSignIn(browser, await browser.ask(withQuery(callback, change)))
    // The real one still works: a stranger's attempt costs nothing.
    expect((await browser.go(callback)).url.href).toBe(APP)
  })

  test.each<readonly [string, (query: URLSearchParams) => void]>([
    ['two codes', (query) => query.append('code', 'x')],
    ['no code', (query) => query.delete('code')],
    ['an empty code', (query) => query.set('code', '')],
  ])('the right state with %s: 400, the state is spent, no token request', async (_, change) => {
    const browser = world.browser()
    const callback = await callbackOf(await begin(browser))
    expectNoSignIn(browser, await browser.ask(withQuery(callback, change)))
    expectNoSignIn(browser, await browser.ask(callback))
  })
})

describe('I02 I03 a callback in another browser or later', () => {
  test('an attacker’s callback signs nobody in (login CSRF)', async () => {
    const attacker = world.browser()
    const callback = await callbackOf(await begin(attacker))
    const victim = world.browser()
    expectNoSignIn(victim, await victim.ask(callback))
    await begin(victim)
    expectNoSignIn(victim, await victim.ask(callback))
  })

  test('works once; the second time leads on with the session, and the code is not sent again', async () => {
    const browser = world.browser()
    const callback = await callbackOf(await begin(browser))
    const first = await browser.ask(callback)
    expect(first.status).toBe(302)
    world.okta.clearCalls()
    const second = await browser.ask(callback)
    expect([second.status, second.headers.location, second.headers['set-cookie']]).toEqual([302, APP, undefined])
    expect(tokenCalls()).toEqual([])
    expect((await browser.go(first.headers.location ?? '')).status).toBe(200)
  })

  test('with a copied cookie and a used code sends no token request and signs nobody in', async () => {
    const browser = world.browser()
    const callback = await callbackOf(await begin(browser))
    const thief = world.browser()
    const cookie = [...(browser.cookies.get('authenticate.localhost') ?? [])].map((pair) => pair.join('=')).join('; ')
    await browser.ask(callback)
    world.okta.clearCalls()
    expectNoSignIn(thief, await thief.ask(callback, { headers: { accept: 'text/html', cookie } }))
  })

  test('an hour later is refused', async () => {
    const browser = world.browser()
    const callback = await callbackOf(await begin(browser))
    clock.advance(61 * MINUTE)
    expectNoSignIn(browser, await browser.ask(callback))
    expect((await world.signIn(browser, APP, 'alice@example.com')).status).toBe(200)
  })

  test('a hand-off code works once, within a minute, on its host, in its browser', async () => {
    const handOff = async (browser: Browser): Promise<URL> => {
      const answer = await browser.ask(await callbackOf(await begin(browser)))
      const url = new URL(answer.headers.location ?? '')
      issued.add(url.searchParams.get('code') ?? '')
      expect(url.pathname).toBe('/.postern/callback')
      return url
    }
    const cookieAt = (browser: Browser) => browser.cookies.get('app.localhost')?.has('postern') ?? false

    const stolen = await handOff(world.browser())
    const thief = world.browser()
    expect((await thief.ask(stolen)).status).toBe(400)
    await thief.ask(APP)
    expect((await thief.ask(stolen)).status).toBe(400)
    expect(cookieAt(thief)).toBe(false)

    const late = world.browser()
    const url = await handOff(late)
    clock.advance(61_000)
    expect((await late.ask(url)).status).toBe(400)
    expect(cookieAt(late)).toBe(false)

    const browser = world.browser()
    const good = await handOff(browser)
    expect((await browser.ask(withQuery(good, (query) => query.append('code', 'x')))).status).toBe(400)
    expect((await browser.ask(good)).status).toBe(302)
    const second = await browser.ask(good)
    // Opened twice: this browser is signed in, and nobody gets anything by the code.
    expect([second.status, second.headers.location, second.headers['set-cookie']]).toEqual([302, APP, undefined])
    expect((await world.browser().ask(good)).status).toBe(400)
    expect((await browser.ask(APP)).status).toBe(200)
  })

  test('an attacker’s hand-off code does not sign a victim in, though both have begun', async () => {
    const [attacker, victim] = [world.browser(), world.browser()]
    const answer = await attacker.ask(await callbackOf(await begin(attacker), 'bob@example.com'))
    await begin(victim)
    const planted = await victim.ask(answer.headers.location ?? '')
    expect(planted.status).toBe(400)
    expect(victim.cookies.get('app.localhost')?.has('postern')).toBe(false)
  })
})

describe('a sign-in at the host of the sign-in service itself', () => {
  const AUTH = 'http://authenticate.localhost'

  test.each(['/', '/.postern', '/.postern/', '/.postern/sign_in'])(
    'that begins at %s ends at the page about the person, with no code in the address and no nonce',
    async (path) => {
      const browser = world.browser()
      const callback = await callbackOf(await begin(browser, AUTH + path))
      expect([...(browser.cookies.get('authenticate.localhost')?.keys() ?? [])]).toEqual([
        expect.stringMatching(/^postern-sign-in\.[\w-]{12}$/),
      ])
      const page = await browser.go(callback)
      expect([page.status, page.url.href]).toEqual([200, `${AUTH}/`])
      expect(page.body).toContain('alice@example.com')
      expect([...(browser.cookies.get('authenticate.localhost')?.keys() ?? [])]).toEqual(['postern'])
      // Signed in: the same page at once, without the provider.
      expect((await browser.ask(`${AUTH}/`)).status).toBe(200)
      const again = await browser.go(`${AUTH}/.postern/sign_in`)
      expect([again.status, again.url.href]).toEqual([200, `${AUTH}/`])
      // And the first application costs no login.
      expect((await browser.go(APP)).url.href).toBe(APP)
    },
  )

  test('a link that we signed for a page there leads to it without a code', async () => {
    const browser = world.browser()
    await world.signIn(browser, APP, 'alice@example.com')
    const redirects = createRedirects(keyRingsOf(SHARED_SECRET))
    const signInUrl = `${AUTH}/.postern/sign_in`
    const { location } = redirects.start({ returnTo: `${AUTH}/.postern/sign_out` }, signInUrl, clock.now())
    const answer = await browser.ask(location)
    expect(answer.headers.location).toBe(`${AUTH}/.postern/sign_out`)
    expect((await browser.go(location)).status).toBe(200)
  })

  test('a script that is signed out gets 401 there, too', async () => {
    const answer = await world.browser().ask(`${AUTH}/`, { headers: { accept: 'application/json' } })
    expect(answer.status).toBe(401)
    expect(JSON.parse(answer.body)).toMatchObject({ login_url: `${AUTH}/.postern/sign_in` })
  })
})

describe('a signed link to the sign-in', () => {
  const linkOf = async (browser: Browser, url: string) => new URL((await browser.ask(url)).headers.location ?? '')
  /** On a connection of its own: a step of the clock closes idle ones. */
  const follow = (browser: Browser, url: URL) =>
    browser.ask(url, { headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', connection: 'close' } })

  test('half an hour old still signs in, with a session and without', async () => {
    const browser = world.browser()
    const link = await linkOf(browser, `${APP}late`)
    clock.advance(30 * MINUTE)
    expect((await world.signIn(browser, link.href, 'alice@example.com')).url.href).toBe(`${APP}late`)
    const other = world.browser()
    const held = await linkOf(other, `${APP}later`)
    await world.signIn(other, `${APP}now`, 'alice@example.com')
    clock.advance(30 * MINUTE)
    expect((await other.go(held)).url.href).toBe(`${APP}later`)
  })

  test('older than its nonce leads to the application, which begins anew', async () => {
    const browser = world.browser()
    const link = await linkOf(browser, `${APP}stale?a=1`)
    clock.advance(71 * MINUTE)
    for (let round = 0; round < 2; round++) {
      const answer = await follow(browser, link)
      expect([answer.status, answer.headers.location]).toEqual([302, `${APP}stale?a=1`])
      expect((await world.signIn(browser, link.href, 'alice@example.com')).url.href).toBe(`${APP}stale?a=1`)
    }
  })

  test('that is old and was changed is refused', async () => {
    const browser = world.browser()
    const link = await linkOf(browser, `${APP}stale`)
    clock.advance(71 * MINUTE)
    const changed = withQuery(link, (query) => query.set('return_to', 'https://evil.example/'))
    expect((await follow(browser, changed)).status).toBe(400)
  })
})

describe('I04 I05 I07 nonce and PKCE', () => {
  test('every sign-in asks with S256 and values of its own', async () => {
    const asked = await Promise.all([1, 2, 3].map(() => begin(world.browser())))
    for (const name of ['state', 'nonce', 'code_challenge']) {
      const values = asked.map(({ searchParams }) => searchParams.get(name) ?? '')
      expect(new Set(values).size).toBe(3)
      for (const value of values) expect(value).toMatch(name === 'state' ? /^[\w-]{64,}$/ : /^[\w-]{43}$/)
    }
    for (const { searchParams } of asked) {
      expect(searchParams.get('code_challenge_method')).toBe('S256')
      expect(searchParams.get('response_type')).toBe('code')
      expect(searchParams.get('redirect_uri')).toBe('http://authenticate.localhost/oauth2/callback')
    }
  })

  test('a code of another sign-in is refused, whoever began it', async () => {
    const [victim, attacker] = [world.browser(), world.browser()]
    const wanted = await begin(victim)
    const foreign = await callbackOf(await begin(attacker), 'bob@example.com')
    const planted = withQuery(foreign, (query) => query.set('state', wanted.searchParams.get('state') ?? ''))
    const answer = await victim.ask(planted)
    expect(answer.status).toBe(403)
    expect(signedInAt(victim)).toBe(false)
    expect(tokenCalls().map(({ status }) => status)).toEqual([400])
  })

  test('a pending cookie that is changed, cut, renamed or swapped is ignored', async () => {
    const browser = world.browser()
    const first = await callbackOf(await begin(browser))
    await begin(browser)
    const waiting = [...(browser.cookies.get('authenticate.localhost') ?? [])].flat()
    const [name = '', value = '', otherName = '', otherValue = ''] = waiting
    const broken = [
      `${name}=${otherValue}; ${otherName}=${value}`,
      `${name}=${value.slice(0, -1)}`,
      `${name}=`,
      `x${name}=${value}`,
      `${name}="${value}"`,
      `${name}=__proto__`,
      ...[0, 10, 60, value.length - 30, value.length - 2].map((at) => {
        const other = value[at] === 'B' ? 'C' : 'B'
        return `${name}=${value.slice(0, at)}${other}${value.slice(at + 1)}`
      }),
    ]
    for (const cookie of broken) {
      const thief = world.browser()
      expectNoSignIn(thief, await thief.ask(first, { headers: { accept: 'text/html', cookie } }))
    }
    expect((await browser.go(first)).url.href).toBe(APP)
  })

  test('K08 two pending cookies of one browser share no part and show nothing', async () => {
    const browser = world.browser()
    await begin(browser)
    await begin(browser)
    const [first = '', second = ''] = [...(browser.cookies.get('authenticate.localhost')?.values() ?? [])]
    const [header = ''] = first.split('.')
    const blocks = (value: string) => value.slice(header.length).match(/.{16}/g) ?? []
    const known = new Set(blocks(first))
    expect(blocks(second).some((block) => known.has(block))).toBe(false)
    expect(Buffer.from(first, 'base64url').toString()).not.toContain('app.localhost')
  })
})

describe('I09 I15 I18 redirects, tabs and errors of a sign-in', () => {
  test('a redirect to sign in holds nothing of the application', async () => {
    const before = world.received.length
    const answer = await world.browser().ask(`${APP}secret`)
    expect(answer).toMatchObject({ status: 302, body: '' })
    expect(world.received).toHaveLength(before)
  })

  test('twenty tabs of one browser make at most five small cookies a host, and every sign-in succeeds', async () => {
    const browser = world.browser()
    const tabs: URL[] = []
    for (let tab = 0; tab < 20; tab++) tabs.push(await begin(browser, `${APP}tab${tab}`))
    for (const host of ['app.localhost', 'authenticate.localhost']) {
      const held = [...(browser.cookies.get(host) ?? [])]
      expect(held.length).toBeLessThanOrEqual(5)
      expect(held.map((pair) => pair.join('=')).join('; ').length).toBeLessThan(4096)
    }
    for (const tab of [17, 15, 19, 16, 18]) {
      const callback = await callbackOf(only(tabs.slice(tab, tab + 1)))
      expect((await browser.go(callback)).url.href).toBe(`${APP}tab${tab}`)
    }
    // Of an older one the cookie is gone, but not the session.
    expect((await browser.go(await callbackOf(only(tabs.slice(3, 4))))).url.href).toBe(`${APP}tab3`)
  })

  test('three hundred fetches of a signed-out page set no cookie and keep no state', async () => {
    const browser = world.browser()
    const answers = await Promise.all(
      Array.from({ length: 300 }, () => browser.ask(`${APP}api`, { headers: { accept: 'application/json' } })),
    )
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([401]))
    expect(browser.cookies.get('app.localhost')?.size ?? 0).toBe(0)
  })

  test.each(['access_denied', 'login_required', 'server_error'])(
    'the provider’s error %s: a page once, the state is spent, no loop and no token request',
    async (error) => {
      const browser = world.browser()
      const state = (await begin(browser)).searchParams.get('state') ?? ''
      const callback = new URL('http://authenticate.localhost/oauth2/callback')
      callback.search = String(new URLSearchParams({ error, state, error_description: 'the provider’s words' }))
      const answer = await browser.ask(callback)
      expect(answer.status).toBe(403)
      expect(answer.headers.location).toBeUndefined()
      expect(answer.body).toContain('the provider’s words')
      expect(answer.body).toContain('Try again')
      expectNoSignIn(browser, await browser.ask(callback))
    },
  )

  test('an error without a pending state shows nothing of its parameters', async () => {
    const browser = world.browser()
    const answer = await browser.ask(
      'http://authenticate.localhost/oauth2/callback?error=access_denied&error_description=CALL+0900+NOW&state=x',
    )
    expectNoSignIn(browser, answer)
    expect(answer.body).not.toContain('0900')
  })
})

test('N07 N08 anonymous sign-in starts and random callbacks keep no state and send no request', async () => {
  const browser = world.browser()
  await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      browser.ask(`http://authenticate.localhost/oauth2/callback?code=${i}&state=${i}`),
    ),
  )
  expect(world.okta.calls()).toEqual([])
})
