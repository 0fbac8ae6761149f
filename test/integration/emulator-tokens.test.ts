/** What the emulated Okta gives for a code, what it signs with, and how a session there ends. */
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { browse, createCookieJar, pageText, signInWith } from '../support/okta-sign-in.ts'
import {
  authorizeUrl,
  basic,
  CALLBACK,
  closeOkta,
  flow,
  moveClock,
  okta,
  openOkta,
  resetOkta,
  SIGNED_OUT,
  token,
} from './emulator-client.ts'

beforeAll(openOkta)
afterAll(closeOkta)
beforeEach(resetOkta)

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
    moveClock(290_000)
    expect((await exchange(first)).status).toBe(200)
    moveClock(300_000)
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
    moveClock(3_700_000)
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
