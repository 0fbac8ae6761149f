import { faultFields } from '../errors.ts'
import { elapsed, later } from '../lib/time.ts'
import type { Clock, Logger, Monotonic, Span } from '../types.ts'

/**
 * So many at once, and then one in each interval. Userinfo, which a sign-in cannot do without, shares its limit with pushed
 * requests at Okta, where 300 a minute is the least (okta-api.md#rate-limits).
 */
const BURST = 10
const INTERVAL: Span = 1000
/** After a push that failed none is tried for so long. */
const PAUSE: Span = 60_000

export interface OptionalPushDeps {
  readonly issuer: string
  /** Of the provider, which is told of elsewhere. */
  readonly trouble: () => unknown
  readonly clock: Clock
  readonly logger: Logger
}

/** Answers what `push` does, or undefined: the request has to go through the browser. */
export type OptionalPush = (push: () => Promise<URL>) => Promise<URL | undefined>

/**
 * Pushed authorization requests (RFC 9126) that the provider offers and does not require. None of them costs a sign-in.
 * Whoever opens a page of an application begins one, and each push is a call with our secret: so there is a bound for
 * each process, and a provider that fails is left alone for a while.
 */
export function createOptionalPush({ issuer, trouble, clock, logger }: OptionalPushDeps): OptionalPush {
  let left = BURST
  let countedAt = clock.monotonic()
  let pausedUntil: Monotonic | undefined

  function isPaused(): boolean {
    return pausedUntil !== undefined && clock.monotonic() < pausedUntil
  }

  function take(): boolean {
    const intervals = Math.floor(elapsed(clock.monotonic(), countedAt) / INTERVAL)
    left = Math.min(BURST, left + intervals)
    countedAt = later(countedAt, intervals * INTERVAL)
    if (left === 0) return false
    left -= 1
    return true
  }

  return async function pushIfPossible(push) {
    if (isPaused() || !take()) return undefined
    try {
      return await push()
    } catch (error) {
      const fields = { issuer, ...faultFields(error) }
      // Those that were under way together fail together: one line.
      if (!isPaused() && !trouble())
        logger.warn(fields, 'authorization requests go through the browser: a pushed one failed')
      pausedUntil = later(clock.monotonic(), PAUSE)
      return undefined
    }
  }
}
