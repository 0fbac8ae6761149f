import { systemClock as processClock } from '../../src/lib/clock.ts'
import { epochMillis } from '../../src/lib/time.ts'
import type { Millis, Unsubscribe } from '../../src/types.ts'

/** Okta's clock: milliseconds since the Unix epoch, and timers. */
export interface Clock {
  now(): Millis
  after(delay: Millis, run: () => void): Unsubscribe
}

export const systemClock: Clock = {
  now: () => epochMillis(processClock.now()),
  after: (delay, run) => processClock.after(delay, run),
}
