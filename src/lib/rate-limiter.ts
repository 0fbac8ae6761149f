import type { Monotonic, Span } from '../types.ts'
import { elapsed, later } from './time.ts'

export interface Rate {
  readonly perSecond: number
  /** What could have been done in so much time may be done at once; at least one thing. */
  readonly burst: Span
}

/** What one of the many has done. */
export interface Bucket {
  /** Until then time has to pass before nothing is owed. */
  fullAt: Monotonic
  /** Of what is owed: spent here, and not told to other processes yet. */
  untold: Span
}

/** Hears of each bucket that has spent enough for others to know. `depth`: how much may be owed. */
export type Spent = (key: string, bucket: Bucket, depth: Span) => void

/** Of each of the two tables. A million addresses make it forget who did least lately, never grow. */
const CAPACITY = 50_000
/** What each process may keep to itself of a bucket: so little that many of them together are no second bucket. */
const UNTOLD_SHARE = 1 / 32

/**
 * Limits how often each of many may do something: a bucket of tokens for each, kept as the instant at which it would be
 * full again (GCRA, ITU-T I.371). Who is refused loses nothing by asking. In the memory of one process, without timers;
 * what others have spent is added by whoever hears of it (lib/shared-rates.ts).
 */
export class RateLimiter {
  private readonly capacity: number
  private readonly spent: Spent | undefined
  /** Buckets by key: two generations, so that nothing has to be swept. */
  private young = new Map<string, Bucket>()
  private old = new Map<string, Bucket>()
  private turnedAt: Monotonic | undefined
  /** The longest that a bucket takes to be full again. */
  private deepest: Span = 0

  constructor({ spent, capacity = CAPACITY }: { readonly spent?: Spent | undefined; readonly capacity?: number } = {}) {
    this.spent = spent
    this.capacity = capacity
  }

  /** Takes a token; 0: there was one. Otherwise in how many milliseconds there will be one. */
  take(key: string, { perSecond, burst }: Rate, now: Monotonic): Span {
    const interval = 1000 / perSecond
    const depth = Math.max(burst, interval)
    if (depth > this.deepest) this.deepest = depth
    this.turn(now)
    const bucket = this.young.get(key) ?? this.old.get(key) ?? { fullAt: now, untold: 0 }
    // Who goes on asking in vain must not be forgotten either.
    this.young.set(key, bucket)
    const owed = Math.max(0, elapsed(bucket.fullAt, now))
    const wait = owed + interval - depth
    // Rounding must not refuse the last one.
    if (wait > 1e-6) return wait
    bucket.fullAt = later(now, owed + interval)
    bucket.untold = Math.min(depth, bucket.untold + interval)
    if (this.spent && bucket.untold >= depth * UNTOLD_SHARE) this.spent(key, bucket, depth)
    return 0
  }

  /** What the old table holds when it goes was full again, unless there are more keys than the tables hold. */
  private turn(now: Monotonic): void {
    this.turnedAt ??= now
    if (elapsed(now, this.turnedAt) < this.deepest && this.young.size < this.capacity) return
    this.old = this.young
    this.young = new Map()
    this.turnedAt = now
  }
}
