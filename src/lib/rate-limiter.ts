import type { Monotonic, Span } from '../types.ts'
import { elapsed, later } from './time.ts'

export interface Rate {
  readonly perSecond: number
  /** What could have been done in so much time may be done at once; at least one thing. */
  readonly burst: Span
}

/** Of each of the two tables. A million addresses make it forget who did least lately, never grow. */
const CAPACITY = 50_000

/**
 * Limits how often each of many may do something: a bucket of tokens for each, kept as the instant at which it would be
 * full again (GCRA, ITU-T I.371). Who is refused loses nothing by asking. In the memory of one process, without timers.
 */
export class RateLimiter {
  private readonly interval: Span
  private readonly depth: Span
  private readonly capacity: number
  /** Instants by key: two generations, so that nothing has to be swept. */
  private young = new Map<string, Monotonic>()
  private old = new Map<string, Monotonic>()
  private turnedAt: Monotonic | undefined

  constructor({ perSecond, burst }: Rate, capacity = CAPACITY) {
    this.interval = 1000 / perSecond
    this.depth = Math.max(burst, this.interval)
    this.capacity = capacity
  }

  /** Takes a token; 0: there was one. Otherwise in how many milliseconds there will be one. */
  take(key: string, now: Monotonic): Span {
    this.turn(now)
    const fullAt = this.young.get(key) ?? this.old.get(key)
    const owed = fullAt === undefined ? 0 : Math.max(0, elapsed(fullAt, now))
    const wait = owed + this.interval - this.depth
    // Rounding must not refuse the last one.
    const isRefused = wait > 1e-6
    // Who goes on asking in vain must not be forgotten either.
    this.young.set(key, later(now, isRefused ? owed : owed + this.interval))
    return isRefused ? wait : 0
  }

  /** What the old table holds when it goes was full again, unless there are more keys than the tables hold. */
  private turn(now: Monotonic): void {
    this.turnedAt ??= now
    if (elapsed(now, this.turnedAt) < this.depth && this.young.size < this.capacity) return
    this.old = this.young
    this.young = new Map()
    this.turnedAt = now
  }
}
