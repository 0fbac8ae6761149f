import type { Live } from '../config/model.ts'
import type { RateLimit, Route } from '../config/route-model.ts'
import type { RateLimits } from '../http/exchange.ts'
import { networkOf } from '../lib/client-network.ts'
import { RateLimiter } from '../lib/rate-limiter.ts'
import type { Monotonic, Span } from '../types.ts'

/**
 * How often clients and people may ask (`rate_limit`), in the memory of this process: a store that is slow or gone neither
 * opens the limit nor shuts anybody out, and no request waits for it. undefined: there is no limit anywhere.
 */
export function createRateLimits({ rateLimit, routes }: Pick<Live, 'rateLimit' | 'routes'>): RateLimits | undefined {
  const global = rateLimit && bucketsOf(rateLimit)
  const ofRoutes = new Map(routes.flatMap(({ id, rateLimit: own }) => (own ? [[id, bucketsOf(own)] as const] : [])))
  if (!global && ofRoutes.size === 0) return undefined

  /** Of two limits the longer wait; both are asked, so that neither can be spent through the other. */
  function take(whom: keyof Buckets, key: string, route: Route | undefined, now: Monotonic): Span {
    const own = route && ofRoutes.get(route.id)
    return Math.max(global?.[whom]?.take(key, now) ?? 0, own?.[whom]?.take(key, now) ?? 0)
  }

  return {
    client: ({ clientIp }, route, now) => take('client', networkOf(clientIp), route, now),
    person: ({ person }, route, now) => take('person', person, route, now),
  }
}

interface Buckets {
  readonly client: RateLimiter | undefined
  readonly person: RateLimiter | undefined
}

function bucketsOf({ perClient, perPerson, burst }: RateLimit): Buckets {
  const limiter = (perSecond: number | undefined): RateLimiter | undefined =>
    perSecond === undefined ? undefined : new RateLimiter({ perSecond, burst })
  return { client: limiter(perClient), person: limiter(perPerson) }
}
