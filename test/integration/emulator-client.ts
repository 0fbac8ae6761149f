/** The emulated Okta, and a client that signs people in there. */
import * as oidc from 'openid-client'
import { DEMO, demoSeed } from '../../emulator/okta/demo-seed.ts'
import { createOktaEmulator, type OktaEmulator } from '../../emulator/okta/emulator.ts'
import { systemClock } from '../../emulator/okta/clock.ts'
import { type CookieJar, signInWith } from '../support/okta-sign-in.ts'

export const CALLBACK = 'http://app.localhost:1/callback'

export const SIGNED_OUT = 'http://app.localhost:1/signed-out'

export const SCOPE = 'openid profile email offline_access groups'

export const SERVERS = [
  ['org authorization server', ''],
  ['custom authorization server', '/oauth2/default'],
] as const

/** Clients judge tokens by the wall clock, so the emulator's differs only where a test moves it. */
export let ahead = 0

export let okta: OktaEmulator

/** An authorization request as a relying party would send it, without PKCE unless given. */
export function authorizeUrl(params: Record<string, string | undefined> = {}, server = ''): URL {
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

export async function discover(server: string): Promise<oidc.Configuration> {
  return oidc.discovery(new URL(okta.url + server), DEMO.clientId, DEMO.clientSecret, undefined, {
    execute: [oidc.allowInsecureRequests],
  })
}

export async function flow(server: string, login: string, params: Record<string, string> = {}, jar?: CookieJar) {
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

export async function token(fields: Record<string, string>, headers: Record<string, string> = basic()) {
  const response = await fetch(`${okta.url}/oauth2/v1/token`, {
    method: 'POST',
    body: new URLSearchParams(fields),
    headers,
  })
  return { status: response.status, json: (await response.json()) as Record<string, unknown> }
}

export function basic(secret: string = DEMO.clientSecret): Record<string, string> {
  return { authorization: `Basic ${Buffer.from(`${DEMO.clientId}:${secret}`).toString('base64')}` }
}

export function answer(url: URL): Record<string, string> {
  return Object.fromEntries(url.searchParams)
}

export function moveClock(ms: number): void {
  ahead = ms
}

/** For `beforeAll`. */
export async function openOkta(): Promise<void> {
  okta = await createOktaEmulator({
    clock: { now: () => systemClock.now() + ahead, after: (delay, run) => systemClock.after(delay, run) },
    seed: demoSeed({ redirectUris: [CALLBACK], postLogoutRedirectUris: [SIGNED_OUT] }),
  })
}

/** For `afterAll`. */
export function closeOkta(): Promise<void> {
  return okta.close()
}

/** For `beforeEach`. */
export function resetOkta(): void {
  moveClock(0)
  okta.reset()
}
