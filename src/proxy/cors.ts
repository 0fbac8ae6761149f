import type { Route } from '../config/route-model.ts'
import type { Reply } from '../http/exchange.ts'
import type { RequestFacts } from '../http/request.ts'

/**
 * An answer of ours as pages of `allow_origins` may read it (https://fetch.spec.whatwg.org/#http-cors-protocol). They would
 * see a failed fetch otherwise, and not that the session is over. An application says so itself in its own answers.
 */
export function readable(reply: Reply, { origin }: Pick<RequestFacts, 'origin'>, route: Route | undefined): Reply {
  if (route?.action.kind !== 'forward' || route.action.allowOrigins.length === 0) return reply
  const allowed = origin !== undefined && route.action.allowOrigins.includes(origin)
  return { ...reply, headers: [...reply.headers, VARY, ...(allowed ? allowing(origin) : [])] }
}

const VARY = ['vary', 'Origin'] as const

function allowing(origin: string): Reply['headers'] {
  return [
    ['access-control-allow-origin', origin],
    ['access-control-allow-credentials', 'true'],
    ['access-control-expose-headers', 'retry-after, www-authenticate, x-request-id'],
  ]
}
