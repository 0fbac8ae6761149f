import OktaJwtVerifier from '@okta/jwt-verifier'
import * as oidc from 'openid-client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { type CookieJar, signInWith } from '../support/okta-sign-in.ts'

const CALLBACK = 'http://app.localhost:1/callback'
const SCOPE = 'openid profile email offline_access groups'
let okta: OktaEmulator

beforeAll(async () => {
  okta = await createOktaEmulator({ seed: demoSeed({ redirectUris: [CALLBACK] }) })
})
afterAll(() => okta.close())
beforeEach(() => okta.reset())

async function discover(issuer: string): Promise<oidc.Configuration> {
  return oidc.discovery(new URL(issuer), DEMO.clientId, DEMO.clientSecret, undefined, {
    execute: [oidc.allowInsecureRequests],
  })
}

async function flow(
  issuer: string,
  login: string,
  options: { jar?: CookieJar; params?: Record<string, string>; scope?: string } = {},
) {
  const config = await discover(issuer)
  const codeVerifier = oidc.randomPKCECodeVerifier()
  const [state, nonce] = [oidc.randomState(), oidc.randomNonce()]
  const url = oidc.buildAuthorizationUrl(config, {
    redirect_uri: CALLBACK,
    scope: options.scope ?? SCOPE,
    code_challenge: await oidc.calculatePKCECodeChallenge(codeVerifier),
    code_challenge_method: 'S256',
    state,
    nonce,
    ...options.params,
  })
  const callback = await signInWith(okta.url, url, login, options.jar)
  const checks = { pkceCodeVerifier: codeVerifier, expectedState: state, expectedNonce: nonce }
  return { config, callback, nonce, exchange: () => oidc.authorizationCodeGrant(config, callback, checks) }
}

describe.each([
  ['org authorization server', ''],
  ['custom authorization server', '/oauth2/default'],
])('%s', (_name, path) => {
  test('openid-client signs alice in with code, PKCE, state and nonce', async () => {
    const { callback, exchange, config } = await flow(okta.url + path, 'alice@example.com')
    expect(callback.searchParams.has('iss')).toBe(false)
    const tokens = await exchange()
    const claims = tokens.claims()
    expect(claims).toMatchObject({
      ver: 1,
      iss: okta.url + path,
      sub: DEMO.people.alice,
      aud: DEMO.clientId,
      idp: DEMO.orgId,
      amr: ['pwd'],
      acr: 'urn:okta:loa:1fa:any',
      name: 'Alice Archer',
      preferred_username: 'alice@example.com',
      email: 'alice@example.com',
      groups: ['Everyone', 'Engineering'],
    })
    expect(claims?.jti).toMatch(/^ID\./)
    expect(tokens.token_type).toBe('bearer')
    expect(tokens.scope?.split(' ').sort()).toEqual(SCOPE.split(' ').sort())
    expect(tokens.refresh_token).toBeTruthy()
    const info = await oidc.fetchUserInfo(config, tokens.access_token, DEMO.people.alice)
    expect(info).toMatchObject({ email: 'alice@example.com', given_name: 'Alice', groups: ['Everyone', 'Engineering'] })
  })

  test("Okta's jwt-verifier accepts the ID token", async () => {
    const { exchange, nonce } = await flow(okta.url + path, 'bob@example.com')
    const { id_token = '' } = await exchange()
    const verifier = new OktaJwtVerifier({
      issuer: okta.url + path,
      clientId: DEMO.clientId,
      jwksUri: `${okta.url}${path === '' ? '/oauth2' : path}/v1/keys`,
      testing: { disableHttpsCheck: true },
    })
    const { claims } = await verifier.verifyIdToken(id_token, DEMO.clientId, nonce)
    expect(claims['preferred_username']).toBe('bob@example.com')
  })

  test('a refresh gives new tokens without a nonce and keeps the refresh token', async () => {
    const { exchange, config } = await flow(okta.url + path, 'alice@example.com')
    const first = await exchange()
    const second = await oidc.refreshTokenGrant(config, first.refresh_token ?? '')
    expect(second.claims()?.sub).toBe(DEMO.people.alice)
    expect(second.claims()?.nonce).toBeUndefined()
    expect(second.access_token).not.toBe(first.access_token)
    expect(second.refresh_token).toBe(first.refresh_token)
  })
})
