import OktaJwtVerifier from '@okta/jwt-verifier'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { browse, createCookieJar, pageText, signInWith } from '../support/okta-sign-in.ts'
import {
  answer,
  authorizeUrl,
  CALLBACK,
  closeOkta,
  flow,
  moveClock,
  okta,
  openOkta,
  resetOkta,
  SCOPE,
  SERVERS,
  token,
} from './emulator-client.ts'

beforeAll(openOkta)
afterAll(closeOkta)
beforeEach(resetOkta)

test('with rotation the token before works for the leeway; after it, its use revokes the newest one', async () => {
  okta.updateApp(DEMO.clientId, { refreshToken: { rotation: 'ROTATE', leeway: 30 }, accessTokenSeconds: 300 })
  const { config, exchange } = await flow('', 'alice@example.com')
  const first = (await exchange()).refresh_token ?? ''
  const second = await oidc.refreshTokenGrant(config, first)
  expect([second.refresh_token === first, second.expires_in]).toEqual([false, 300])
  moveClock(29_000)
  const again = await token({ grant_type: 'refresh_token', refresh_token: first })
  expect(again.status).toBe(200)
  moveClock(31_000)
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
