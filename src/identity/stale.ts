import { elapsed } from '../lib/time.ts'
import type { Clock, Monotonic, Span } from '../types.ts'

/** What a provider publishes: read when it is first needed, and again when it is old, while the old one goes on serving. */
export interface Stale<T> {
  /** What is known, however old; asks for a new one in the background when it is old. undefined: nothing is known. */
  peek(): T | undefined
  /** What is known; the first time what is read. Rejects what that read rejects, and again for `pause` without asking. */
  get(): Promise<T>
  /**
   * What is read again, unless a reading began less than `floor` ago: then what is known, which is also the answer when the
   * reading fails. Rejects only when nothing is known.
   */
  renew(floor: Span): Promise<T>
  /** Read by somebody else. */
  put(value: T): void
}

export interface StaleOptions<T> {
  readonly read: () => Promise<T>
  /** Older than this, it is read again. */
  readonly maxAge: Span
  /** Older than this, it serves nobody. */
  readonly maxStale: Span
  /** After a read that failed nobody asks again for this long. */
  readonly pause: Span
  readonly clock: Clock
}

export function createStale<T>({ read, maxAge, maxStale, pause, clock }: StaleOptions<T>): Stale<T> {
  let known: { readonly value: T; readonly readAt: Monotonic } | undefined
  let failed: { readonly error: unknown; readonly at: Monotonic } | undefined
  let reading: Promise<T> | undefined
  let askedAt: Monotonic | undefined

  function put(value: T): void {
    known = { value, readAt: clock.monotonic() }
    failed = undefined
  }

  /** One at a time. */
  function refresh(): Promise<T> {
    if (!reading) askedAt = clock.monotonic()
    reading ??= read()
      .then(
        (value) => {
          put(value)
          return value
        },
        (error: unknown) => {
          failed = { error, at: clock.monotonic() }
          throw error
        },
      )
      .finally(() => {
        reading = undefined
      })
    return reading
  }

  const pausing = (): boolean => failed !== undefined && elapsed(clock.monotonic(), failed.at) < pause

  function peek(): T | undefined {
    if (!known) return undefined
    const age = elapsed(clock.monotonic(), known.readAt)
    if (age >= maxAge && !pausing()) refresh().catch(() => {})
    return age < maxStale ? known.value : undefined
  }

  async function get(): Promise<T> {
    const value = peek()
    if (value !== undefined) return value
    if (failed && pausing()) throw failed.error
    return refresh()
  }

  return {
    peek,
    get,
    async renew(floor) {
      const isRecent = askedAt !== undefined && elapsed(clock.monotonic(), askedAt) < floor
      if (isRecent && !reading) return get()
      return refresh().catch(() => get())
    },
    put,
  }
}
