/** Sign-out on the running program: by page and by script, here and everywhere, on another process, and one of one's own sessions. */
import { createServer } from 'node:http'
import { once } from 'node:events'
import { WebSocket, WebSocketServer } from 'ws'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { sessionTag } from '../../src/lib/audit.ts'
import type { Browser } from '../support/browser.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { createTestWorld, listenOn, portOf, type World } from '../support/world.ts'

const APP = 'http://app.localhost'
const ENGINEERING = 'http://engineering.localhost'
const AUTH = 'http://authenticate.localhost'
const FORM = { 'content-type': 'application/x-www-form-urlencoded', accept: 'text/html', 'sec-fetch-mode': 'navigate' }
const FIREFOX = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'

let world: World
let sockets: WebSocketServer
beforeAll(async () => {
  const upstream = await listenOn(createServer((_, res) => res.end('page')))
  sockets = new WebSocketServer({ server: upstream })
  const to = `http://127.0.0.1:${portOf(upstream)}`
  world = await createTestWorld({
    // The parameters of a sign-in are looked at.
    config: { idp_pushed_requests: false },
    routes: [
      { name: 'app', from: APP, to, allow_any_authenticated_user: true },
      { name: 'engineering', from: ENGINEERING, to, allowed_groups: ['Engineering'] },
    ],
  })
  return async () => {
    sockets.close()
    upstream.close()
    upstream.closeAllConnections()
  }
})
afterAll(() => world.close())

let alice: Browser
beforeEach(async () => {
  alice = await signedIn('alice')
})

async function signedIn(name: string, url = `${APP}/`): Promise<Browser> {
  const browser = world.browser()
  expect((await world.signIn(browser, url, `${name}@example.com`)).status).toBe(200)
  return browser
}
const isIn = async (browser: Browser, origin = APP) =>
  (await browser.ask(`${origin}/`, { headers: { accept: 'application/json' } })).status === 200
const idOf = (browser: Browser) => browser.cookies.get('app.localhost')?.get('postern')?.split('.')[1] ?? ''
const csrfOf = (body: string) => /name="csrf" value="([^"]+)"/.exec(body)?.[1] ?? ''
const post = (browser: Browser, url: string, fields: Readonly<Record<string, string>>, headers = {}) =>
  browser.ask(url, { method: 'POST', headers: { ...FORM, ...headers }, body: new URLSearchParams(fields).toString() })
const audited = () => world.log().filter(({ event }) => event === 'session-end')

/** As an application's page would: what `/.postern/user` says is all it knows. */
async function userOf(browser: Browser, origin = APP): Promise<{ sign_out_url: string; csrf_token: string }> {
  const { body } = await browser.ask(`${origin}/.postern/user`, { headers: { accept: 'application/json' } })
  return JSON.parse(body) as { sign_out_url: string; csrf_token: string }
}
const byScript = (browser: Browser, url: string, token: string, headers = {}, body?: string) =>
  browser.ask(url, {
    method: 'POST',
    headers: { accept: '*/*', 'sec-fetch-mode': 'cors', 'x-postern-csrf': token, ...headers },
    ...(body !== undefined && { body }),
  })

describe('by a script', () => {
  test('ends the session, and says where the provider’s own ends', async () => {
    const user = await userOf(alice)
    expect(user.sign_out_url).toBe(`${APP}/.postern/sign_out`)
    const out = await byScript(alice, user.sign_out_url, user.csrf_token)
    expect(out.status).toBe(200)
    expect(out.headers['set-cookie']?.[0]).toMatch(/^postern=; .*Max-Age=0/)
    const { redirect_to: next } = JSON.parse(out.body) as { redirect_to: string }
    // The application's script does not get the ID token: it may be worth something elsewhere.
    expect(next).toBe(`${AUTH}/.postern/sign_out?at=provider`)
    const stranger = await world.browser().ask(next)
    expect([stranger.status, stranger.headers.location]).toEqual([302, `${AUTH}/.postern/signed_out`])
    const atProvider = new URL((await alice.ask(next)).headers.location ?? '')
    expect(atProvider.pathname).toBe('/oauth2/v1/logout')
    expect(atProvider.searchParams.get('id_token_hint')).toMatch(/^eyJ/)
    const end = await alice.go(atProvider)
    expect(end.url.origin + end.url.pathname).toBe(`${AUTH}/.postern/signed_out`)
    expect(end.body).toContain(`href="${APP}/"`)
    // Once.
    expect((await alice.go(next)).url.href).toBe(`${AUTH}/.postern/signed_out`)
    expect(await isIn(alice)).toBe(false)
    expect(audited().at(-1)).toMatchObject({ reason: 'signed-out', email: 'alice@example.com' })
    // Again: there is nothing to end, and that is no fault.
    expect((await byScript(alice, user.sign_out_url, user.csrf_token)).status).toBe(200)
  })

  test.each<readonly [string, Readonly<Record<string, string>>]>([
    ['of no token', { 'x-postern-csrf': '' }],
    ['of a wrong one', { 'x-postern-csrf': 'A'.repeat(43) }],
    ['of another origin', { origin: 'http://evil.localhost' }],
    ['of an opaque origin', { origin: 'null' }],
  ])('%s ends nothing', async (_, headers) => {
    const user = await userOf(alice)
    const out = await byScript(alice, user.sign_out_url, user.csrf_token, headers)
    expect([out.status, JSON.parse(out.body)]).toEqual([400, expect.objectContaining({ error: 'ERR_BAD_REQUEST' })])
    expect(out.headers['set-cookie']).toBeUndefined()
    expect(await isIn(alice)).toBe(true)
  })

  test('the token of another host or session ends nothing', async () => {
    await alice.go(`${ENGINEERING}/`)
    const other = await signedIn('alice')
    for (const { csrf_token: token } of [await userOf(alice, ENGINEERING), await userOf(other)]) {
      expect((await byScript(alice, `${APP}/.postern/sign_out`, token)).status).toBe(400)
    }
    expect(await isIn(alice)).toBe(true)
  })

  test('a page of another site is refused the header', async () => {
    const preflight = await alice.ask(`${APP}/.postern/sign_out`, {
      method: 'OPTIONS',
      headers: {
        origin: 'http://evil.localhost',
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'x-postern-csrf',
      },
    })
    expect(preflight.status).toBe(405)
    expect(preflight.headers['access-control-allow-origin']).toBeUndefined()
  })
})

describe('everywhere', () => {
  const reasonsOf = (browser: Browser) =>
    audited()
      .filter(({ session }) => session === sessionTag(idOf(browser)))
      .map(({ reason }) => reason)

  test('ends every session of the person and no other, at the sign-in service', async () => {
    const [phone, bob] = [await signedIn('alice'), await signedIn('bob')]
    const page = await alice.ask(`${APP}/.postern/sign_out`)
    const link = /href="([^"]*)"[^>]*>Sign out everywhere/.exec(page.body)?.[1] ?? ''
    expect(link).toBe(`${AUTH}/.postern/sign_out?return_to=${encodeURIComponent(`${APP}/`)}`)
    const there = await alice.ask(link)
    expect(there.body).toContain('name="scope" value="everywhere"')
    expect(there.body).toContain(`name="return_to" value="${APP}/"`)
    const out = await post(alice, link, { csrf: csrfOf(there.body), scope: 'everywhere' })
    expect(out.status).toBe(303)
    expect([await isIn(alice), await isIn(phone), await isIn(bob)]).toEqual([false, false, true])
    expect([reasonsOf(alice), reasonsOf(phone)]).toEqual([['signed-out'], ['signed-out-everywhere']])
  })

  test('is nothing that a script of an application can do', async () => {
    const phone = await signedIn('alice')
    const { sign_out_url: url, csrf_token: token } = await userOf(alice)
    const form = { 'content-type': FORM['content-type'] }
    expect((await byScript(alice, url, token, form, 'scope=everywhere')).status).toBe(400)
    expect((await post(alice, url, { csrf: token, scope: 'everywhere' })).status).toBe(400)
    const { csrf_token: theirs } = await userOf(alice, AUTH)
    expect((await post(alice, url, { csrf: theirs, scope: 'everywhere' })).status).toBe(400)
    expect([await isIn(alice), await isIn(phone)]).toEqual([true, true])
    // Nor does it see where else the person is signed in.
    const page = await alice.ask(`${APP}/.postern/account`)
    expect(page.body).not.toContain(sessionTag(idOf(phone)))
    expect(page.body).toContain(`href="${AUTH}/.postern/account"`)
    expect((await post(alice, `${APP}/.postern/end_session`, { csrf: token, session: 'x' })).status).toBe(404)
  })
})

test('K06 on another process it is over as well, and streams there are cut', async () => {
  const other = await world.another()
  try {
    const socket = new WebSocket(`ws://127.0.0.1:${other.app.listener.address.port}/`, {
      headers: { host: 'app.localhost', cookie: `postern=${alice.cookies.get('app.localhost')?.get('postern')}` },
    })
    await once(socket, 'open')
    const replay = other.browser()
    const cookie = `postern=${alice.cookies.get('app.localhost')?.get('postern')}`
    const there = async () => (await replay.ask(`${APP}/`, { headers: { accept: 'application/json', cookie } })).status
    expect(await there()).toBe(200)
    const closed = once(socket, 'close')
    const { sign_out_url: url, csrf_token: token } = await userOf(alice)
    await byScript(alice, url, token)
    await expect.poll(there, { interval: 20 }).toBe(401)
    await closed
  } finally {
    await other.close()
  }
})

describe('the page after a sign-out', () => {
  test.each([
    ['an application leads back to it', APP, `${APP}/`],
    ['the sign-in service leads to its own page', AUTH, `${AUTH}/.postern/sign_in`],
  ])('at %s', async (_, origin, back) => {
    const page = await alice.ask(`${origin}/.postern/sign_out`)
    const out = await post(alice, `${origin}/.postern/sign_out`, { csrf: csrfOf(page.body) })
    const end = await alice.go(out.headers.location ?? '')
    expect(end.body).toContain('You are signed out')
    expect(/href="([^"]*)"[^>]*>Sign in again/.exec(end.body)?.[1]).toBe(back)
  })

  test('“Stay signed in” leads back to the application', async () => {
    const page = await alice.ask(`${APP}/.postern/sign_out?return_to=/wiki`)
    expect(/href="([^"]*)"[^>]*>Stay signed in/.exec(page.body)?.[1]).toBe(`${APP}/wiki`)
    const front = await alice.ask(`${APP}/.postern/sign_out`)
    expect(/href="([^"]*)"[^>]*>Stay signed in/.exec(front.body)?.[1]).toBe(`${APP}/`)
  })
})

describe('“Use another account” on the page that refuses', () => {
  test('ends at the address that was refused, for whoever signs in then', async () => {
    const browser = world.browser()
    const refused = await world.signIn(browser, `${ENGINEERING}/wiki?a=1`, 'bob@example.com')
    expect(refused.status).toBe(403)
    const link = /href="([^"]*sign_out[^"]*)"/.exec(refused.body)?.[1] ?? ''
    const page = await browser.ask(new URL(link, refused.url))
    const back = /name="return_to" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    expect(back).toBe(`${ENGINEERING}/wiki?a=1`)
    const out = await post(browser, `${ENGINEERING}/.postern/sign_out`, { csrf: csrfOf(page.body), return_to: back })
    expect(new URL(out.headers.location ?? '').searchParams.get('post_logout_redirect_uri')).toBe(
      `${AUTH}/.postern/signed_out`,
    )
    const end = await browser.go(out.headers.location ?? '')
    expect(end.url.pathname).toBe('/.postern/signed_out')
    const again = /href="([^"]*engineering[^"]*)"/.exec(end.body)?.[1] ?? ''
    const landed = await world.signIn(browser, again, 'alice@example.com')
    expect([landed.status, landed.url.href]).toEqual([200, `${ENGINEERING}/wiki?a=1`])
  })

  test.each([
    'https://evil.example/',
    '//evil.example',
    '/\\evil.example',
    `${AUTH}/`,
    `${APP}/x`,
    'javascript:alert(1)',
    `${ENGINEERING}@evil.example/`,
    `/${'x'.repeat(2000)}`,
  ])('does not lead to %s', async (address) => {
    const browser = await signedIn('alice', `${ENGINEERING}/`)
    const page = await browser.ask(`${ENGINEERING}/.postern/sign_out?${new URLSearchParams({ return_to: address })}`)
    expect(page.body).toContain(`name="return_to" value="${ENGINEERING}/"`)
    const out = await post(browser, `${ENGINEERING}/.postern/sign_out`, { csrf: csrfOf(page.body), return_to: address })
    const end = await browser.go(out.headers.location ?? '')
    expect(/href="([^"]*)"[^>]*>Sign in again/.exec(end.body)?.[1]).toBe(`${ENGINEERING}/`)
  })

  test('a state of somebody else’s making is none', async () => {
    const page = await alice.ask(`${AUTH}/.postern/signed_out?state=${'A'.repeat(80)}`)
    expect(page.body).toContain(`href="${AUTH}/.postern/sign_in"`)
  })
})

describe('the person’s own page', () => {
  test('lists where they are signed in, and ends one of these', async () => {
    const phone = world.browser()
    const headers = { accept: 'text/html', 'sec-fetch-mode': 'navigate', 'user-agent': FIREFOX }
    const start = await phone.go(`${APP}/`, (url) => url.origin === world.okta.url)
    const posted = await world.signIn(phone, start.url.href, 'alice@example.com')
    expect(posted.status).toBe(200)
    const page = await alice.ask(`${AUTH}/.postern/account`, { headers })
    expect(page.body).toContain('Where you are signed in')
    expect(page.body).toContain('(this one)')
    const tag = sessionTag(idOf(phone))
    expect(page.body).toContain(`name="session" value="${tag}"`)
    // One's own ends by signing out.
    expect(page.body).not.toContain(sessionTag(idOf(alice)))
    expect(page.body).not.toContain(idOf(phone))

    const url = `${AUTH}/.postern/end_session`
    expect((await post(alice, url, { csrf: 'wrong', session: tag })).status).toBe(400)
    expect((await post(alice, url, { csrf: csrfOf(page.body), session: tag }, { origin: APP })).status).toBe(400)
    expect(await isIn(phone)).toBe(true)
    const ended = await post(alice, url, { csrf: csrfOf(page.body), session: tag })
    expect([ended.status, ended.headers.location]).toEqual([303, `${AUTH}/.postern/account`])
    expect([await isIn(alice), await isIn(phone)]).toEqual([true, false])
    expect(audited().at(-1)).toMatchObject({ reason: 'ended-by-person', session: tag })
    expect((await alice.ask(ended.headers.location ?? '')).body).not.toContain(tag)
  })

  test('ends nobody else’s session', async () => {
    const bob = await signedIn('bob')
    const { csrf_token: csrf } = await userOf(alice, AUTH)
    const answer = await post(alice, `${AUTH}/.postern/end_session`, { csrf, session: sessionTag(idOf(bob)) })
    expect(answer.status).toBe(303)
    expect(await isIn(bob)).toBe(true)
  })

  test('one’s own session ends as by signing out; without a session the page asks for a sign-in', async () => {
    const { csrf_token: csrf } = await userOf(alice, AUTH)
    const url = `${AUTH}/.postern/end_session`
    const out = await post(alice, url, { csrf, session: sessionTag(idOf(alice)) })
    expect(new URL(out.headers.location ?? '').pathname).toBe('/oauth2/v1/logout')
    expect(await isIn(alice)).toBe(false)
    const late = await post(alice, url, { csrf, session: 'x' })
    expect([late.status, late.headers.location]).toEqual([303, `${AUTH}/.postern/account`])
    expect((await alice.ask(url)).status).toBe(405)
  })
})

describe('at a provider that has no sign-out of its own', () => {
  beforeAll(async () => {
    const path = '/.well-known/openid-configuration'
    const { end_session_endpoint: _, ...metadata } = (await (await fetch(world.okta.url + path)).json()) as Record<
      string,
      unknown
    >
    world.okta.fault({ path, act: { kind: 'status', status: 200, body: JSON.stringify(metadata) } })
    await world.restart()
    return async () => {
      world.okta.clearFaults()
      await world.restart()
    }
  })

  test('another account is asked for, and ends at the address that was refused', async () => {
    const bob = world.browser()
    const refused = await world.signIn(bob, `${ENGINEERING}/wiki?a=1`, 'bob@example.com')
    const link = /href="([^"]*sign_out[^"]*)"/.exec(refused.body)?.[1] ?? ''
    const page = await bob.ask(new URL(link, refused.url))
    const back = /name="return_to" value="([^"]+)"/.exec(page.body)?.[1] ?? ''
    const out = await post(bob, `${ENGINEERING}/.postern/sign_out`, { csrf: csrfOf(page.body), return_to: back })
    const end = await bob.go(out.headers.location ?? '')
    expect([end.status, end.url.pathname]).toEqual([200, '/.postern/signed_out'])
    const again = /href="([^"]*sign_in[^"]*)"/.exec(end.body)?.[1] ?? ''
    // Whoever signed in meanwhile is not asked about.
    await world.signIn(bob, `${APP}/`, 'bob@example.com')
    const asked = await bob.go(again, (url) => url.origin === world.okta.url)
    expect(asked.url.searchParams.get('prompt')).toBe('select_account')
    asked.url.searchParams.delete('prompt')
    const callback = await signInWith(world.okta.url, asked.url, 'alice@example.com')
    const landed = await bob.go(callback)
    expect([landed.status, landed.url.href]).toEqual([200, `${ENGINEERING}/wiki?a=1`])
  })

  test.each(['A'.repeat(80), '', 'https://evil.example/'])('a link with the state %j is refused', async (state) => {
    const answer = await alice.ask(`${AUTH}/.postern/sign_in?${new URLSearchParams({ state })}`)
    expect([answer.status, answer.headers.location]).toEqual([400, undefined])
  })

  test('a script is told of our page', async () => {
    const user = await userOf(alice)
    const out = await byScript(alice, user.sign_out_url, user.csrf_token)
    const { redirect_to: next } = JSON.parse(out.body) as { redirect_to: string }
    expect(next).toMatch(`${AUTH}/.postern/signed_out?state=`)
  })
})

test('signout_redirect_url is where every sign-out ends', async () => {
  world.reload({ signout_redirect_url: 'https://intranet.example/bye' })
  const { sign_out_url: url, csrf_token: csrf } = await userOf(alice)
  const out = await post(alice, url, { csrf, return_to: `${APP}/x` })
  const end = new URL(out.headers.location ?? '')
  expect(end.searchParams.get('post_logout_redirect_uri')).toBe('https://intranet.example/bye')
  expect(end.searchParams.has('state')).toBe(false)
})
