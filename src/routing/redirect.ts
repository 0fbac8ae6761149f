import type { Redirect, Route } from '../config/model.ts'
import type { RequestFacts } from '../http/request.ts'
import { defaultPort } from './host.ts'
import { rewrittenPath } from './rewrite.ts'

/**
 * Where a route with a redirect sends a request. What the action does not replace is the address that people use, from
 * the configuration: a forged scheme or port leads nowhere. Another scheme or host brings its own default port.
 */
export function redirectLocation(
  { action, from }: Pick<Route<Redirect>, 'action' | 'from'>,
  { host, path, query }: Pick<RequestFacts, 'host' | 'path' | 'query'>,
): string {
  const scheme = action.scheme ?? from.scheme
  const kept = action.scheme === undefined && action.host === undefined ? from.port : undefined
  const port = action.port ?? kept
  const authority = (action.host ?? host) + (port === undefined || port === defaultPort(scheme) ? '' : `:${port}`)
  return `${scheme}://${authority}${rewrittenPath(action.path, path)}${action.query ?? query}`
}
