import { isSameIssuer } from '../../lib/person.ts'
import { later } from '../../lib/time.ts'
import type { JsonObject, WallTime } from '../../types.ts'
import type { Refused, RevocationToken } from '../model.ts'
import { isOnlyFor, timeProblem } from '../token-times.ts'
import { isText, MESSAGE_AGE } from './values.ts'

/**
 * By what Okta shows that a global token revocation is its own (okta-api.md#sign-out-signals): a JWT of its own type about our
 * client, for our endpoint alone, good for some minutes. `issuers`: what it may call itself, the issuer of our ID tokens or
 * the org.
 */
export function readRevocationToken(
  { typ, claims }: { readonly typ?: string; readonly claims: JsonObject },
  expected: { readonly issuers: readonly string[]; readonly clientId: string; readonly endpoint: URL },
  now: WallTime,
): RevocationToken | Refused {
  if (typ !== 'global-token-revocation+jwt') return { refused: 'typ is of another kind of token' }
  const { iss, sub, jti } = claims
  if (typeof iss !== 'string' || !expected.issuers.some((issuer) => isSameIssuer(issuer, iss))) {
    return { refused: 'iss is another issuer' }
  }
  if (sub !== expected.clientId) return { refused: 'sub is another client' }
  if (!isOnlyFor(claims, expected.endpoint.origin + expected.endpoint.pathname)) {
    return { refused: 'aud is not this endpoint alone' }
  }
  const late = timeProblem(claims, now, { exp: 'required', maxAge: MESSAGE_AGE })
  if (late !== undefined) return { refused: late }
  if (!isText(jti)) return { refused: 'jti is missing or too long' }
  return {
    kind: 'revocation',
    id: `revocation ${iss} ${jti}`,
    forgetAt: later(now, 2 * MESSAGE_AGE),
    issuers: expected.issuers,
  }
}
