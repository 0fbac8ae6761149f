import { isSameIssuer, personKey } from '../../lib/person.ts'
import { later, wallTime } from '../../lib/time.ts'
import type { Json, JsonObject, Span, WallTime } from '../../types.ts'
import type { LogoutToken, Refused } from '../model.ts'
import { timeProblem } from '../token-times.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** OIDC Back-Channel Logout §2.4 only recommends `logout+jwt`; the claims tell it from an ID token. */
const TYPES: readonly (string | undefined)[] = ['logout+jwt', 'jwt', undefined]
/** It is made for the call that carries it. */
export const MESSAGE_AGE: Span = 600_000
/** Longer ones would fill the store with somebody else's text. */
const MOST_TEXT = 255

/** What a provider's signature says about whom to sign out (OIDC Back-Channel Logout §2.4, §2.6). */
export function readLogoutToken(
  { typ, claims }: { readonly typ?: string; readonly claims: JsonObject },
  { issuer, clientId }: { readonly issuer: string; readonly clientId: string },
  now: WallTime,
): LogoutToken | Refused {
  if (!TYPES.includes(typ)) return { refused: 'typ is of another kind of token' }
  const { iss, sub, sid, jti, events, nonce } = claims
  if (typeof iss !== 'string' || !isSameIssuer(iss, issuer)) return { refused: 'iss is another issuer' }
  if (!isOnlyFor(claims, clientId)) return { refused: 'aud is not our client alone' }
  const late = timeProblem(claims, now, { exp: 'optional', maxAge: MESSAGE_AGE })
  if (late !== undefined) return { refused: late }
  // What tells it from an ID token (§2.4): a nonce must not be there, an event must.
  if (nonce !== undefined) return { refused: 'nonce is there' }
  if (!isObject(events) || !isObject(events[EVENT])) return { refused: 'events has no back-channel logout' }
  if (!isText(jti)) return { refused: 'jti is missing or too long' }
  if ((sub !== undefined && !isText(sub)) || (sid !== undefined && !isText(sid)))
    return { refused: 'sub or sid is no text' }
  const person = sub === undefined ? undefined : personKey({ issuer: iss, subject: sub })
  const once = { id: `logout ${iss} ${jti}`, forgetAt: later(now, 2 * MESSAGE_AGE) }
  if (sid !== undefined) {
    return {
      kind: 'logout',
      ...once,
      meant: { kind: 'provider-session', issuer: iss, sid, ...(person !== undefined && { person }) },
    }
  }
  if (person === undefined) return { refused: 'neither sub nor sid' }
  return { kind: 'logout', ...once, meant: { kind: 'person', person } }
}

/** Is the token for `audience`, and for nobody beside it? Who else may show it is unknown. */
export function isOnlyFor({ aud }: JsonObject, audience: string): boolean {
  const only = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  return only === audience
}

export function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MOST_TEXT
}

export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Seconds (the whole of the last one), and milliseconds as Okta writes some of them (okta-api.md#shared-signals). undefined: no instant. */
export function instantOf(value: Json | undefined): WallTime | undefined {
  if (typeof value !== 'number' || !(value > 0)) return undefined
  // Seconds reach this in the year 5138.
  const millis = value > 1e11 ? value : Math.floor(value) * 1000 + 999
  return millis <= 8.64e15 ? wallTime(millis) : undefined
}
