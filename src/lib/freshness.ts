import { elapsed, latest } from './time.ts'
import type { Clock, Monotonic, Span, Store } from '../types.ts'

/** How long records of a store are believed that are held in memory. */
export interface Trust {
  /** A safety net under the change feed: records are read again after this time. */
  readonly maxAge: Span
  /** How long records are believed while the store is not heard. */
  readonly grace: Span
}

/** A store in this machine answers at once, or is broken: then nobody is believed. */
export const OF_THIS_MACHINE: Trust = { maxAge: 5000, grace: 0 }
/** One that others reach, too, says twice a second that nothing was missed, and a look at it costs a round trip. */
export const ofShared = (grace: Span): Trust => ({ maxAge: 30_000, grace })

/** A shared store counts as heard if it was heard this recently. */
export const HEARD: Span = 2000

/** How long what was read from the store is believed. */
export interface Freshness {
  /** What has been in memory for longer has to be read again anyway. */
  readonly turn: Span
  /** It need not be read again: it was read lately; or the store is not heard, and it is good. */
  isFresh(readAt: Monotonic): boolean
  /** For a store that does not answer: until lately it had not changed. */
  isGood(readAt: Monotonic): boolean
}

/**
 * A record that was read, and of which no change was heard, is as good as new for as long as the store is heard. After that
 * it is believed for the grace, and then the answer is a fault: neither "signed out" nor "signed in". So what is revoked
 * while this process cannot hear of it ends here after the grace at the latest.
 */
export function createFreshness(deps: {
  readonly store: Pick<Store, 'heardAt'>
  readonly clock: Clock
  readonly trust: Trust
}): Freshness {
  const {
    store,
    clock,
    trust: { maxAge, grace },
  } = deps
  const unheard = (readAt: Monotonic, now: Monotonic): Span => elapsed(now, latest(readAt, store.heardAt()))
  return {
    isFresh(readAt) {
      const now = clock.monotonic()
      const silence = unheard(readAt, now)
      return silence < HEARD ? elapsed(now, readAt) < maxAge : silence < grace
    },
    isGood: (readAt) => unheard(readAt, clock.monotonic()) < grace,
    turn: Math.max(maxAge, grace),
  }
}
