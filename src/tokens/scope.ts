import type { Route } from '../config/route-model.ts'
import { isNamed } from '../routing/named.ts'
import type { ServiceToken } from './model.ts'

/** Is this request one of those that the token is for? */
export function isInScope(
  { routes, methods }: Pick<ServiceToken, 'routes' | 'methods'>,
  route: Route,
  method: string,
): boolean {
  return (
    isForRoute({ routes }, route) &&
    (methods.length === 0 || methods.includes(method) || (method === 'HEAD' && methods.includes('GET')))
  )
}

export function isForRoute({ routes }: Pick<ServiceToken, 'routes'>, route: Route): boolean {
  return routes.length === 0 || routes.some((named) => isNamed(route, named))
}
