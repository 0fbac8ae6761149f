import { setImmediate as turn } from 'node:timers/promises'
import type { Span } from '../../../src/types.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'

export interface WatchedClock extends ManualClock {
  /** Resolves with the delay once a timer is armed whose delay lies between these. */
  armed(least: Span, most: Span): Promise<Span>
  /** How many timers of exactly this delay are armed. */
  waiting(delay: Span): number
}

/** A manual clock that tells when somebody waits for it: the moment to advance it. */
export function watchedClock(): WatchedClock {
  const clock = manualClock()
  const timers = new Set<{ readonly delay: Span }>()
  return {
    ...clock,
    after(delay, run) {
      const timer = { delay }
      timers.add(timer)
      const stop = clock.after(delay, () => {
        timers.delete(timer)
        run()
      })
      return () => {
        timers.delete(timer)
        stop()
      }
    },
    waiting: (delay) => [...timers].filter((timer) => timer.delay === delay).length,
    async armed(least, most) {
      for (;;) {
        for (const { delay } of timers) if (delay >= least && delay <= most) return delay
        await turn()
      }
    },
  }
}
