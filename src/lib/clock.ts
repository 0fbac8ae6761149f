import type { Clock } from '../types.ts'

/** The wall clock. The only place that reads it; everything else takes a `Clock`. */
export const systemClock: Clock = {
  now: () => Date.now(),
  after(delay, run) {
    const timer = setTimeout(run, delay)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Calls `run` every `interval` until the returned function is called; a run that overlaps the next tick is the caller's to refuse. */
export function every(clock: Clock, interval: number, run: () => void): () => void {
  let stop = clock.after(interval, tick)
  function tick(): void {
    stop = clock.after(interval, tick)
    run()
  }
  return () => stop()
}
