import { AppError } from '../errors.ts'
import type { JsonObject, WallTime } from '../types.ts'
import { epochMillis } from '../lib/time.ts'

/** How far two clocks may be apart, in seconds. */
export const CLOCK_TOLERANCE_S = 60
/** An ID token is made for the answer that carries it; an older one was made for another. */
const MAX_AGE_S = 600

/**
 * What OIDC Core §3.1.3.7 leaves to the client after signature, `iss`, `aud`, `exp` and `nonce`:
 * whole-second times, a recent `iat`, and an `azp` that is ours whenever it is there. Rejects ERR_IDP_REJECTED.
 */
export function checkIdToken(claims: JsonObject, clientId: string, now: WallTime): void {
  const { azp, exp, iat } = claims
  const seconds = epochMillis(now) / 1000
  if (azp !== undefined && azp !== clientId) throw refused('azp names another client')
  // 1e300 and fractions pass a comparison, but no provider means them.
  if (!Number.isSafeInteger(exp)) throw refused('exp is not a whole number of seconds')
  if (typeof iat !== 'number' || !Number.isSafeInteger(iat)) throw refused('iat is not a whole number of seconds')
  if (iat > seconds + CLOCK_TOLERANCE_S) throw refused('iat is in the future')
  if (iat < seconds - MAX_AGE_S) throw refused('iat is too old')
}

function refused(what: string): AppError {
  return new AppError('ERR_IDP_REJECTED', `id token: ${what}`)
}
