import type { Live } from '../config/model.ts'
import type { RateLimit, Route } from '../config/route-model.ts'
import type { RateLimits } from '../http/exchange.ts'
import { networkOf } from '../lib/client-network.ts'
import type { Rate, RateLimiter } from '../lib/rate-limiter.ts'
import type { Monotonic, Span } from '../types.ts'

/** What clients and people have spent: it belongs to the process, so that a reload resets no count. */
export type RateCounts = Readonly<Record<'client' | 'person', RateLimiter>>

/**
 * How often clients and people may ask (`rate_limit`), of all routes and of each. The memory of this process decides; a
 * store that is slow or gone neither opens the limit nor shuts anybody out, and no request waits for it. undefined: there
 * is no limit anywhere.
 */
export function createRateLimits(
  { rateLimit, routes }: Pick<Live, 'rateLimit' | 'routes'>,
  counts: RateCounts,
): RateLimits | undefined {
  const global = rateLimit && ratesOf(rateLimit)
  const ofRoutes = new Map(routes.flatMap(({ id, rateLimit: own }) => (own ? [[id, ratesOf(own)] as const] : [])))
  if (!global && ofRoutes.size === 0) return undefined

  /** Of two limits the longer wait; both are asked, so that neither can be spent through the other. */
  function take(whom: keyof RateCounts, key: string, route: Route | undefined, now: Monotonic): Span {
    const all = global?.[whom]
    const own = route && ofRoutes.get(route.id)?.[whom]
    return Math.max(
      all ? counts[whom].take(`${whom}  ${key}`, all, now) : 0,
      own && route ? counts[whom].take(`${whom} ${route.id} ${key}`, own, now) : 0,
    )
  }

  return {
    client: ({ clientIp }, route, now) => take('client', networkOf(clientIp), route, now),
    person: ({ person }, route, now) => take('person', person, route, now),
  }
}

function ratesOf({ perClient, perPerson, burst }: RateLimit): Readonly<Record<keyof RateCounts, Rate | undefined>> {
  const rate = (perSecond: number | undefined): Rate | undefined =>
    perSecond === undefined ? undefined : { perSecond, burst }
  return { client: rate(perClient), person: rate(perPerson) }
}
