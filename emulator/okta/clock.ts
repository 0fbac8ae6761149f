import { systemClock as processClock } from '../../src/lib/clock.ts'
import { epochMillis } from '../../src/lib/time.ts'
import type { Span, Unsubscribe } from '../../src/types.ts'

/** Okta's clock: milliseconds since the Unix epoch, and timers. */
export interface Clock {
  now(): Span
  after(delay: Span, run: () => void): Unsubscribe
}

export const systemClock: Clock = {
  now: () => epochMillis(processClock.now()),
  after: (delay, run) => processClock.after(delay, run),
}
