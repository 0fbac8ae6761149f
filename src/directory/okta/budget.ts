import type { Span, Monotonic, SourceTime } from '../../types.ts'
import type { ReadPriority } from '../model.ts'
import { elapsed, later, latest, NEVER, sourceTime } from '../../lib/time.ts'

/** Okta counts in fixed windows of about a minute, one for each bucket. */
const WINDOW: Span = 60_000
/** Okta's own clients wait one second past the reset. */
const SLACK: Span = 1000
/** No header can make us wait longer than this, jitter aside. */
const LONGEST_WAIT: Span = WINDOW + SLACK
/** Of what the bucket has left, never touched: the administrators' own work. */
const ADMIN_RESERVE = 0.1
/** Of the bucket and of our share of it, what each class leaves to the more urgent ones. */
const KEEP_FREE: Readonly<Record<ReadPriority, number>> = {
  'sign-in': 0,
  confirm: 0.15,
  background: 0.3,
  reconcile: 0.3,
}
/** Of the bucket, in one window: repairs never take more (docs/directory.md). */
const RECONCILE_SHARE = 0.2

/** `waitUntil` is on our clock; ask again then. */
export type Turn = { readonly go: true } | { readonly go: false; readonly waitUntil: Monotonic }

/** What one answer says about its bucket. `reset` and `date` are on the server's clock. */
export interface RateFacts {
  readonly limited: boolean
  readonly limit: number | undefined
  readonly remaining: number | undefined
  readonly reset: SourceTime | undefined
  readonly date: SourceTime
}

export interface BucketState {
  readonly name: string
  readonly limit: number
  readonly remaining: number
  /** Calls of ours in this window. */
  readonly used: number
  /** Of `limit`, how many calls may be ours. */
  readonly allowance: number
  readonly resetsAt: Monotonic
}

/** The rate-limit account. No I/O and no timers: time is a parameter. */
export interface Budget {
  /** May one call be made now? `go` also counts it. */
  ask(bucket: string, priority: ReadPriority, now: Monotonic): Turn
  learn(bucket: string, facts: RateFacts, now: Monotonic): void
  /** How many calls may run at once: less after Okta complained of concurrency, one more each minute since. */
  parallelism(now: Monotonic): number
  buckets(now: Monotonic): readonly BucketState[]
}

interface Bucket {
  limit: number | undefined
  remaining: number
  /** The server's word for the end of this window: it names the window. */
  reset: SourceTime
  /** The same instant on our clock, and a little later. */
  resetsAt: Monotonic
  used: number
  /** Of `used`, by repairs. */
  repairs: number
  blockedUntil: Monotonic
}

/**
 * Limits are learnt from the answers and never assumed (okta-api.md#rate-limits): until a bucket has answered, calls go.
 * `share` is the part of each bucket that may be ours, `parallel` the most calls at once, `random` gives 0 to 1.
 */
export function createBudget(options: {
  readonly share: number
  readonly parallel: number
  readonly random?: () => number
}): Budget {
  const { share, parallel, random = Math.random } = options
  const buckets = new Map<string, Bucket>()
  let pausedUntil: Monotonic = NEVER
  let lowered: { readonly to: number; readonly at: Monotonic } = { to: parallel, at: NEVER }

  function bucketAt(name: string, now: Monotonic): Bucket {
    let bucket = buckets.get(name)
    if (!bucket) {
      bucket = {
        limit: undefined,
        remaining: 0,
        reset: NEVER,
        resetsAt: NEVER,
        used: 0,
        repairs: 0,
        blockedUntil: NEVER,
      }
      buckets.set(name, bucket)
    }
    if (bucket.limit !== undefined && now >= bucket.resetsAt) {
      bucket.used = 0
      bucket.repairs = 0
      bucket.remaining = bucket.limit
      bucket.resetsAt = later(now, WINDOW)
    }
    return bucket
  }

  const allowanceOf = (limit: number): number => Math.max(1, Math.floor(limit * share))

  function hasRoom({ limit, remaining, used, repairs }: Bucket, priority: ReadPriority): boolean {
    if (limit === undefined) return true
    if (priority === 'reconcile' && repairs >= Math.max(1, Math.floor(limit * RECONCILE_SHARE))) return false
    const free = KEEP_FREE[priority]
    return used < allowanceOf(limit) * (1 - free) && remaining > limit * Math.max(free, ADMIN_RESERVE)
  }

  function parallelism(now: Monotonic): number {
    return Math.min(parallel, lowered.to + Math.floor(elapsed(now, lowered.at) / WINDOW))
  }

  return {
    parallelism,

    ask(name, priority, now) {
      const bucket = bucketAt(name, now)
      const blockedUntil = latest(pausedUntil, bucket.blockedUntil)
      if (now < blockedUntil) return { go: false, waitUntil: blockedUntil }
      if (!hasRoom(bucket, priority)) return { go: false, waitUntil: bucket.resetsAt }
      bucket.used++
      if (priority === 'reconcile') bucket.repairs++
      bucket.remaining--
      return { go: true }
    },

    learn(name, facts, now) {
      const { limited, limit, remaining, reset } = facts
      // Limit 0 is the concurrency limit (okta-api.md#rate-limits), which is the whole org's; its reset is only an estimate.
      if (limited && limit === 0) {
        lowered = { to: Math.max(1, Math.floor(parallelism(now) / 2)), at: now }
        pausedUntil = later(now, SLACK + random() * SLACK)
        return
      }
      const wait = reset !== undefined ? clamp(elapsed(reset, facts.date) + SLACK, SLACK, LONGEST_WAIT) : WINDOW
      const bucket = bucketAt(name, now)
      if (limited) bucket.blockedUntil = latest(bucket.blockedUntil, later(now, wait + random() * SLACK))
      if (!limit || remaining === undefined || reset === undefined || reset < bucket.reset) return
      // Answers overtake one another: within a window what remains only falls.
      bucket.remaining = reset === bucket.reset ? Math.min(bucket.remaining, remaining) : remaining
      // Calls that are under way are not among those that a new window has counted.
      bucket.used = reset === bucket.reset ? bucket.used : Math.min(bucket.used, limit - remaining + parallel)
      bucket.repairs = Math.min(bucket.repairs, bucket.used)
      bucket.limit = limit
      bucket.reset = reset
      bucket.resetsAt = later(now, wait)
    },

    buckets(now) {
      const states: BucketState[] = []
      for (const name of buckets.keys()) {
        const { limit, remaining, used, resetsAt } = bucketAt(name, now)
        if (limit !== undefined) states.push({ name, limit, remaining, used, allowance: allowanceOf(limit), resetsAt })
      }
      return states
    },
  }
}

/** The bucket that Okta counts a call in (okta-api.md#rate-limits); `path` without query. */
export function bucketOf(method: string, path: string): string {
  const [collection, id, sub] = path.replace(/^\/api\/v1\//, '').split('/')
  switch (collection) {
    case 'groups':
      return method === 'GET' && id !== undefined && id !== 'rules' && sub === undefined
        ? '/api/v1/groups/{id}'
        : '/api/v1/groups'
    case 'users':
      if (id === undefined || sub !== undefined) return '/api/v1/users'
      return id === 'me' ? '/api/v1/users/me' : '/api/v1/users/{id}'
    case 'apps':
      return '/api/v1/apps'
    case 'logs':
      return '/api/v1/logs'
    default:
      return '/api/v1'
  }
}

/**
 * Reads `X-Rate-Limit-*` (epoch seconds) and `Date`. A header that came twice or is no number says nothing:
 * whoever waits then waits a whole window. `now`: our own clock, for an answer without a date.
 */
export function readRateFacts(
  status: number,
  headers: Readonly<Record<string, string | readonly string[] | undefined>>,
  now: SourceTime,
): RateFacts {
  const number = (name: string): number | undefined => {
    const value = headers[name]
    return typeof value === 'string' && /^\d{1,12}$/.test(value.trim()) ? Number(value) : undefined
  }
  const reset = number('x-rate-limit-reset')
  return {
    limited: status === 429,
    limit: number('x-rate-limit-limit'),
    remaining: number('x-rate-limit-remaining'),
    reset: reset === undefined ? undefined : sourceTime(reset * 1000),
    date: readDate(headers['date'], now) ?? now,
  }
}

/** Two clocks further apart than this are not both set: what such a date makes of the order of events is not believed. */
const MOST_APART: Span = 24 * 3_600_000

/**
 * Only the one form that servers may send (RFC 9110 §5.6.7): `Date.parse` alone finds a date in `-1`. undefined also for one
 * that is nowhere near `now`, our own clock.
 */
export function readDate(value: string | readonly string[] | undefined, now: SourceTime): SourceTime | undefined {
  if (typeof value !== 'string' || !/^\w{3}, \d{2} \w{3} \d{4} \d{2}:\d{2}:\d{2} GMT$/.test(value)) return undefined
  const date = sourceTime(Date.parse(value))
  return Math.abs(elapsed(now, date)) <= MOST_APART ? date : undefined
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value))
}
