/** One line per request that carries access and decision; fields as in operations, never a query, a cookie or a token. */
import { createHash } from 'node:crypto'
import type { AppError } from '../errors.ts'
import type { Clock, Finished, Logger, RequestSample } from '../types.ts'
import type { Progress } from './handle.ts'

export type AccessLog = (progress: Progress, finished: Finished | undefined, error?: AppError) => void

/** `record` gets the same facts for metrics; the proxy does not know who counts. */
export function createAccessLog(logger: Logger, clock: Clock, record: (sample: RequestSample) => void): AccessLog {
  return (progress, finished, error) => {
    const { facts, route, session, decision } = progress
    const level = error && error.info.status >= 500 ? 'error' : 'info'
    const duration = clock.now() - progress.startedAt
    record({
      facts: facts && 'kind' in facts ? undefined : facts,
      route,
      decision,
      finished,
      error,
      seconds: duration / 1000,
    })
    if (!facts || 'kind' in facts) {
      const fields = {
        request_id: facts?.id,
        client_ip: facts?.clientIp,
        status: finished?.status,
        detail: facts?.detail,
        duration_ms: duration,
      }
      logger[level](error ? { ...fields, ...describeError(error) } : fields, 'request')
      return
    }
    if (facts.path === '/ping' || facts.path === '/healthz') return
    const forwarded = finished?.forwarded
    logger[level](
      {
        request_id: facts.id,
        client_ip: facts.clientIp,
        method: facts.method,
        host: facts.host,
        path: facts.path,
        status: finished?.status,
        bytes_out: finished?.bytesOut,
        bytes_in: forwarded?.bytesIn,
        duration_ms: duration,
        upstream: forwarded?.upstream,
        upstream_ms: forwarded?.upstreamMs,
        cut: forwarded?.cut,
        route: route?.name,
        route_id: route?.id,
        decision: decision?.outcome,
        reasons: decision?.reasons,
        user_id: session?.subject,
        email: session?.identity.email,
        session: session && sessionTag(session.id),
        user_agent: facts.userAgent,
        ...(error ? describeError(error) : undefined),
      },
      'request',
    )
  }
}

const tags = new Map<string, string>()

/** Tells sessions apart in a log without being one: a session id must not be learnt from logs. */
export function sessionTag(id: string): string {
  let tag = tags.get(id)
  if (tag === undefined) {
    tag = createHash('sha256').update(`log:${id}`).digest('base64url').slice(0, 12)
    if (tags.size >= 10_000) tags.clear()
    tags.set(id, tag)
  }
  return tag
}

export function describeError(error: AppError): object {
  const cause = error.cause instanceof Error ? error.cause : undefined
  return {
    error: error.code,
    error_message: error.message,
    ...(cause && { cause: cause.message }),
    ...(error.code === 'ERR_INTERNAL' && { stack: (cause ?? error).stack }),
  }
}
