/** What the library and our own fetch throw, as faults of ours. */
import * as oidc from 'openid-client'
import { AppError, messageOf } from '../../errors.ts'
import { explainCallbackError } from '../callback-errors.ts'

/**
 * Library errors are put into words and dropped: their causes hold responses and tokens, and a cause gets logged.
 */
export function toFault(doing: string, error: unknown): AppError {
  const own = appErrorIn(error)
  if (own) return own.code === 'ERR_IDP_REJECTED' ? withExplanation(own) : own
  if (error instanceof oidc.ResponseBodyError) return rejected(doing, error.error, error.error_description)
  const challenge = challengeOf(error)
  if (challenge) return rejected(doing, challenge.error ?? 'invalid_client', challenge.error_description)
  return rejected(doing, 'bad_answer', undefined, messages(error))
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
