/** What the library and our own fetch throw, as faults of ours. */
import * as oidc from 'openid-client'
import { AppError, messageOf } from '../../errors.ts'
import { describeDuration } from '../../lib/duration.ts'
import type { Span } from '../../types.ts'
import { explainCallbackError } from '../callback-errors.ts'
import { CLOCK_TOLERANCE_S } from '../token-times.ts'

/** Answers of the provider to our credentials, and to nothing that a person has sent (RFC 6749 §5.2). */
const ABOUT_OUR_CLIENT: ReadonlySet<string> = new Set(['invalid_client', 'unauthorized_client'])

/**
 * Library errors are put into words and dropped: their causes hold responses and tokens, and a cause gets logged.
 * `skew`: how far our clock is ahead of the provider's, where that is known.
 */
export function toFault(doing: string, error: unknown, skew: Span = 0): AppError {
  if (Math.abs(skew) > CLOCK_TOLERANCE_S * 1000 && isAboutTime(error)) return clockFault(doing, error, skew)
  const own = appErrorIn(error)
  if (own) return own.code === 'ERR_IDP_REJECTED' ? withExplanation(own) : own
  if (error instanceof oidc.ResponseBodyError) return refused(doing, error.error, error.error_description)
  const challenge = challengeOf(error)
  if (challenge) return refused(doing, challenge.error ?? 'invalid_client', challenge.error_description)
  return rejected(doing, 'bad_answer', undefined, messages(error))
}

/** Did a check of `exp`, `nbf` or `iat` fail, the library's or ours? */
function isAboutTime(error: unknown): boolean {
  if (appErrorIn(error)?.details['check'] === 'time') return true
  for (let at = error; at instanceof Error; at = at.cause) {
    if ('code' in at && at.code === 'OAUTH_JWT_TIMESTAMP_CHECK_FAILED') return true
  }
  return false
}

function clockFault(doing: string, error: unknown, skew: Span): AppError {
  const difference = describeDuration(Math.abs(skew))
  const where = `${difference} ${skew > 0 ? 'ahead of' : 'behind'} the identity provider's`
  return new AppError('ERR_CLOCK_SKEW', `${doing}: this server's clock is ${where}: ${messages(error)}`, {
    details: { difference },
  })
}

/** By the provider itself: what a browser brings in a callback anybody may have written. */
function refused(doing: string, error: string, description?: string): AppError {
  const fault = rejected(doing, error, description)
  return ABOUT_OUR_CLIENT.has(error) ? new AppError('ERR_IDP_CLIENT', fault.message, { details: fault.details }) : fault
}

/** ERR_IDP_REJECTED. `error`, `description`: the provider's own words; `reason`: ours, when there are none. */
export function rejected(doing: string, error: string, description?: string, reason?: string): AppError {
  const code = /^[\w.:/-]{1,64}$/.test(error) ? error : 'unknown'
  return new AppError('ERR_IDP_REJECTED', `${doing}: ${reason ?? `the identity provider answered ${code}`}`, {
    details: {
      error: code,
      ...explainCallbackError(code, description),
      ...(description === undefined ? {} : { description: description.slice(0, 500) }),
    },
  })
}

function withExplanation(fault: AppError): AppError {
  if (fault.details['hint'] !== undefined) return fault
  const details = { error: 'bad_answer', ...explainCallbackError('bad_answer') }
  return new AppError(fault.code, fault.message, { details })
}

/** 429 never comes here: it is ERR_IDP_UNREACHABLE before its body is looked at. */
export function isDefiniteRefusal(error: unknown): boolean {
  return error instanceof oidc.ResponseBodyError && (error.error === 'invalid_grant' || error.error === 'access_denied')
}

/** The library wraps what our fetch throws. */
export function appErrorIn(error: unknown): AppError | undefined {
  for (let at = error; at instanceof Error; at = at.cause) if (at instanceof AppError) return at
  return undefined
}

/** Of the provider's `WWW-Authenticate`. */
export function challengeOf(
  error: unknown,
): { readonly error?: string; readonly error_description?: string } | undefined {
  return error instanceof oidc.WWWAuthenticateChallengeError ? (error.cause[0]?.parameters ?? {}) : undefined
}

/** Messages along the causes; they name the claim or the check, never its value. */
export function messages(error: unknown): string {
  const parts: string[] = []
  for (let at = error; at instanceof Error && parts.length < 3; at = at.cause) parts.push(at.message)
  return parts.length === 0 ? messageOf(error) : parts.join(': ')
}
