import type { Clock, Span } from '../../src/types.ts'

export interface ManualClock extends Clock {
  /** A number as well, so that tests may reckon with it. */
  now(): number
  monotonic(): number
  /** Moves the wall clock alone, as an administrator would: no timer becomes due. */
  step(by: Span): void
  /** Moves time and runs what became due, in order. */
  advance(by: Span): void
  /** Like `advance`, letting promises settle between timers. */
  advanceAsync(by: Span): Promise<void>
}

/** A clock that moves only when told. */
export function manualClock(start: Span = Date.UTC(2026, 10, 20, 12)): ManualClock {
  let now = start
  let stepped = 0
  let nextId = 0
  const timers = new Map<number, { at: Span; run: () => void }>()
  function due(until: Span): { id: number; at: Span; run: () => void } | undefined {
    let first: { id: number; at: Span; run: () => void } | undefined
    for (const [id, timer] of timers) if (timer.at <= until && (!first || timer.at < first.at)) first = { id, ...timer }
    return first
  }
  function step(until: Span): boolean {
    const timer = due(until)
    if (!timer) return false
    timers.delete(timer.id)
    now = Math.max(now, timer.at)
    timer.run()
    return true
  }
  return {
    now: () => now + stepped,
    monotonic: () => now,
    step: (by) => void (stepped += by),
    after(delay, run) {
      const id = nextId++
      timers.set(id, { at: now + delay, run })
      return () => timers.delete(id)
    },
    advance(by) {
      const until = now + by
      while (step(until));
      now = until
    },
    async advanceAsync(by) {
      const until = now + by
      do await new Promise((resolve) => setImmediate(resolve))
      while (step(until))
      now = until
    },
  }
}
