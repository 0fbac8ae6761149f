import { elapsed, latest } from '../lib/time.ts'
import type { Clock, Monotonic, Span, Store } from '../types.ts'

/** The second net under the store's change feed: no session is believed longer without a look at the store. */
export const MAX_AGE: Span = 5000
/** A store that is heard says so twice a second. */
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
 * What was read and has not been told to have changed is as good as new until the store was last heard. From there on it
 * is believed for `storeGrace`, and then the answer is a fault: not "signed out", and not "signed in". So what is revoked
 * while this process cannot hear of it ends here after `storeGrace` at the latest.
 */
export function createFreshness(deps: {
  readonly store: Pick<Store, 'heardAt'>
  readonly clock: Clock
  readonly storeGrace: Span
}): Freshness {
  const { store, clock, storeGrace } = deps
  const unheard = (readAt: Monotonic, now: Monotonic): Span => elapsed(now, latest(readAt, store.heardAt()))
  return {
    turn: Math.max(MAX_AGE, storeGrace),
    isFresh(readAt) {
      const now = clock.monotonic()
      const silence = unheard(readAt, now)
      return silence < HEARD ? elapsed(now, readAt) < MAX_AGE : silence < storeGrace
    },
    isGood: (readAt) => unheard(readAt, clock.monotonic()) < storeGrace,
  }
}
