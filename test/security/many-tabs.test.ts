/**
 * A browser restored with many tabs after a weekend (oauth2-proxy #611, #817, #1888, #3258): every tab arrives where it was,
 * in whatever order its person finishes. The five newest sign-ins wait in cookies; of older ones the signed `state` says
 * where to, and the browser's own session says who. A callback of somebody else still signs nobody in (RFC 9700 §4.7).
 */
import { keyRingsOf } from '../support/key-rings.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { createStates } from '../../src/authenticate/state.ts'
import type { Browser } from '../support/browser.ts'
import { only } from '../support/gauntlet.ts'
import { createCookieJar, signInWith } from '../support/okta-sign-in.ts'
import { createTestWorld, SHARED_SECRET, type World } from '../support/world.ts'

const APP = 'http://app.localhost/'
const AUTH = 'http://authenticate.localhost'
const CALLBACK = `${AUTH}/oauth2/callback`

let world: World
beforeAll(async () => {
  world = await createTestWorld({
    config: { idp_timeout: '60s' },
    routes: ['app', 'wiki', 'ci'].map((name) => ({
      name,
      from: `http://${name}.localhost`,
      allow_any_authenticated_user: true,
    })),
  })
})
beforeEach(() => world.okta.clearCalls())
afterAll(() => world.close())

const begin = async (browser: Browser, url: string): Promise<URL> =>
  (await browser.go(url, (next) => next.origin === world.okta.url)).url
const callbackOf = (authorize: URL, login = 'alice@example.com') => signInWith(world.okta.url, authorize, login)
const tokenCalls = () => world.okta.calls().filter(({ path }) => path.endsWith('/token')).length
const signedInAs = async (browser: Browser, origin = 'http://app.localhost') =>
  (JSON.parse((await browser.ask(`${origin}/.postern/user`)).body) as { readonly email?: string }).email

const TABS = Array.from({ length: 12 }, (_, tab) => tab)
const OF_ONE_HOST = TABS.map((tab) => `${APP}tab/${tab}?q=${tab}`)
const OF_THREE_HOSTS = TABS.map((tab) => `http://${['app', 'wiki', 'ci'][tab % 3]}.localhost/tab/${tab}`)
const LONG = TABS.map((tab) => `${APP}tab/${tab}?q=${'x'.repeat(4000)}`)

describe('twelve tabs that began signed out', () => {
  test.each<readonly [string, readonly string[], readonly number[]]>([
    ['of one host, the oldest first', OF_ONE_HOST, TABS],
    ['of one host, the newest first', OF_ONE_HOST, TABS.toReversed()],
    ['of one host, in no order', OF_ONE_HOST, [4, 9, 0, 11, 6, 2, 7, 1, 10, 3, 8, 5]],
    ['of three hosts, the oldest first', OF_THREE_HOSTS, TABS],
    ['of three hosts, in no order', OF_THREE_HOSTS, [6, 1, 11, 3, 0, 8, 2, 10, 5, 9, 4, 7]],
    ['with long addresses, the oldest first', LONG, TABS],
  ])('%s: twelve arrive', async (_, addresses, order) => {
    const browser = world.browser()
    // What the browser holds of the provider's cookies: its session there, after the first sign-in.
    const okta = createCookieJar()
    const atProvider = (url: URL) => signInWith(world.okta.url, url, 'alice@example.com', okta)
    const starts: URL[] = []
    for (const address of addresses) starts.push(await begin(browser, address))
    for (const tab of order) {
      let here = await browser.go(
        await atProvider(only(starts.slice(tab, tab + 1))),
        ({ origin }) => origin === world.okta.url,
      )
      if (here.url.origin === world.okta.url) here = await browser.go(await atProvider(here.url))
      expect([here.status, here.url.href]).toEqual([200, addresses[tab]])
    }
    const jar = [...(browser.cookies.get('authenticate.localhost')?.keys() ?? [])]
    expect(jar.length).toBeLessThanOrEqual(6)
  })
})

describe('a callback that this browser does not wait for', () => {
  test('goes on with the session of this browser; its code and its person are not used', async () => {
    const victim = world.browser()
    await world.signIn(victim, APP, 'alice@example.com')
    const planted = await callbackOf(await begin(world.browser(), `${APP}planted`), 'bob@example.com')
    world.okta.clearCalls()
    const answer = await victim.ask(planted)
    expect([answer.status, answer.headers.location]).toEqual([302, `${APP}planted`])
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(tokenCalls()).toBe(0)
    expect(await signedInAs(victim)).toBe('alice@example.com')
  })

  test('begins once more without a session where five sign-ins wait, and then ends at a page with a way on', async () => {
    const browser = world.browser()
    const oldest = await begin(browser, `${APP}oldest`)
    for (let tab = 0; tab < 5; tab++) await begin(browser, `${APP}tab${tab}`)
    const again = await browser.ask(await callbackOf(oldest))
    const authorize = new URL(again.headers.location ?? '')
    expect([again.status, authorize.origin]).toEqual([302, world.okta.url])
    expect(tokenCalls()).toBe(0)
    // The cookie of the second one is lost, too.
    browser.cookies
      .get('authenticate.localhost')
      ?.delete([...(browser.cookies.get('authenticate.localhost')?.keys() ?? [])].at(-1) ?? '')
    await begin(browser, `${APP}one-more`)
    const end = await browser.ask(await callbackOf(authorize))
    expect(end.status).toBe(400)
    expect(end.body).toContain(`href="${APP}oldest"`)
    expect(tokenCalls()).toBe(0)
  })

  test('of somebody else signs in the person at this browser, where five sign-ins wait', async () => {
    const victim = world.browser()
    for (let tab = 0; tab < 5; tab++) await begin(victim, `${APP}tab${tab}`)
    const planted = await callbackOf(await begin(world.browser(), `${APP}planted`), 'bob@example.com')
    const own = new URL((await victim.ask(planted)).headers.location ?? '')
    expect((await victim.go(await callbackOf(own, 'alice@example.com'))).url.href).toBe(`${APP}planted`)
    expect(await signedInAs(victim)).toBe('alice@example.com')
  })

  test('without a session and with no sign-ins waiting is a page, whose link leads where the person wanted to go', async () => {
    const callback = await callbackOf(await begin(world.browser(), `${APP}wanted`))
    const answer = await world.browser().ask(callback)
    expect(answer.status).toBe(400)
    expect(answer.headers['set-cookie']).toBeUndefined()
    expect(answer.body).toContain(`href="${APP}wanted"`)
  })

  test.each([
    ['not ours', () => 'A'.repeat(200)],
    ['an address', () => 'https://evil.example/'],
    ['sealed by another secret', () => sealed('a'.repeat(32), `${APP}x`)],
    ['for a host without a route', () => sealed(SHARED_SECRET, 'https://evil.example/')],
    ['for a user name before our host', () => sealed(SHARED_SECRET, 'http://evil@app.localhost/')],
  ])(
    'whose state is %s is a page with a way to sign in, and with a session leads to the own page',
    async (_, state) => {
      const query = new URLSearchParams({ code: 'c', state: state() })
      const browser = world.browser()
      const signedOut = await browser.ask(`${CALLBACK}?${query}`)
      expect([signedOut.status, signedOut.headers.location]).toEqual([400, undefined])
      expect(signedOut.body).not.toContain('evil')
      expect(signedOut.body).toContain(`href="${AUTH}/"`)
      await world.signIn(browser, APP, 'alice@example.com')
      const signedIn = await browser.ask(`${CALLBACK}?${query}`)
      expect([signedIn.status, signedIn.headers.location]).toEqual([302, `${AUTH}/`])
      expect((await browser.go(`${CALLBACK}?${query}`)).body).toContain('alice@example.com')
    },
  )

  test('of a session that ended is a page again', async () => {
    const browser = world.browser()
    const callback = await callbackOf(await begin(browser, APP))
    await browser.go(callback)
    expect((await browser.ask(callback)).status).toBe(302)
    browser.cookies.get('authenticate.localhost')?.clear()
    expect((await browser.ask(callback)).status).toBe(400)
  })
})

test('a hand-off whose nonce was forgotten for newer tabs goes on with the session of this host', async () => {
  const browser = world.browser()
  const handOff = await browser.ask(await callbackOf(await begin(browser, `${APP}slow`)))
  // They stand between the two hosts, on a slow network.
  for (let tab = 0; tab < 5; tab++) await browser.ask(`${APP}tab${tab}`)
  await browser.go(`${APP}fast`)
  expect(await signedInAs(browser)).toBe('alice@example.com')
  const slow = await browser.ask(handOff.headers.location ?? '')
  expect([slow.status, slow.headers.location, slow.headers['set-cookie']]).toEqual([302, `${APP}slow`, undefined])
})

test('a hand-off that newer sign-ins pushed out begins once more, and signs nobody in by itself', async () => {
  const browser = world.browser()
  const handOff = new URL(
    (await browser.ask(await callbackOf(await begin(browser, `${APP}first`)))).headers.location ?? '',
  )
  for (let tab = 0; tab < 5; tab++) await browser.ask(`${APP}tab${tab}`)
  const pushedOut = await browser.ask(handOff)
  expect([pushedOut.status, pushedOut.headers.location]).toEqual([302, `${APP}first`])
  expect(pushedOut.headers['set-cookie']).toBeUndefined()
  // The sign-in service knows who this is: no second sign-in at the provider.
  expect((await browser.go(`${APP}first`)).url.href).toBe(`${APP}first`)
  expect(await signedInAs(browser)).toBe('alice@example.com')
})

test('the nonce of a sign-in lives as long as the sign-in may take', async () => {
  const { headers } = await world.browser().ask(APP)
  expect(headers['set-cookie']?.[0]).toContain('Max-Age=4200;')
})

function sealed(secret: string, url: string): string {
  return createStates(keyRingsOf(secret)).seal({ returnTo: new URL(url), again: false, demand: {} })
}
