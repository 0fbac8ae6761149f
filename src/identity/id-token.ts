import { AppError } from '../errors.ts'
import type { JsonObject, Span, WallTime } from '../types.ts'
import { timeProblem } from './token-times.ts'

/** An ID token is made for the answer that carries it; an older one was made for another. */
const MAX_AGE: Span = 600_000

/**
 * What OIDC Core §3.1.3.7 leaves to the client after signature, `iss`, `aud`, `exp` and `nonce`:
 * whole-second times, a recent `iat`, and an `azp` that is ours whenever it is there. Rejects ERR_IDP_REJECTED.
 */
export function checkIdToken(claims: JsonObject, clientId: string, now: WallTime): void {
  const { azp } = claims
  if (azp !== undefined && azp !== clientId) throw refused('azp names another client')
  const problem = timeProblem(claims, now, { exp: 'required', maxAge: MAX_AGE })
  if (problem !== undefined) throw refused(problem, { check: 'time' })
}

function refused(what: string, details: Readonly<Record<string, string>> = {}): AppError {
  return new AppError('ERR_IDP_REJECTED', `id token: ${what}`, { details })
}
