import type { Clock, Millis, Monotonic, Subject, Unsubscribe } from '../types.ts'

/** Reads people again in the background, round after round. */
export interface Rounds {
  start(): void
  /** No round begins any more; the running one ends with the reads that have begun. */
  stop(): Promise<void>
}

/**
 * `due`: who needs a reading, in the order to read them. `read` never rejects. `mayRead`: false ends the
 * round early, because the source itself is in trouble and the next person would fare no better.
 */
export function createRounds(deps: {
  readonly clock: Clock
  readonly random: () => number
  readonly interval: Millis
  readonly parallel: number
  readonly due: (now: Monotonic) => readonly Subject[]
  readonly read: (user: Subject) => Promise<void>
  readonly mayRead: (now: Monotonic) => boolean
}): Rounds {
  const { clock, random, interval, parallel, due, read, mayRead } = deps
  let disarm: Unsubscribe = () => {}
  let running: Promise<void> = Promise.resolve()
  let stopped = true

  /** Replicas that started together drift apart. */
  function schedule(): void {
    disarm = clock.after(interval * (0.9 + 0.2 * random()), () => {
      running = round().finally(() => {
        if (!stopped) schedule()
      })
    })
  }

  async function round(): Promise<void> {
    const people = due(clock.monotonic()).values()
    async function work(): Promise<void> {
      for (const user of people) {
        if (stopped || !mayRead(clock.monotonic())) return
        await read(user)
      }
    }
    await Promise.all(Array.from({ length: parallel }, work))
  }

  return {
    start() {
      stopped = false
      schedule()
    },
    stop() {
      stopped = true
      disarm()
      return running
    },
  }
}
