/** I16: routes that ask for a strong or a recent sign-in, with an identity provider that gives it, cannot, or does not listen. */
import { afterEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import type { Answer, Browser } from '../support/browser.ts'
import { type ManualClock, manualClock } from '../support/clock.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { connect } from 'node:net'

const WIKI = 'http://wiki.localhost'
const VAULT = 'http://vault.localhost'
const LOGIN = 'alice@example.com'
const TWO_FACTORS = 'urn:okta:loa:2fa:any'
const SCRIPT = { accept: 'application/json' }

let world: World
let clock: ManualClock
afterEach(() => world.close())

async function worldWith(vault: Readonly<Record<string, unknown>>): Promise<void> {
  clock = manualClock()
  world = await createTestWorld({
    clock,
    // The parameters of a sign-in are looked at.
    config: { idp_pushed_requests: false },
    routes: [
      { from: WIKI, allow_any_authenticated_user: true },
      { from: VAULT, allow_any_authenticated_user: true, ...vault },
    ],
  })
}

function giveSecondFactor(): void {
  world.okta.org.updatePerson(DEMO.people.alice, { secondFactor: true }, 'user.mfa.factor.activate')
}

/** Where the browser was asked to prove more, and what for. */
function askedOf({ url }: Answer): string | null {
  return url.origin === world.okta.url ? url.pathname : null
}

async function ask(browser: Browser, url: string): Promise<Answer> {
  return browser.ask(url, { headers: SCRIPT })
}

describe('acr_values', () => {
  test('a session with one factor is asked for the second, and comes to the address that it asked for', async () => {
    await worldWith({ acr_values: [TWO_FACTORS] })
    giveSecondFactor()
    const browser = world.browser()
    expect((await world.signIn(browser, WIKI, LOGIN)).status).toBe(200)
    // The session is known, and not enough: the provider's form comes up although its own session lives.
    expect(askedOf(await browser.go(`${VAULT}/deep?q=1`))).not.toBeNull()
    const answer = await world.signIn(browser, `${VAULT}/deep?q=1`, LOGIN)
    expect([answer.status, answer.url.href]).toEqual([200, `${VAULT}/deep?q=1`])
    // From now on it is enough, at the other application, too, and it is the same session.
    expect((await ask(browser, VAULT)).status).toBe(200)
    expect((await ask(browser, WIKI)).status).toBe(200)
  })

  test('somebody who is not signed in at all signs in once, as the route asks', async () => {
    await worldWith({ acr_values: [TWO_FACTORS] })
    giveSecondFactor()
    const browser = world.browser()
    expect((await world.signIn(browser, VAULT, LOGIN)).status).toBe(200)
    expect((await browser.go(WIKI)).status).toBe(200)
  })

  test('somebody without a second factor gets the page that says so, and keeps the session', async () => {
    await worldWith({ acr_values: [TWO_FACTORS] })
    const browser = world.browser()
    await world.signIn(browser, WIKI, LOGIN)
    const answer = await world.signIn(browser, VAULT, LOGIN)
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('A stronger sign-in is needed')
    expect(answer.body).toContain(`href="${VAULT}/"`)
    expect((await ask(browser, WIKI)).status).toBe(200)
  })

  test('a provider that does not know the class signs in anyhow: 403 with the reason, no loop, and other routes open', async () => {
    await worldWith({ acr_values: ['urn:example:gold'] })
    const browser = world.browser()
    const answer = await world.signIn(browser, VAULT, LOGIN)
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('A stronger sign-in is needed')
    expect((await browser.go(WIKI)).status).toBe(200)
    // Each try is the person's own, and ends here.
    expect((await browser.go(VAULT)).status).toBe(403)
    expect(world.received.filter(({ headers }) => headers.host === 'vault.localhost')).toEqual([])
    expect(world.log().find(({ hint }) => hint === 'stronger-sign-in')).toMatchObject({
      level: 'warn',
      error: 'ERR_IDP_REJECTED',
      idp_error: 'unmet_authentication_requirements',
    })
  })

  test('a program hears what is asked for, and where a window may go for it', async () => {
    await worldWith({ acr_values: [TWO_FACTORS, 'phr'], max_auth_age: '15m' })
    giveSecondFactor()
    const browser = world.browser()
    expect((await world.signIn(browser, VAULT, LOGIN)).status).toBe(200)
    // The cookie of the host is good, and its session is not.
    clock.advance(20 * 60_000)
    const refused = await ask(browser, `${VAULT}/api`)
    expect(refused.status).toBe(401)
    expect(refused.headers['www-authenticate']).toBe(
      `Bearer realm="${VAULT}", error="insufficient_user_authentication", acr_values="${TWO_FACTORS} phr", max_age="900", resource_metadata="${VAULT}/.postern/oauth-protected-resource"`,
    )
    const body = JSON.parse(refused.body) as Record<string, string>
    expect(body).toMatchObject({
      error: 'insufficient_user_authentication',
      reason: 'authentication-insufficient',
      acr_values: `${TWO_FACTORS} phr`,
      max_age: 900,
    })
    expect((await world.signIn(browser, `${body['login_url']}&return_to=/page`, LOGIN)).url.href).toBe(`${VAULT}/page`)
    expect((await ask(browser, `${VAULT}/api`)).status).toBe(200)
  })

  test('a form is not lost by a redirect', async () => {
    await worldWith({ acr_values: ['urn:example:gold'] })
    const browser = world.browser()
    await world.signIn(browser, WIKI, LOGIN)
    await browser.go(`${VAULT}/.postern/sign_in`)
    const { status, body } = await browser.ask(VAULT, { method: 'POST', body: 'a=1' })
    expect(status).toBe(401)
    expect(body).toContain('Sign in once more')
  })

  test('what a signed link asks for cannot be left out or changed', async () => {
    await worldWith({ acr_values: [TWO_FACTORS] })
    const browser = world.browser()
    await world.signIn(browser, WIKI, LOGIN)
    const link = new URL((await browser.ask(VAULT)).headers.location ?? '')
    expect(JSON.parse(link.searchParams.get('demand') ?? '')).toEqual({ acrValues: [TWO_FACTORS] })
    for (const written of [undefined, '{}', '{"acrValues":["urn:okta:loa:1fa:any"]}']) {
      const other = new URL(link)
      other.searchParams.delete('demand')
      if (written !== undefined) other.searchParams.set('demand', written)
      expect((await browser.ask(other)).status, written).toBe(400)
    }
    const twice = new URL(link)
    twice.searchParams.append('demand', '{}')
    expect((await browser.ask(twice)).status).toBe(400)
  })

  test('a callback that is opened twice leads on', async () => {
    await worldWith({ acr_values: [TWO_FACTORS] })
    giveSecondFactor()
    const browser = world.browser()
    const seen: URL[] = []
    const watched = { ...browser, go: (url: string | URL) => browser.go(url, (at) => seen.push(at) === 0) }
    await world.signIn(watched, VAULT, LOGIN)
    const callback = seen.find(({ pathname }) => pathname === '/oauth2/callback')
    expect(callback).toBeDefined()
    expect((await browser.go(callback ?? '')).url.href).toBe(`${VAULT}/`)
  })
})

describe('max_session_age', () => {
  test('an older session signs in again, and proves again who it is; use and refreshes do not make it younger', async () => {
    await worldWith({ max_session_age: '2h' })
    const browser = world.browser()
    await world.signIn(browser, VAULT, LOGIN)
    await browser.go(WIKI)
    for (let i = 0; i < 2; i++) {
      clock.advance(59 * 60_000)
      expect((await browser.go(VAULT)).status).toBe(200)
      await clock.advanceAsync(100)
    }
    clock.advance(4 * 60_000)
    expect((await ask(browser, VAULT)).status).toBe(401)
    expect((await ask(browser, WIKI)).status).toBe(200)
    const link = await browser.ask((await browser.ask(VAULT)).headers.location ?? '')
    expect(new URL(link.headers.location ?? '').searchParams.get('max_age')).toBe('7200')
    expect((await world.signIn(browser, `${VAULT}/page`, LOGIN)).url.href).toBe(`${VAULT}/page`)
    clock.advance(100 * 60_000)
    expect((await ask(browser, VAULT)).status).toBe(200)
    // The same session all the time: cookie_expire counts from its begin.
    expect(world.log().flatMap(({ event }) => event ?? [])).toEqual(['session-begin', 'session-renewed'])
  })

  test('a provider that signs in without asking is refused with a page, once for each try of the person', async () => {
    await worldWith({ max_session_age: '30m' })
    const browser = world.browser()
    await world.signIn(browser, VAULT, LOGIN)
    clock.advance(40 * 60_000)
    // As a provider does that ignores `max_age`: its own session is not asked again.
    const begun = await browser.ask((await browser.ask(VAULT)).headers.location ?? '')
    const authorize = new URL(begun.headers.location ?? '')
    authorize.searchParams.delete('max_age')
    const answer = await browser.go(authorize)
    expect(answer.status).toBe(403)
    expect(answer.body).toContain('A more recent sign-in is needed')
    expect((await ask(browser, VAULT)).status).toBe(401)
  })
})

describe('max_auth_age', () => {
  test('a session that is older is sent to the provider, which asks the person again', async () => {
    await worldWith({ max_auth_age: '15m' })
    const browser = world.browser()
    await world.signIn(browser, VAULT, LOGIN)
    await clock.advanceAsync(10 * 60_000)
    expect((await browser.go(VAULT)).status).toBe(200)
    await clock.advanceAsync(7 * 60_000)
    const link = await browser.ask((await browser.ask(VAULT)).headers.location ?? '')
    expect(new URL(link.headers.location ?? '').searchParams.get('max_age')).toBe('900')
    expect(askedOf(await browser.go(VAULT))).not.toBeNull()
    expect((await browser.ask(WIKI)).status).toBe(302)
    expect((await world.signIn(browser, VAULT, LOGIN)).status).toBe(200)
    await clock.advanceAsync(10 * 60_000)
    expect((await ask(browser, VAULT)).status).toBe(200)
  })

  test('an open stream ends when the sign-in is too old for the route', async () => {
    clock = manualClock()
    world = await createTestWorld({
      clock,
      routes: [{ from: VAULT, allow_any_authenticated_user: true, max_auth_age: '5m' }],
      upstream(req, res) {
        if (req.url === '/events') res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
        else res.end('ok')
      },
    })
    const browser = world.browser()
    await world.signIn(browser, `${VAULT}/.postern/sign_in`, LOGIN)
    const cookie = [...(browser.cookies.get('vault.localhost') ?? [])].map((pair) => pair.join('=')).join('; ')
    const socket = connect(world.port, '127.0.0.1')
    let heard = ''
    let closed = false
    socket.on('data', (chunk: Buffer) => (heard += chunk.toString('latin1'))).on('close', () => (closed = true))
    socket.write(`GET /events HTTP/1.1\r\nhost: vault.localhost\r\ncookie: ${cookie}\r\n\r\n`)
    await expect.poll(() => heard, { timeout: 30_000 }).toContain('data: 1')
    await clock.advanceAsync(4 * 60_000)
    expect(closed).toBe(false)
    await clock.advanceAsync(3 * 60_000)
    await expect.poll(() => closed, { timeout: 30_000 }).toBe(true)
  })
})
