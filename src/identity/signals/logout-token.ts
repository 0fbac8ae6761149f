import { isSameIssuer, personKey } from '../../lib/person.ts'
import { later } from '../../lib/time.ts'
import type { JsonObject, WallTime } from '../../types.ts'
import type { LogoutToken, Refused } from '../model.ts'
import { isOnlyFor, timeProblem } from '../token-times.ts'
import { isObject, isText, MESSAGE_AGE } from './values.ts'

const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** OIDC Back-Channel Logout §2.4 only recommends `logout+jwt`; the claims tell it from an ID token. */
const TYPES: readonly (string | undefined)[] = ['logout+jwt', 'jwt', undefined]

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
