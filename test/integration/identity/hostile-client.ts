/** Our client of a provider that misbehaves. */
import { createOidcProvider, type OidcSettings } from '../../../src/identity/oidc.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Clock, IdentityProvider, Logger, PendingSignIn } from '../../../src/types.ts'
import { CLIENT_ID, type HostileIdp, type Misbehaviour, startHostileIdp } from './hostile-idp.ts'

export const REDIRECT = new URL('https://authenticate.corp.example/oauth2/callback')

export const SECRET = 'client-secret-that-must-not-travel'

export const signal = new AbortController().signal

export let idp: HostileIdp

export function client(
  more: Partial<OidcSettings> = {},
  clock: Clock = systemClock,
  logger: Logger = silentLogger,
): IdentityProvider {
  return createOidcProvider({
    idp: {
      name: 'default',
      provider: 'okta',
      issuer: idp.issuer,
      clientId: CLIENT_ID,
      clientAuth: { kind: 'post', secret: new Secret(SECRET) },
      scopes: ['openid', 'email'],
      requestParams: {},
      pushedRequests: 'when-possible',
      timeout: 3000,
      allowUnverifiedEmail: false,
      ...more,
    },
    redirectUri: REDIRECT,
    clock,
    logger,
  })
}

/** Begins a sign-in and returns the callback that a well-behaved authorization endpoint would send. */
export async function begun(provider: IdentityProvider): Promise<{ callback: URL; pending: PendingSignIn }> {
  const { pending } = await provider.begin(signal)
  idp.nonce = pending.nonce
  return { pending, callback: callbackWith({ code: 'the-code', state: pending.state }) }
}

export function callbackWith(query: Record<string, string>): URL {
  return new URL(`${REDIRECT.href}?${new URLSearchParams(query)}`)
}

export async function signIn(provider = client()) {
  const { callback, pending } = await begun(provider)
  return provider.complete(callback, pending, signal)
}

export const without =
  (...names: readonly string[]) =>
  (answer: Readonly<Record<string, unknown>>) =>
    Object.fromEntries(Object.entries(answer).filter(([name]) => !names.includes(name)))

export async function start(wrong: Misbehaviour = {}): Promise<void> {
  idp = await startHostileIdp(wrong)
}

/** For `afterEach`. */
export function closeIdp(): Promise<void> {
  return idp.close()
}
