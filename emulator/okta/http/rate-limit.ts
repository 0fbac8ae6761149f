import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'

/** Requests per minute, org-wide, by bucket (okta-api.md#rate-limits). */
export type RatePlan = Readonly<Record<string, number>>

const WORKFORCE: RatePlan = {
  '/api/v1/groups': 500,
  '/api/v1/groups/{id}': 1000,
  '/api/v1/users': 600,
  '/api/v1/users/{id:.+}': 2000,
  '/api/v1/users/me': 2000,
  '/api/v1/apps': 100,
  '/api/v1/logs': 120,
  '/api/v1': 1200,
  '/oauth2/v1/authorize': 2000,
  '/oauth2/v1/token': 2000,
  '/oauth2/v1': 2000,
}

const INTEGRATOR: RatePlan = {
  ...WORKFORCE,
  '/api/v1/groups': 100,
  '/api/v1/groups/{id}': 100,
  '/api/v1/users': 100,
  '/api/v1/users/{id:.+}': 100,
  '/api/v1/users/me': 100,
  '/api/v1/apps': 20,
  '/api/v1/logs': 20,
  '/api/v1': 100,
  '/oauth2/v1/authorize': 300,
  '/oauth2/v1/token': 300,
  '/oauth2/v1': 300,
}

export const RATE_PLANS = {
  workforce: WORKFORCE,
  enterprise: {
    ...WORKFORCE,
    '/api/v1/groups': 600,
    '/api/v1/groups/{id}': 600,
    '/api/v1/users/{id:.+}': 1000,
    '/api/v1/users/me': 1000,
    '/api/v1/logs': 50,
    '/api/v1': 600,
    '/oauth2/v1/authorize': 1200,
    '/oauth2/v1/token': 1200,
    '/oauth2/v1': 1200,
  },
  integrator: INTEGRATOR,
} as const satisfies Record<string, RatePlan>

export interface RateLimitOptions {
  readonly plan: RatePlan
  /** What one API token may use of a bucket. */
  readonly tokenShare: number
  /** Simultaneous calls before the concurrency answer. */
  readonly concurrency: number
}

/** What the `X-Rate-Limit-…` headers say. `reset`: epoch seconds. */
export interface Verdict {
  readonly allowed: boolean
  readonly limit: number
  readonly remaining: number
  readonly reset: number
}

export interface BucketState extends Omit<Verdict, 'allowed'> {
  readonly bucket: string
  /** `org`, or the id of the token whose ceiling this is. */
  readonly scope: string
  readonly used: number
  readonly refused: number
}

export interface RateLimiter {
  take(bucket: string, tokenId: string | undefined): Verdict
  /** undefined: too many at once. Otherwise call the function when the request ends. */
  enter(): (() => void) | undefined
  /** The answer to a refused `enter` (okta-api.md#rate-limits): limit and remaining are 0. */
  busy(): Verdict
  buckets(): readonly BucketState[]
  reset(): void
}

interface Window {
  readonly bucket: string
  readonly scope: string
  readonly limit: number
  startedAt: Span
  used: number
  refused: number
}

const LENGTH: Span = 60_000

/** Fixed windows of a minute that begin with their first call: not aligned to the wall clock, as at Okta. */
export function createRateLimiter(clock: Clock, options: RateLimitOptions): RateLimiter {
  const windows = new Map<string, Window>()
  let running = 0

  function window(bucket: string, scope: string, limit: number): Window {
    const key = `${bucket} ${scope}`
    const now = clock.now()
    const current = windows.get(key)
    if (current && now < current.startedAt + LENGTH) return current
    const fresh = { bucket, scope, limit, startedAt: now, used: 0, refused: 0 }
    windows.set(key, fresh)
    return fresh
  }
  const verdict = (allowed: boolean, state: Window): Verdict => ({
    allowed,
    limit: state.limit,
    remaining: Math.max(0, state.limit - state.used),
    reset: Math.ceil((state.startedAt + LENGTH) / 1000),
  })

  return {
    take(bucket, tokenId) {
      const limit = options.plan[bucket] ?? Number.MAX_SAFE_INTEGER
      const scopes = [window(bucket, 'org', limit)]
      if (tokenId) scopes.push(window(bucket, tokenId, Math.floor(limit * options.tokenShare)))
      const full = scopes.find((scope) => scope.used >= scope.limit)
      if (full) {
        full.refused += 1
        return verdict(false, full)
      }
      for (const scope of scopes) scope.used += 1
      const [tightest = scopes[0]] = scopes.toSorted((a, b) => a.limit - a.used - (b.limit - b.used))
      return verdict(true, tightest as Window)
    },
    enter() {
      if (running >= options.concurrency) return undefined
      running += 1
      return () => {
        running -= 1
      }
    },
    busy: () => ({ allowed: false, limit: 0, remaining: 0, reset: Math.ceil(clock.now() / 1000) + 1 }),
    buckets: () =>
      [...windows.values()]
        .filter((state) => clock.now() < state.startedAt + LENGTH)
        .map((state) => {
          const { limit, remaining, reset } = verdict(true, state)
          return {
            bucket: state.bucket,
            scope: state.scope,
            limit,
            remaining,
            reset,
            used: state.used,
            refused: state.refused,
          }
        }),
    reset: () => windows.clear(),
  }
}
