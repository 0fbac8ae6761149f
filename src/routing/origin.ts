import type { RequestFacts } from '../http/exchange.ts'
import type { Forward } from '../config/route-model.ts'

/**
 * May this page open a WebSocket here? Browsers send cookies with a WebSocket from any page and make no CORS check, so
 * the page's origin must be the route's own or one of `allow_origins`. A missing Origin is allowed: browsers always
 * send one (RFC 6455 §4.1), and other clients have no cookies to abuse. `null` (a sandboxed page, a file) is refused.
 * @param ownOrigin external origin of the route's host, from configuration.
 */
export function websocketOriginAllowed(
  { allowOrigins }: Pick<Forward, 'allowOrigins'>,
  request: Pick<RequestFacts, 'origin'>,
  ownOrigin: string | undefined,
): boolean {
  const { origin } = request
  if (origin === undefined) return true
  if (origin === 'null' || origin === '') return false
  return origin === ownOrigin || allowOrigins.includes(origin)
}
