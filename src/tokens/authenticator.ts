import type { Route } from '../config/route-model.ts'
import type { Authenticator } from '../http/exchange.ts'
import { serviceTokenIn } from '../lib/service-token.ts'
import type { Asker, ServicePrincipal } from '../policy/model.ts'
import { servicePrincipal } from '../policy/service-principal.ts'
import { isInScope } from './scope.ts'
import type { ServiceToken, ServiceTokens } from './model.ts'

/**
 * Whoever shows a service token, where the route takes them (`service_tokens`). One that is good, but not here, is refused
 * on every route: passed on, it would be the application's to use elsewhere.
 */
export function createServiceTokenAuthenticator(tokens: Pick<ServiceTokens, 'find' | 'used'>): Authenticator {
  /** One principal for each record, because what is told of it is remembered by its identity. */
  const principals = new WeakMap<ServiceToken, ServicePrincipal>()

  function principalOf(token: ServiceToken): ServicePrincipal {
    let principal = principals.get(token)
    if (!principal) principals.set(token, (principal = servicePrincipal(token)))
    return principal
  }

  function asker(token: ServiceToken | undefined, method: string, route: Route): Asker {
    if (!token) return route.serviceTokens ? UNKNOWN : undefined
    const principal = principalOf(token)
    if (!route.serviceTokens || !isInScope(token, route, method)) {
      const detail = route.serviceTokens
        ? `token ${token.id} is not for this`
        : `token ${token.id}, and none is taken here`
      return { kind: 'bad-token', error: 'insufficient_scope', detail, person: principal.person }
    }
    tokens.used(token)
    return principal
  }

  return {
    identify({ authorization, method }, route, now) {
      const shown = serviceTokenIn(authorization)
      if (shown === undefined) return undefined
      const found = tokens.find(shown, now)
      return found instanceof Promise ? found.then((token) => asker(token, method, route)) : asker(found, method, route)
    },
  }
}

const UNKNOWN = Object.freeze({
  kind: 'bad-token',
  error: 'invalid_token',
  detail: 'no such service token, or it has ended',
})
