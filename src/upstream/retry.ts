/** Which requests are sent once more: only those of which nobody can tell that they were sent twice (RFC 9110 §9.2.2). */
import type { RetryCondition, Retries } from '../config/route-model.ts'
import type { ErrorCode } from '../errors.ts'
import type { Span } from '../types.ts'

/** Without TRACE. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])

export interface Attempt {
  readonly method: string
  /** What was read of a body is gone, whatever became of it. */
  readonly hasBody: boolean
  /** Has a connection taken it? */
  readonly sent: boolean
  /** Has a byte of an answer come? */
  readonly heard: boolean
}

/** Of which nothing can have been done, or which may be done twice. */
function isRepeatable({ method, hasBody }: Attempt): boolean {
  return !hasBody && IDEMPOTENT.has(method)
}

/** A connection that had served before may simply have been closed: the next one is tried (RFC 9112 §9.3.1). */
export function metClosingConnection(attempt: Attempt, stale: boolean): boolean {
  return stale && !attempt.heard && isRepeatable(attempt)
}

/** Nothing of it has left: any other upstream may have it, whatever its method. */
export function mayGoElsewhere({ sent }: Pick<Attempt, 'sent'>, code: ErrorCode): boolean {
  // Neither are faults of ours something that another upstream mends.
  return !sent && code.startsWith('ERR_UPSTREAM_')
}

/** Does the route retry what failed this way? */
export function retryCondition(attempt: Attempt, code: ErrorCode): RetryCondition | undefined {
  if (!attempt.sent)
    return mayGoElsewhere(attempt, code) && code !== 'ERR_UPSTREAM_BUSY' ? 'connect-failure' : undefined
  return code === 'ERR_UPSTREAM_RESET' && !attempt.heard && isRepeatable(attempt) ? 'reset' : undefined
}

/** Does the route retry after this answer? */
export function retryAnswer(attempt: Attempt, status: number): RetryCondition | undefined {
  return status >= 502 && status <= 504 && isRepeatable(attempt) ? 'gateway-error' : undefined
}

/** @param done retries of this request so far. */
export function allowsRetry({ attempts, on }: Retries, condition: RetryCondition | undefined, done: number): boolean {
  return condition !== undefined && done < attempts && on.includes(condition)
}

/** Exponential, as Envoy's default: 25 ms, 50 ms, …, 250 ms. */
export function backoff(done: number): Span {
  return Math.min(25 * 2 ** done, 250)
}
