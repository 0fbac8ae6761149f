import { AppError } from '../errors.ts'
import type { Redirect, Route } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import { defaultPort } from './host.ts'
import { rewrittenPath } from './rewrite.ts'
import { coversHost, matchesPath, originFor } from './table.ts'

type Target = Pick<Route<Redirect>, 'action' | 'from'>

/**
 * Where a route with a redirect sends a request. What the action does not replace is the address that people use, from
 * the configuration: a forged scheme or port leads nowhere. Another scheme or host brings its own default port. Throws
 * ERR_LOOP rather than to send somebody where they are.
 */
export function redirectLocation(
  { action, from }: Target,
  { host, path, query }: Pick<RequestFacts, 'host' | 'path' | 'query'>,
): string {
  const target = originOf({ action, from }, host) + rewrittenPath(action.path, path) + (action.query ?? query)
  if (target !== originFor(from, host) + path + query) return target
  throw new AppError('ERR_LOOP', 'the redirect leads to the address that was asked')
}

/** Is what the redirect makes of an address of its route, or of the beginning of its paths, the route's again? */
export function leadsBack({ action, from, match }: Pick<Route<Redirect>, 'action' | 'from' | 'match'>): boolean {
  const { host = from.host, path } = action
  if ((action.scheme ?? from.scheme) !== from.scheme) return false
  if (host !== from.host && !(from.wildcard && coversHost(from.host.split('*'), host))) return false
  const port = portOf({ action, from }) ?? defaultPort(from.scheme)
  if (from.port !== undefined && from.port !== port) return false
  return path === undefined || (path.kind !== 'regex' && matchesPath({ match }, path.to))
}

function originOf({ action, from }: Target, host: string): string {
  return originFor({ scheme: action.scheme ?? from.scheme, port: portOf({ action, from }) }, action.host ?? host)
}

function portOf({ action, from }: Target): number | undefined {
  const same = (action.scheme ?? from.scheme) === from.scheme && action.host === undefined
  return action.port ?? (same ? from.port : undefined)
}
