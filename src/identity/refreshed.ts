/** What a refresh brings (OpenID Connect Core §12.2), beside the call itself. */
import { mergeClaims, OF_THE_SIGN_IN, toIdentity } from './claims.ts'
import type { Identity, JsonObject } from '../types.ts'

/**
 * Who a refreshed session is. Without an ID token, which is lawful, userinfo says it all: what it does not tell is unknown from
 * then on. Without either, nothing is new.
 */
export function refreshedIdentity(
  before: Identity,
  said: { readonly idToken: JsonObject | undefined; readonly userinfo: JsonObject },
  options: { readonly allowUnverifiedEmail: boolean },
): Identity {
  const { idToken, userinfo } = said
  if (!idToken && userinfo['sub'] === undefined) return before
  const claims = mergeClaims(idToken ?? { iss: before.issuer, sub: before.subject }, userinfo)
  // A refresh is no sign-in: what was said of that stays, and nothing is added (OIDC Core §12.2 for `auth_time`; Okta for `acr`).
  const ofTheSignIn = (name: string): boolean => OF_THE_SIGN_IN.some((one) => one === name)
  return toIdentity({ ...pick(claims, (name) => !ofTheSignIn(name)), ...pick(before.claims, ofTheSignIn) }, options)
}

function pick(claims: JsonObject, wanted: (name: string) => boolean): JsonObject {
  return Object.fromEntries(Object.entries(claims).filter(([name]) => wanted(name)))
}

/** Does an error of the library say that who is spoken of, or to whom, is somebody else? The innermost cause names the claim. */
export function isAboutAnother(error: unknown): boolean {
  for (let at = error; at instanceof Error; at = at.cause) {
    const named: unknown = at.cause
    if (typeof named !== 'object' || named === null || named instanceof Error) continue
    const { code } = at as { readonly code?: unknown }
    if ('claim' in named) return code === 'OAUTH_JWT_CLAIM_COMPARISON_FAILED' && isWho(named.claim)
    if ('attribute' in named) return code === 'OAUTH_JSON_ATTRIBUTE_COMPARISON_FAILED' && isWho(named.attribute)
  }
  return false
}

function isWho(name: unknown): boolean {
  return name === 'iss' || name === 'sub' || name === 'aud' || name === 'azp'
}

/**
 * `send` that hands over the refresh token of a token endpoint's answer before anybody sees the answer: a provider that rotates
 * takes the old one no more, whatever becomes of the rest. Rejects with what `keep` rejects.
 */
export function keepingRefreshToken<Init>(
  send: (url: string, init: Init) => Promise<Response>,
  endpoint: string | undefined,
  keep: (refreshToken: string) => Promise<void>,
): (url: string, init: Init) => Promise<Response> {
  return async (url, init) => {
    const response = await send(url, init)
    if (url !== endpoint || response.status !== 200) return response
    const answer: unknown = await response
      .clone()
      .json()
      .catch(() => undefined)
    const token: unknown =
      typeof answer === 'object' && answer !== null && 'refresh_token' in answer ? answer.refresh_token : undefined
    if (typeof token === 'string' && token !== '') await keep(token)
    return response
  }
}
