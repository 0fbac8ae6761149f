import OktaJwtVerifier from '@okta/jwt-verifier'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { systemClock } from '../../emulator/okta/clock.ts'
import { browse, type CookieJar, createCookieJar, pageText, signInWith } from '../support/okta-sign-in.ts'

const CALLBACK = 'http://app.localhost:1/callback'
const SIGNED_OUT = 'http://app.localhost:1/signed-out'
const SCOPE = 'openid profile email offline_access groups'
const SERVERS = [
  ['org authorization server', ''],
  ['custom authorization server', '/oauth2/default'],
] as const

/** Clients judge tokens by the wall clock, so the emulator's differs only where a test moves it. */
let ahead = 0
let okta: OktaEmulator

beforeAll(async () => {
  okta = await createOktaEmulator({
    clock: { now: () => systemClock.now() + ahead, after: (delay, run) => systemClock.after(delay, run) },
    seed: demoSeed({ redirectUris: [CALLBACK], postLogoutRedirectUris: [SIGNED_OUT] }),
  })
})
afterAll(() => okta.close())
beforeEach(() => {
  ahead = 0
  okta.reset()
})

/** An authorization request as a relying party would send it, without PKCE unless given. */
function authorizeUrl(params: Record<string, string | undefined> = {}, server = ''): URL {
  const url = new URL(`${okta.url}${server === '' ? '/oauth2' : server}/v1/authorize`)
  const all = {
    client_id: DEMO.clientId,
    redirect_uri: CALLBACK,
    response_type: 'code',
    scope: 'openid',
    state: 'st_1-a',
  }
  for (const [name, value] of Object.entries({ ...all, ...params })) {
    if (value !== undefined) url.searchParams.set(name, value)
  }
  return url
}

async function discover(server: string): Promise<oidc.Configuration> {
  return oidc.discovery(new URL(okta.url + server), DEMO.clientId, DEMO.clientSecret, undefined, {
    execute: [oidc.allowInsecureRequests],
  })
}

async function flow(server: string, login: string, params: Record<string, string> = {}, jar?: CookieJar) {
  const config = await discover(server)
  const codeVerifier = oidc.randomPKCECodeVerifier()
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()]
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: SCOPE,
    code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...params,
  })
  const callback = await signInWith(okta.url, url, login, jar)
  const checks = { pkceCodeVerifier: codeVerifier, expectedState: state, expectedNonce: nonce }
  return {
    config,
    callback,
    nonce,
    codeVerifier,
    exchange: () => oidc.authorizationCodeGrant(config, callback, checks),
  }
}

async function token(fields: Record<string, string>, headers: Record<string, string> = basic()) {
  const response = await fetch(`${okta.url}/oauth2/v1/token`, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers,
  })
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

function basic(secret: string = DEMO.clientSecret): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${DEMO.clientId}:${secret}`).toString('base64')}` }
}

function answer(url: URL): Record<string, string> {
  return Object.fromEntries(url.searchParams)
}

test('with rotation the token before works for the leeway; after it, its use revokes the newest one', async () => {
  okta.updateApp(DEMO.clientId, { refreshToken: { rotation: 'ROTATE', leeway: 30 }, accessTokenSeconds: 300 })
  const { config, exchange } = await flow('', 'alice@example.com')
  const first = (await exchange()).refresh_token ?? ''
  const second = await oidc.refreshTokenGrant(config, first)
  expect([second.refresh_token === first, second.expires_in]).toEqual([false, 300])
  ahead = 29_000
  const again = await token({ grant_type: 'refresh_token', refresh_token: first })
  expect(again.status).toBe(200)
  ahead = 31_000
  const refused = { status: 400, json: { error: 'invalid_grant' } }
  expect(await token({ grant_type: 'refresh_token', refresh_token: first })).toMatchObject(refused)
  expect(await token({ grant_type: 'refresh_token', refresh_token: second.refresh_token ?? '' })).toMatchObject(refused)
})

describe.each(SERVERS)('%s', (_name, server) => {
  const keysUrl = (): string => `${okta.url}${server === '' ? '/oauth2' : server}/v1/keys`

  test('openid-client signs alice in with code, PKCE, state and nonce', async () => {
    const { callback, exchange, config } = await flow(server, 'alice@example.com')
    expect(callback.searchParams.has('iss')).toBe(false)
    const tokens = await exchange()
    expect(tokens.claims()).toMatchObject({
      ver: 1,
      jti: expect.stringMatching(/^ID\./),
      iss: okta.url + server,
      sub: DEMO.people.alice,
      aud: DEMO.clientId,
      idp: DEMO.orgId,
      amr: ['pwd'],
      acr: 'urn:okta:loa:1fa:any',
      auth_time: expect.any(Number),
      at_hash: expect.any(String),
      name: 'Alice Archer',
      preferred_username: 'alice@example.com',
      email: 'alice@example.com',
      email_verified: true,
      groups: ['Everyone', 'Engineering'],
    })
    expect(tokens.expires_in).toBe(3600)
    expect(tokens.scope?.split(' ').sort()).toEqual(SCOPE.split(' ').sort())
    expect(tokens.refresh_token).toEqual(expect.any(String))
    const info = await oidc.fetchUserInfo(config, tokens.access_token, DEMO.people.alice)
    expect(info).toMatchObject({ email: 'alice@example.com', given_name: 'Alice', groups: ['Everyone', 'Engineering'] })
  })

  test("Okta's jwt-verifier accepts the ID token; the access token only of a custom server", async () => {
    const { exchange, nonce } = await flow(server, 'bob@example.com')
    const { id_token: idToken = '', access_token: accessToken } = await exchange()
    const verifier = new OktaJwtVerifier({
      issuer: okta.url + server,
      clientId: DEMO.clientId,
      jwksUri: keysUrl(),
      testing: { disableHttpsCheck: true },
    })
    const { claims } = await verifier.verifyIdToken(idToken, DEMO.clientId, nonce)
    expect(claims['preferred_username']).toBe('bob@example.com')
    const access = verifier.verifyAccessToken(accessToken, server === '' ? okta.url : 'api://default')
    if (server === '') {
      // Nobody publishes the key: to everyone else the token is opaque.
      await expect(access).rejects.toThrow('Error while resolving signing key for kid')
    } else {
      expect((await access).claims).toMatchObject({
        sub: 'bob@example.com',
        uid: DEMO.people.bob,
        cid: DEMO.clientId,
        scp: expect.arrayContaining(['openid', 'groups']),
      })
    }
  })

  test('a refresh gives new tokens without a nonce, keeps the refresh token and the time of the sign-in', async () => {
    const { exchange, config } = await flow(server, 'alice@example.com')
    const first = await exchange()
    const second = await oidc.refreshTokenGrant(config, first.refresh_token ?? '')
    expect(second.claims()).toMatchObject({ sub: DEMO.people.alice, auth_time: first.claims()?.auth_time })
    expect(second.claims()?.nonce).toBeUndefined()
    expect(second.access_token).not.toBe(first.access_token)
    expect(second.refresh_token).toBe(first.refresh_token)
    const narrower = await oidc.refreshTokenGrant(config, first.refresh_token ?? '', { scope: 'openid offline_access' })
    expect(narrower.scope).toBe('openid offline_access')
    expect(narrower.claims()?.['email']).toBeUndefined()
  })

  test('introspection and revocation know its tokens', async () => {
    const { exchange, config } = await flow(server, 'alice@example.com')
    const { access_token: access, refresh_token: refresh = '' } = await exchange()
    expect(await oidc.tokenIntrospection(config, access)).toMatchObject({
      active: true,
      token_type: 'Bearer',
      username: 'alice@example.com',
      uid: DEMO.people.alice,
      client_id: DEMO.clientId,
    })
    await oidc.tokenRevocation(config, refresh)
    // Revoking a refresh token revokes its access tokens.
    expect(await oidc.tokenIntrospection(config, access)).toEqual({ active: false })
    await expect(oidc.refreshTokenGrant(config, refresh)).rejects.toMatchObject({
      error: 'invalid_grant',
      error_description: 'The refresh token is invalid or expired.',
    })
    await expect(oidc.fetchUserInfo(config, access, DEMO.people.alice)).rejects.toThrow()
  })

  test('discovery has the fields that Okta has, and no others', async () => {
    const document = (await (await fetch(`${okta.url}${server}/.well-known/openid-configuration`)).json()) as object
    const oauth = await fetch(`${okta.url}/.well-known/oauth-authorization-server${server}`)
    expect(await oauth.json()).toEqual(document)
    const base = `${okta.url}${server === '' ? '/oauth2' : server}/v1`
    expect(document).toMatchObject({
      issuer: okta.url + server,
      authorization_endpoint: `${base}/authorize`,
      token_endpoint: `${base}/token`,
      jwks_uri: `${base}/keys`,
      end_session_endpoint: `${base}/logout`,
      registration_endpoint: `${okta.url}/oauth2/v1/clients`,
      code_challenge_methods_supported: ['S256'],
      id_token_signing_alg_values_supported: ['RS256'],
    })
    for (const absent of [
      'authorization_response_iss_parameter_supported',
      'backchannel_logout_supported',
      'frontchannel_logout_supported',
      'acr_values_supported',
      'claims_parameter_supported',
      'require_pushed_authorization_requests',
    ]) {
      expect(document).not.toHaveProperty(absent)
    }
  })
})

describe('errors that are shown at Okta', () => {
  test.each([
    ['an unknown client', { client_id: '0oaunknown' }, "Invalid value for 'client_id' parameter."],
    [
      'a redirect URI that is not registered',
      { redirect_uri: `${CALLBACK}/` },
      "The 'redirect_uri' parameter must be a Login redirect URI in the client app settings.",
    ],
  ])('%s is a page, not a redirect', async (_name, params, text) => {
    const response = await browse(authorizeUrl(params), createCookieJar())
    expect([response.status, response.headers.get('location')]).toEqual([400, null])
    expect(pageText(await response.text())).toContain(text)
  })

  test('an unknown authorization server', async () => {
    const response = await fetch(`${okta.url}/oauth2/nope/.well-known/openid-configuration`)
    expect(response.status).toBe(404)
    expect(await response.json()).toMatchObject({
      errorCode: 'E0000007',
      errorSummary: 'Not found: Resource not found: nope (AuthorizationServer)',
    })
  })
})

describe('errors at the callback', () => {
  test.each([
    [
      'no state',
      { state: undefined },
      'invalid_request',
      "The authentication request has an invalid 'state' parameter.",
    ],
    [
      'a + in the state',
      { state: 'a+b' },
      'invalid_request',
      "The authentication request has an invalid 'state' parameter.",
    ],
    [
      'a scope the server does not have',
      { scope: 'openid payroll' },
      'invalid_scope',
      'One or more scopes are not configured for the authorization server resource.',
    ],
    [
      'max_age out of range',
      { max_age: '2147483648' },
      'invalid_request',
      "Invalid value for 'max_age' parameter. It should be within range 0 - 2^31-1.",
    ],
    [
      'prompt=none with max_age=0',
      { prompt: 'none', max_age: '0' },
      'invalid_request',
      "'prompt' parameter must not have the value 'none' for request with 'zero' as max_age.",
    ],
    [
      'prompt=none without a session',
      { prompt: 'none' },
      'login_required',
      'The client specified not to prompt, but the user is not logged in.',
    ],
  ])('%s', async (_name, params, error, description) => {
    const callback = await signInWith(okta.url, authorizeUrl(params), 'alice@example.com')
    const { state } = { state: 'st_1-a', ...params }
    expect(answer(callback)).toEqual({ error, error_description: description, ...(state !== undefined && { state }) })
  })

  test('a request that is pushed is checked as one through the browser', async () => {
    const push = async (params: Record<string, string>): Promise<unknown> => {
      const authorization = `Basic ${Buffer.from(`${DEMO.clientId}:${DEMO.clientSecret}`).toString('base64')}`
      const body = authorizeUrl(params).searchParams
      const response = await fetch(`${okta.url}/oauth2/v1/par`, { method: 'POST', headers: { authorization }, body })
      return { status: response.status, ...((await response.json()) as object) }
    }
    expect(await push({})).toEqual({ status: 201, request_uri: expect.any(String), expires_in: 3600 })
    expect(await push({ state: 'a+b' })).toEqual({
      status: 400,
      error: 'invalid_request',
      error_description: "The authentication request has an invalid 'state' parameter.",
    })
    expect(await push({ scope: 'openid payroll' })).toMatchObject({ status: 400, error: 'invalid_scope' })
    expect(await push({ redirect_uri: 'https://evil.test/' })).toMatchObject({ status: 400 })
  })

  test('an app that requires PKCE', async () => {
    okta.updateApp(DEMO.clientId, { pkceRequired: true })
    const callback = await signInWith(okta.url, authorizeUrl(), 'alice@example.com')
    expect(answer(callback)).toMatchObject({
      error: 'invalid_request',
      error_description: 'PKCE code challenge is required by the application.',
    })
  })

  test('somebody to whom the app is not assigned', async () => {
    okta.unassignApp(DEMO.clientId, 'Everyone')
    okta.assignApp(DEMO.clientId, 'Engineering')
    const bob = await signInWith(okta.url, authorizeUrl(), 'bob@example.com')
    expect(answer(bob)).toEqual({
      error: 'access_denied',
      error_description: 'User is not assigned to the client application.',
      state: 'st_1-a',
    })
    const alice = await signInWith(okta.url, authorizeUrl(), 'alice@example.com')
    expect(alice.searchParams.has('code')).toBe(true)
    okta.unassignApp(DEMO.clientId, 'Engineering')
    okta.assignApp(DEMO.clientId, 'bob@example.com')
    expect((await signInWith(okta.url, authorizeUrl(), 'bob@example.com')).searchParams.has('code')).toBe(true)
  })

  test('a custom server without an access policy', async () => {
    okta.org.addAuthorizationServer({ id: 'new', accessPolicy: 'none' })
    const callback = await signInWith(okta.url, authorizeUrl({}, '/oauth2/new'), 'alice@example.com')
    expect(answer(callback)).toMatchObject({
      error: 'access_denied',
      error_description: 'Policy evaluation failed for this request, please check the policy configurations.',
    })
  })

  test('the person cancels', async () => {
    const jar = createCookieJar()
    const start = await browse(authorizeUrl(), jar)
    const page = new URL(start.headers.get('location') ?? '', okta.url)
    const cancelled = await browse(page, jar, { cancel: 'yes' })
    const resume = await browse(new URL(cancelled.headers.get('location') ?? '', okta.url), jar)
    expect(answer(new URL(resume.headers.get('location') ?? ''))).toMatchObject({
      error: 'access_denied',
      error_description: 'The resource owner or authorization server denied the request.',
    })
  })

  test('an authentication context that cannot be met', async () => {
    const params = { acr_values: 'urn:okta:loa:2fa:any' }
    expect(answer(await signInWith(okta.url, authorizeUrl(params), 'alice@example.com'))).toMatchObject({
      error: 'unmet_authentication_requirements',
      error_description: "Unable to meet the authentication requirements imposed by 'acr_values' parameter.",
    })
    okta.org.updatePerson(DEMO.people.alice, { secondFactor: true }, 'user.mfa.factor.activate')
    const { exchange } = await flow('', 'alice@example.com', params)
    expect((await exchange()).claims()).toMatchObject({ acr: 'urn:okta:loa:2fa:any', amr: ['pwd', 'mfa', 'otp'] })
  })
})

describe('the sign-in page', () => {
  test.each([
    ['SUSPENDED', 'Unable to sign in'],
    ['DEPROVISIONED', 'Unable to sign in'],
    ['STAGED', 'Unable to sign in'],
    ['PROVISIONED', 'Unable to sign in'],
    ['RECOVERY', 'Unable to sign in'],
    ['PASSWORD_EXPIRED', 'Your password has expired'],
    ['LOCKED_OUT', 'Your account is locked. Please contact your administrator.'],
  ] as const)('lets nobody in who is %s', async (status, text) => {
    okta.setStatus('alice@example.com', status)
    await expect(signInWith(okta.url, authorizeUrl(), 'alice@example.com')).rejects.toThrow(text)
  })

  test('refuses an unknown person and a wrong password, then accepts the right one', async () => {
    await expect(signInWith(okta.url, authorizeUrl(), 'mallory@example.com')).rejects.toThrow('Unable to sign in')
    okta.addUser({ login: 'erin@example.com', password: 'correct horse' })
    await expect(signInWith(okta.url, authorizeUrl(), 'erin@example.com')).rejects.toThrow('Unable to sign in')
    const callback = await signInWith(okta.url, authorizeUrl(), 'erin@example.com', createCookieJar(), 'correct horse')
    expect(callback.searchParams.has('code')).toBe(true)
  })

  test('escapes what was typed, prefills login_hint, names the app', async () => {
    const jar = createCookieJar()
    const start = await browse(authorizeUrl({ login_hint: '"><script>x</script>' }), jar)
    const page = await browse(new URL(start.headers.get('location') ?? '', okta.url), jar)
    const text = await page.text()
    expect(text).not.toContain('<script>')
    expect(text).toContain('value="&quot;>&lt;script>')
    expect(pageText(text)).toContain('to continue to Postern')
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'")
  })

  test('works only in the browser that asked for it', async () => {
    const start = await browse(authorizeUrl(), createCookieJar())
    const page = await browse(new URL(start.headers.get('location') ?? '', okta.url), createCookieJar())
    expect(page.status).toBe(400)
    expect(pageText(await page.text())).toContain('Your session has expired.')
  })
})

describe('the Okta session', () => {
  test('signs in a second time, also at another authorization server, without the page', async () => {
    const jar = createCookieJar()
    await signInWith(okta.url, authorizeUrl(), 'alice@example.com', jar)
    for (const server of ['', '/oauth2/default']) {
      const again = await browse(authorizeUrl({ prompt: 'none' }, server), jar)
      expect(new URL(again.headers.get('location') ?? '').searchParams.has('code')).toBe(true)
    }
  })

  test.each([{ prompt: 'login' }, { max_age: '0' }])('%o shows the page although a session exists', async (params) => {
    const jar = createCookieJar()
    await signInWith(okta.url, authorizeUrl(), 'alice@example.com', jar)
    const again = await browse(authorizeUrl(params), jar)
    expect(again.headers.get('location')).toMatch(/^\/signin\//)
  })

  test('is replaced when somebody else signs in', async () => {
    const jar = createCookieJar()
    await signInWith(okta.url, authorizeUrl(), 'alice@example.com', jar)
    const { exchange } = await flow('', 'bob@example.com', { prompt: 'login' }, jar)
    expect((await exchange()).claims()?.sub).toBe(DEMO.people.bob)
    const silent = await flow('', 'nobody', { prompt: 'none' }, jar)
    expect((await silent.exchange()).claims()?.sub).toBe(DEMO.people.bob)
  })

  test.each([
    ['suspension', () => okta.setStatus('alice@example.com', 'SUSPENDED')],
    ['deactivation', () => okta.setStatus('alice@example.com', 'DEPROVISIONED')],
    ['an admin', () => okta.endSessions('alice@example.com')],
  ])('is ended by %s', async (_name, end) => {
    const jar = createCookieJar()
    await signInWith(okta.url, authorizeUrl(), 'alice@example.com', jar)
    end()
    const callback = await signInWith(okta.url, authorizeUrl({ prompt: 'none' }), 'alice@example.com', jar)
    expect(callback.searchParams.get('error')).toBe('login_required')
  })
})

describe('/token', () => {
  const code = async (params: Record<string, string> = {}): Promise<string> =>
    (await signInWith(okta.url, authorizeUrl(params), 'alice@example.com')).searchParams.get('code') ?? ''
  const exchange = (value: string, more: Record<string, string> = {}) =>
    token({ grant_type: 'authorization_code', code: value, redirect_uri: CALLBACK, ...more })

  test('accepts a code once', async () => {
    const value = await code()
    expect((await exchange(value)).status).toBe(200)
    expect(await exchange(value)).toEqual({
      status: 400,
      json: { error: 'invalid_grant', error_description: 'The authorization code is invalid or has expired.' },
    })
  })

  test('accepts a code for 300 seconds of the emulator’s clock', async () => {
    const [first, second] = [await code(), await code()]
    ahead = 290_000
    expect((await exchange(first)).status).toBe(200)
    ahead = 300_000
    expect(await exchange(second)).toMatchObject({ status: 400, json: { error: 'invalid_grant' } })
  })

  test('gives no refresh token without offline_access or the grant, without an error', async () => {
    const { json: without } = await exchange(await code())
    expect(without).not.toHaveProperty('refresh_token')
    okta.updateApp(DEMO.clientId, { grantTypes: ['authorization_code'] })
    const { status, json } = await exchange(await code({ scope: 'openid offline_access' }))
    expect(status).toBe(200)
    expect(json).not.toHaveProperty('refresh_token')
    expect(json['scope']).toBe('openid')
  })

  test.each([
    [
      'another redirect URI',
      { redirect_uri: `${CALLBACK}2` },
      "The 'redirect_uri' does not match the redirection URI used in the authorization request.",
    ],
    ['a verifier without a challenge', { code_verifier: 'v'.repeat(43) }, 'PKCE verification failed.'],
  ])('%s', async (_name, more, description) => {
    expect(await exchange(await code(), more)).toEqual({
      status: 400,
      json: { error: 'invalid_grant', error_description: description },
    })
  })

  test('a challenge without a verifier, and a wrong verifier', async () => {
    const challenge = { code_challenge: 'c'.repeat(43), code_challenge_method: 'S256' }
    for (const more of [{}, { code_verifier: 'v'.repeat(43) }]) {
      expect(await exchange(await code(challenge), more as Record<string, string>)).toMatchObject({
        json: { error: 'invalid_grant', error_description: 'PKCE verification failed.' },
      })
    }
  })

  test("another client's code", async () => {
    okta.addApp({ id: '0oaother', secret: 'other-secret-other-secret', redirectUris: [CALLBACK] })
    const authorization = `Basic ${Buffer.from('0oaother:other-secret-other-secret').toString('base64')}`
    const fields = { grant_type: 'authorization_code', code: await code(), redirect_uri: CALLBACK }
    expect(await token(fields, { authorization })).toEqual({
      status: 400,
      json: {
        error: 'invalid_grant',
        error_description:
          "The grant was issued to another client. Please make sure the 'client_id' matches the one used at the authorize request.",
      },
    })
  })

  const REFRESH = { grant_type: 'refresh_token', refresh_token: 'x' }
  test.each([
    ['no credentials', {}, {}, 401, 'invalid_client', 'No client credentials found.'],
    [
      'an unknown client',
      { client_id: 'x', client_secret: 'y' },
      {},
      401,
      'invalid_client',
      "Invalid value for 'client_id' parameter.",
    ],
    [
      'a wrong secret',
      {},
      basic('wrong'),
      401,
      'invalid_client',
      'The client secret supplied for a confidential client is invalid.',
    ],
    [
      'two kinds of credentials',
      { client_id: DEMO.clientId, client_secret: DEMO.clientSecret },
      basic(),
      401,
      'invalid_request',
      'Cannot supply multiple client credentials. Use one of the following: credentials in the Authorization header, credentials in the post body, or a client_assertion in the post body.',
    ],
    ['a refresh token nobody issued', {}, basic(), 400, 'invalid_grant', 'The refresh token is invalid or expired.'],
    [
      'a grant the app lacks',
      { grant_type: 'password' },
      basic(),
      400,
      'unauthorized_client',
      'The client is not authorized to use the provided grant type. Configured grant types: [authorization_code, refresh_token].',
    ],
    [
      'a grant nobody knows',
      { grant_type: 'magic' },
      basic(),
      400,
      'unsupported_grant_type',
      'The authorization grant type is not supported by the authorization server. Configured grant types: [authorization_code, refresh_token].',
    ],
    [
      'a refresh from a browser',
      {},
      { ...basic(), origin: 'http://app.localhost:1' },
      400,
      'invalid_request',
      'Browser requests to the token endpoint may only use the authorization_code grant_type.',
    ],
  ])('%s', async (_name, fields, headers, status, error, description) => {
    expect(await token({ ...REFRESH, ...fields }, headers)).toEqual({
      status,
      json: { error, error_description: description },
    })
  })

  test('credentials in the query', async () => {
    const url = `${okta.url}/oauth2/v1/token?client_id=${DEMO.clientId}&client_secret=${DEMO.clientSecret}`
    const response = await fetch(url, { method: 'POST', body: new URLSearchParams(REFRESH) })
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({
      error_description: 'Client credentials cannot be supplied via query parameters.',
    })
  })

  test('a public client redeems with its id and PKCE alone', async () => {
    const id = '0oapublic'
    okta.addApp({ id, kind: 'native', redirectUris: ['http://127.0.0.1/cb'] })
    okta.assignApp(id, 'Everyone')
    const codeVerifier = oidc.randomPKCECodeVerifier()
    const url = authorizeUrl({
      client_id: id,
      redirect_uri: 'http://127.0.0.1/cb',
      code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
      code_challenge_method: 'S256',
    })
    const value = (await signInWith(okta.url, url, 'alice@example.com')).searchParams.get('code') ?? ''
    const fields = { grant_type: 'authorization_code', code: value, redirect_uri: 'http://127.0.0.1/cb', client_id: id }
    expect((await token({ ...fields, code_verifier: codeVerifier }, {})).status).toBe(200)
  })

  test.each([
    ['deactivated', 400, () => okta.setStatus('alice@example.com', 'DEPROVISIONED')],
    ['suspended', 400, () => okta.setStatus('alice@example.com', 'SUSPENDED')],
    ['no longer assigned', 400, () => okta.unassignApp(DEMO.clientId, 'Everyone')],
    ['out of date with the password', 200, () => okta.setStatus('alice@example.com', 'PASSWORD_EXPIRED')],
    ['signed out of Okta', 200, () => okta.endSessions('alice@example.com')],
    ['signed out everywhere', 400, () => okta.endSessions('alice@example.com', true)],
  ])('a refresh for somebody who is %s: %i', async (_name, status, change) => {
    const { json } = await exchange(await code({ scope: 'openid offline_access' }))
    change()
    const refreshed = await token({ grant_type: 'refresh_token', refresh_token: String(json['refresh_token']) })
    expect(refreshed.status).toBe(status)
    if (status === 400) expect(refreshed.json['error_description']).toBe('The refresh token is invalid or expired.')
  })
})

describe('groups claim', () => {
  function joinMany(count: number): void {
    for (let n = 0; n < count; n++) okta.addMember(okta.addGroup(`many-${n}`).id, 'alice@example.com')
  }

  test('the org server needs the scope, filters by name, and has no limit in a code flow', async () => {
    joinMany(150)
    const { exchange } = await flow('', 'alice@example.com')
    expect((await exchange()).claims()?.['groups']).toHaveLength(152)
    const { exchange: without } = await flow('', 'alice@example.com', { scope: 'openid' })
    expect((await without()).claims()).not.toHaveProperty('groups')
    okta.updateApp(DEMO.clientId, { groupsClaim: { name: 'teams', match: 'STARTS_WITH', value: 'Eng' } })
    const { exchange: filtered } = await flow('', 'alice@example.com')
    expect((await filtered()).claims()?.['teams']).toEqual(['Engineering'])
  })

  test('lacks imported groups', async () => {
    const imported = okta.addGroup({ name: 'from AD', type: 'APP_GROUP' })
    okta.addMember(imported.id, 'alice@example.com')
    const { exchange } = await flow('', 'alice@example.com')
    expect((await exchange()).claims()?.['groups']).toEqual(['Everyone', 'Engineering'])
  })

  test('with more than 100 groups a custom server fails the whole request', async () => {
    joinMany(99)
    const { exchange } = await flow('/oauth2/default', 'alice@example.com')
    await expect(exchange()).rejects.toMatchObject({
      error: 'server_error',
      error_description: 'The groups claim matched too many groups and must be configured to match fewer groups.',
    })
  })
})

describe('keys', () => {
  const published = async (): Promise<readonly string[]> => {
    const response = await fetch(`${okta.url}/oauth2/v1/keys`)
    expect(response.headers.get('cache-control')).toBe('max-age=3832304, must-revalidate')
    const { keys } = (await response.json()) as { keys: { kid: string }[] }
    return keys.map(({ kid }) => kid)
  }
  const signingKey = async (): Promise<string> => {
    const { exchange } = await flow('', 'alice@example.com')
    const { id_token: idToken = '' } = await exchange()
    return JSON.parse(Buffer.from(idToken.split('.')[0] ?? '', 'base64url').toString()).kid
  }

  test('the next key is published before it signs; a rotation keeps both; an emergency removes both', async () => {
    const before = await published()
    expect(before).toContain(await signingKey())
    okta.rotateKeys({ server: 'org' })
    expect(before).toContain(await signingKey())
    expect((await published()).filter((kid) => before.includes(kid))).toEqual(before)
    okta.rotateKeys({ server: 'org', emergency: true })
    const after = await published()
    expect(after).toContain(await signingKey())
    expect(after.filter((kid) => before.includes(kid))).toEqual([])
  })
})

describe('/logout', () => {
  async function signedIn() {
    const jar = createCookieJar()
    const { exchange } = await flow('', 'alice@example.com', {}, jar)
    return { jar, idToken: (await exchange()).id_token ?? '' }
  }
  const logoutUrl = (params: Record<string, string>): URL =>
    new URL(`${okta.url}/oauth2/v1/logout?${new URLSearchParams(params)}`)

  test('ends the session and returns with the state', async () => {
    const { jar, idToken } = await signedIn()
    const params = { id_token_hint: idToken, post_logout_redirect_uri: SIGNED_OUT, state: 'bye' }
    const response = await browse(logoutUrl(params), jar)
    expect([response.status, response.headers.get('location')]).toEqual([302, `${SIGNED_OUT}?state=bye`])
    const again = await signInWith(okta.url, authorizeUrl({ prompt: 'none' }), 'alice@example.com', jar)
    expect(again.searchParams.get('error')).toBe('login_required')
    // Without a session it is a plain redirect.
    expect((await browse(logoutUrl(params), jar)).status).toBe(302)
  })

  test('accepts an expired hint, also one signed before a rotation', async () => {
    const { jar, idToken } = await signedIn()
    ahead = 3_700_000
    okta.rotateKeys()
    const params = { id_token_hint: idToken, post_logout_redirect_uri: SIGNED_OUT }
    expect((await browse(logoutUrl(params), jar)).headers.get('location')).toBe(SIGNED_OUT)
  })

  test.each([
    ['without a hint', () => ({}), "The 'id_token_hint' parameter is missing or not valid."],
    [
      'with a forged hint',
      (hint: string) => ({ id_token_hint: `${hint.slice(0, -20)}${'A'.repeat(20)}` }),
      "The 'id_token_hint' parameter is missing or not valid.",
    ],
    [
      'to an address that is not registered',
      (hint: string) => ({ id_token_hint: hint, post_logout_redirect_uri: CALLBACK }),
      "The 'post_logout_redirect_uri' parameter must be a Logout redirect URI in the client app settings.",
    ],
  ])('%s is an error page, and the session stays', async (_name, params, text) => {
    const { jar, idToken } = await signedIn()
    const response = await browse(logoutUrl(params(idToken)), jar)
    expect([response.status, response.headers.get('location')]).toEqual([400, null])
    expect(pageText(await response.text())).toContain(text)
    const again = await browse(authorizeUrl({ prompt: 'none' }), jar)
    expect(again.headers.get('location')).toContain('code=')
  })

  test("of somebody else's session is refused", async () => {
    const { idToken } = await signedIn()
    const jar = createCookieJar()
    await signInWith(okta.url, authorizeUrl(), 'bob@example.com', jar)
    const response = await browse(logoutUrl({ id_token_hint: idToken }), jar)
    expect(response.status).toBe(400)
    expect(await response.text()).toContain('id_token_does_not_match_session')
  })
})
