/**
 * Several identity providers, one of which is the attacker's (mix-up, RFC 9700 §4.4; RFC 9207): the code of an honest one
 * must not reach another, and a choice, a cookie or a link that somebody has changed must not make a session count where
 * it does not. On raw sockets, because browsers would mend some of it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { type HostileIdp, startHostileIdp } from '../integration/identity/hostile-idp.ts'
import type { Browser } from '../support/browser.ts'
import { signInWith } from '../support/okta-sign-in.ts'
import { sendRaw } from '../support/wire.ts'
import { createTestWorld, type World } from '../support/world.ts'

const AUTH = 'authenticate.localhost'
const HONEST = 'http://honest.localhost/'
const EVIL = 'http://evil.localhost/'
const EVIL_CALLBACK = '/oauth2/callback/evil'
const ALICE = 'alice@example.com'

let evil: HostileIdp
let world: World
beforeAll(async () => {
  evil = await startHostileIdp()
  world = await createTestWorld({
    config: {
      identity_providers: { evil: { url: evil.issuer, client_id: 'postern', client_secret: 'secret-of-evil' } },
    },
    routes: [
      { from: 'http://honest.localhost', identity_provider: 'default', allow_any_authenticated_user: true },
      { from: 'http://evil.localhost', identity_provider: 'evil', allow_any_authenticated_user: true },
    ],
  })
})
beforeEach(() => {
  evil.behave({})
  world.okta.clearCalls()
})
afterAll(async () => {
  await world.close()
  await evil.close()
})

const honestTokenCalls = () => world.okta.calls().filter(({ path }) => path.endsWith('/token')).length

function cookiesOf(browser: Browser, host: string): string {
  return [...(browser.cookies.get(host) ?? [])].map((pair) => pair.join('=')).join('; ')
}

async function get(target: string, cookie: string, host = AUTH) {
  const lines = [`GET ${target} HTTP/1.1`, `Host: ${host}`, 'Accept: text/html', 'Sec-Fetch-Mode: navigate']
  const all = [...lines, ...(cookie ? [`Cookie: ${cookie}`] : []), 'Connection: close', '', '']
  const [answer] = await sendRaw(world.port, all.join('\r\n'))
  return { status: answer?.status, location: answer?.header('location'), setCookie: answer?.header('set-cookie') }
}

/** As far as the address where the browser is sent to sign in. */
async function begin(url: string, issuer: string) {
  const browser = world.browser()
  const { url: authorize } = await browser.go(url, (next) => next.origin === issuer)
  evil.nonce = authorize.searchParams.get('nonce') ?? ''
  return { browser, authorize, state: authorize.searchParams.get('state') ?? '', cookie: cookiesOf(browser, AUTH) }
}

describe('the code of the honest provider', () => {
  test('is not sent to the attacker that had the browser begin with itself', async () => {
    const { authorize, state, cookie } = await begin(EVIL, evil.issuer)
    // What the attacker answers: on to the honest one, as if the person had chosen that.
    const mixed = new URL('/oauth2/v1/authorize', world.okta.url)
    mixed.search = new URLSearchParams({
      ...Object.fromEntries(authorize.searchParams),
      client_id: DEMO.clientId,
      redirect_uri: `http://${AUTH}/oauth2/callback`,
      scope: 'openid',
    }).toString()
    const callback = await signInWith(world.okta.url, mixed, ALICE)
    expect([callback.pathname, callback.searchParams.get('state')]).toEqual(['/oauth2/callback', state])
    const answer = await get(callback.pathname + callback.search, cookie)
    expect(answer.status).toBe(400)
    expect(answer.setCookie ?? '').not.toMatch(/postern(?:-of\.evil)?=v1/)
    expect([evil.callsTo('/token'), honestTokenCalls()]).toEqual([0, 0])
  })

  test('is not taken at the redirect URI of another provider', async () => {
    const { authorize, cookie } = await begin(HONEST, world.okta.url)
    const callback = await signInWith(world.okta.url, authorize, ALICE)
    expect((await get(EVIL_CALLBACK + callback.search, cookie)).status).toBe(400)
    expect([evil.callsTo('/token'), honestTokenCalls()]).toEqual([0, 0])
    // Nothing was spent by that: at its own it is good.
    expect((await get(callback.pathname + callback.search, cookie)).status).toBe(302)
    expect(honestTokenCalls()).toBe(1)
  })

  test.each([
    '/oauth2/callback/',
    '/oauth2/callback/evil/',
    '/oauth2/callback/evil/x',
    '/oauth2/callback/EVIL',
    '/oauth2/callback/nobody',
  ])('is not taken at %s', async (path) => {
    const { authorize, cookie } = await begin(HONEST, world.okta.url)
    const callback = await signInWith(world.okta.url, authorize, ALICE)
    expect((await get(path + callback.search, cookie)).status).toBeGreaterThanOrEqual(400)
    expect([evil.callsTo('/token'), honestTokenCalls()]).toEqual([0, 0])
  })
})

describe('the iss of an answer (RFC 9207)', () => {
  const answered = async (iss?: string, more: Record<string, string> = { code: 'the-code' }) => {
    const { state, cookie } = await begin(EVIL, evil.issuer)
    const query = new URLSearchParams({ ...more, state, ...(iss !== undefined && { iss }) })
    return get(`${EVIL_CALLBACK}?${query}`, cookie)
  }

  test.each([
    ['of another provider', () => world.okta.url],
    ['of nobody', () => 'https://nobody.example'],
    ['with a slash more', () => `${evil.issuer}/`],
    ['that is empty', () => ''],
  ])('%s is refused, and the code stays here', async (_, iss) => {
    expect((await answered(iss())).status).toBe(403)
    expect(evil.callsTo('/token')).toBe(0)
  })

  test('given twice is refused', async () => {
    const { state, cookie } = await begin(EVIL, evil.issuer)
    const twice = `iss=${encodeURIComponent(evil.issuer)}&iss=${encodeURIComponent(world.okta.url)}`
    expect((await get(`${EVIL_CALLBACK}?code=c&state=${state}&${twice}`, cookie)).status).toBe(400)
    expect(evil.callsTo('/token')).toBe(0)
  })

  test('of another provider in an error is refused like any other', async () => {
    expect(
      (await answered(world.okta.url, { error: 'access_denied', error_description: 'call this number' })).status,
    ).toBe(403)
    const lines = world.log().filter(({ msg, message }) => String(msg ?? message).includes('did not complete'))
    expect(JSON.stringify(lines.at(-1))).toContain('iss')
  })

  test('of its own is good, and so is none, where the provider promises none', async () => {
    expect((await answered(evil.issuer)).status).toBe(302)
    expect((await answered()).status).toBe(302)
  })
})

test('a provider that promises iss and sends none is refused', async () => {
  const promising = await startHostileIdp({
    metadata: (right) => ({ ...right, authorization_response_iss_parameter_supported: true }),
  })
  const other = await createTestWorld({
    config: {
      idp_provider: 'oidc',
      idp_provider_url: promising.issuer,
      idp_client_id: 'postern',
      idp_service_account: undefined,
    },
    routes: [{ from: 'http://app.localhost', allow_any_authenticated_user: true }],
  })
  try {
    for (const [iss, status] of [
      [{}, 403],
      [{ iss: promising.issuer }, 302],
    ] as const) {
      const browser = other.browser()
      const { url } = await browser.go('http://app.localhost/', (next) => next.origin === promising.issuer)
      promising.nonce = url.searchParams.get('nonce') ?? ''
      const query = new URLSearchParams({ code: 'c', state: url.searchParams.get('state') ?? '', ...iss })
      expect((await browser.ask(`http://${AUTH}/oauth2/callback?${query}`)).status).toBe(status)
    }
    expect(promising.callsTo('/token')).toBe(1)
  } finally {
    await other.close()
    await promising.close()
  }
})

describe('a session of the attacker’s provider', () => {
  /** Somebody whom the attacker's provider has signed in, with the id of an honest person. */
  async function signedInAtEvil(): Promise<Browser> {
    const claims = { sub: DEMO.people.alice, email: ALICE, email_verified: true }
    evil.behave({ claims, userinfo: claims })
    const { browser, state } = await begin(EVIL, evil.issuer)
    const answer = await browser.go(`http://${AUTH}${EVIL_CALLBACK}?${new URLSearchParams({ code: 'c', state })}`)
    expect([answer.status, answer.url.href]).toEqual([200, EVIL])
    return browser
  }

  test('does not count elsewhere, whatever its cookie is called there', async () => {
    const browser = await signedInAtEvil()
    const value = browser.cookies.get('evil.localhost')?.get('postern') ?? ''
    expect(value).toMatch(/^v1\./)
    const atHonest = await get('/', `postern=${value}`, 'honest.localhost')
    expect(atHonest.status).toBe(302)
    const own = browser.cookies.get(AUTH)?.get('postern-of.evil') ?? ''
    expect(own).toMatch(/^v1\./)
    // The default provider's name for it, on the sign-in service.
    const link = new URL(atHonest.location ?? '')
    const sent = await get(link.pathname + link.search, `postern=${own}; postern-of.evil=${own}`)
    expect(new URL(sent.location ?? '').origin).toBe(world.okta.url)
    expect(world.received.filter(({ headers }) => headers.host === 'honest.localhost')).toEqual([])
  })

  test('is not reached by a choice that the route does not leave', async () => {
    const browser = await signedInAtEvil()
    const { location } = await get('/', '', 'honest.localhost')
    const link = new URL(location ?? '')
    for (const choice of ['&provider=evil', '&provider=evil&provider=default', '&provider=']) {
      const sent = await get(link.pathname + link.search + choice, cookiesOf(browser, AUTH))
      expect(new URL(sent.location ?? '').origin).toBe(world.okta.url)
    }
  })

  test('is not reached by a link whose demand was taken out or changed', async () => {
    const browser = await signedInAtEvil()
    const { location } = await get('/', '', 'honest.localhost')
    const link = new URL(location ?? '')
    const demand = link.searchParams.get('demand') ?? ''
    expect(demand).toContain('default')
    for (const changed of [undefined, demand.replace('default', 'evil'), '{}']) {
      const query = new URLSearchParams(link.search)
      if (changed === undefined) query.delete('demand')
      else query.set('demand', changed)
      expect((await get(`${link.pathname}?${query}`, cookiesOf(browser, AUTH))).status).toBe(400)
    }
  })
})
