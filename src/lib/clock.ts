import { uptime } from 'node:os'
import type { Clock, Monotonic, Span, WallTime } from '../types.ts'
import { elapsed, epochMillis, monotonicTime, wallTime } from './time.ts'

/** How often the system's clock is compared with ours. */
const CHECK_INTERVAL: Span = 1000
/** Less is the two clocks' own drift, and is taken over at once; more is a step. */
const LARGEST_DRIFT: Span = 1000
/** Of a step, so much is taken over for each second that passes: an hour takes ten hours. */
const SLEW = 0.1

/** 25 days: Node takes whatever is longer for one millisecond. */
const LONGEST_TIMER: Span = 2 ** 31 - 1

/** What the operating system offers; tests offer something else. */
export interface SystemTime {
  /** May step. */
  wall(): number
  /** Does not step, and stands still while the machine sleeps. */
  monotonic(): number
  /** Milliseconds since the machine started, its sleep included. */
  uptime(): number
}

/** A sandbox may hide it: then the sleep of the machine counts as a step. */
function systemUptime(): number {
  try {
    return uptime() * 1000
  } catch {
    return performance.now()
  }
}

/** As the system says now, steps included: for libraries that read it themselves. */
export function systemTime(): number {
  return Date.now()
}

/**
 * The wall clock of one process: the system's at the start, and from there what the monotonic clock counts. So a step of
 * the system's clock ends no session and lets none live longer. What drifts is followed, what steps is followed slowly,
 * and a machine that slept has slept: its sleep counts at once.
 */
export function createWallClock(system: SystemTime): Pick<Clock, 'now' | 'monotonic'> {
  let checkedAt = system.monotonic()
  let offset = system.wall() - checkedAt
  let asleep = system.uptime() - checkedAt

  function follow(monotonic: number): void {
    const slept = system.uptime() - monotonic - asleep
    if (slept > LARGEST_DRIFT) {
      offset += slept
      asleep += slept
    }
    const difference = system.wall() - monotonic - offset
    const most = Math.abs(difference) <= LARGEST_DRIFT ? LARGEST_DRIFT : (monotonic - checkedAt) * SLEW
    offset += Math.sign(difference) * Math.min(Math.abs(difference), most)
    checkedAt = monotonic
  }

  return {
    now(): WallTime {
      const monotonic = system.monotonic()
      if (monotonic - checkedAt >= CHECK_INTERVAL) follow(monotonic)
      return wallTime(Math.floor(monotonic + offset))
    },
    monotonic: (): Monotonic => monotonicTime(system.monotonic()),
  }
}

/** The clock of this process. The only place that reads the system's; everything else takes a `Clock`. */
export const systemClock: Clock = {
  ...createWallClock({ wall: systemTime, monotonic: () => performance.now(), uptime: systemUptime }),
  after(delay, run) {
    let timer: NodeJS.Timeout
    const wait = (left: Span): void => {
      timer = setTimeout(left > LONGEST_TIMER ? () => wait(left - LONGEST_TIMER) : run, Math.min(left, LONGEST_TIMER))
      timer.unref()
    }
    wait(delay)
    return () => clearTimeout(timer)
  },
}

/**
 * Calls `run` every `interval` until the returned function is called; a run that overlaps the next tick is the caller's to
 * refuse. At the full multiples of `interval` on the monotonic clock, so that what is due each second, every five and every
 * minute wakes an idle process once: the first after half an interval at the soonest.
 */
export function every(clock: Clock, interval: Span, run: () => void): () => void {
  return repeat(clock, run, () => {
    const now = elapsed(clock.monotonic(), monotonicTime(0))
    // From the nearest mark, because a timer may be a little early.
    return (Math.round(now / interval) + 1) * interval - now
  })
}

/** The same, at the full multiples of `interval` on the wall clock: 30 s is the begin and the middle of each minute. */
export function onTheMark(clock: Clock, interval: Span, run: () => void): () => void {
  return repeat(clock, run, () => interval - (epochMillis(clock.now()) % interval))
}

function repeat(clock: Clock, run: () => void, untilNext: () => Span): () => void {
  let stop = clock.after(untilNext(), tick)
  function tick(): void {
    stop = clock.after(untilNext(), tick)
    run()
  }
  return () => stop()
}
