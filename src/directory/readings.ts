import { createSingleFlight } from '../lib/single-flight.ts'
import type { Clock, Monotonic, Span, Subject, Unsubscribe } from '../types.ts'
import type { ReadPriority } from './model.ts'

/** Sign-ins never wait here. Of the others, so many are under way at once. */
const MOST: Readonly<Record<'confirm' | 'background', number>> = { confirm: 8, background: 3 }

/** One queue of people to be read: a sign-in at once, then confirmations, then the background, in order of arrival. */
export interface Readings {
  /** Resolves when the person has been read, or could not be. Two who sign in as one person share one reading. */
  signIn(user: Subject): Promise<void>
  /** Beside the queue: somebody whom the feed follows, and who need not be read. */
  ifSoon(user: Subject, signal: AbortSignal): Promise<void>
  confirm(user: Subject): void
  start(): void
  /** Nothing begins any more; resolves when what has begun has ended. */
  stop(): Promise<void>
}

/**
 * `due`: who needs a reading in the background, in the order to read them; asked every `interval`. `read` never rejects.
 * `mayRead`: false keeps people waiting, because the source itself is in trouble and the next would fare no better.
 */
export function createReadings(deps: {
  readonly clock: Clock
  readonly random: () => number
  readonly interval: Span
  readonly due: () => Iterable<Subject>
  readonly read: (user: Subject, priority: ReadPriority, signal?: AbortSignal) => Promise<void>
  readonly mayRead: (now: Monotonic) => boolean
}): Readings {
  const { clock, random, interval, due, read, mayRead } = deps
  const signIns = createSingleFlight<void>()
  const waiting = { confirm: new Set<Subject>(), background: new Set<Subject>() }
  const running = { confirm: 0, background: 0 }
  const flights = new Map<Subject, Promise<void>>()
  const pending = new Set<Promise<void>>()
  let disarm: Unsubscribe = () => {}
  let stopped = false

  function begin(user: Subject, run: () => Promise<void>): Promise<void> {
    const flying = flights.get(user)
    if (flying) return flying
    const flight = run().finally(() => flights.delete(user))
    flights.set(user, flight)
    return flight
  }

  function startWhatMay(): void {
    for (const priority of ['confirm', 'background'] as const) {
      for (const user of waiting[priority]) {
        if (stopped || running[priority] >= MOST[priority] || !mayRead(clock.monotonic())) break
        waiting[priority].delete(user)
        running[priority]++
        void track(begin(user, () => read(user, priority))).finally(() => {
          running[priority]--
          startWhatMay()
        })
      }
    }
  }

  function track(work: Promise<void>): Promise<void> {
    pending.add(work)
    return work.finally(() => pending.delete(work))
  }

  /** Replicas that started together drift apart. */
  function schedule(): void {
    disarm = clock.after(interval * (0.9 + 0.2 * random()), () => {
      waiting.background = new Set(due())
      startWhatMay()
      // Not at once: a clock that was held up must not look for each time that it missed.
      void Promise.resolve().then(() => stopped || schedule())
    })
  }

  return {
    signIn: (user) => track(signIns(user, () => read(user, 'sign-in'))),
    ifSoon: (user, signal) => track(begin(user, () => read(user, 'background', signal))),
    confirm(user) {
      if (stopped || flights.has(user)) return
      waiting.confirm.add(user)
      startWhatMay()
    },
    start: schedule,
    async stop() {
      stopped = true
      disarm()
      await Promise.all(pending)
    },
  }
}
