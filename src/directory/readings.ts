import { createSingleFlight } from '../lib/single-flight.ts'
import type { Clock, Monotonic, Span, Subject, Unsubscribe } from '../types.ts'
import type { ReadPriority } from './model.ts'

/** Sign-ins never wait here. Of the others, so many are under way at once: doubts first, then those of whom nothing is known. */
const MOST = { confirm: 8, wanted: 8, background: 3 } as const
const LINES = ['confirm', 'wanted', 'background'] as const

/** One queue of people to be read: a sign-in at once, then doubts, then people who are not known, then the background. */
export interface Readings {
  /** Resolves when the person has been read, or could not be. Two who sign in as one person share one reading. */
  signIn(user: Subject): Promise<void>
  /** Beside the queue: somebody whom the feed follows, and who need not be read. */
  ifSoon(user: Subject, signal: AbortSignal): Promise<void>
  confirm(user: Subject): void
  wanted(user: Subject): void
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
  const waiting = { confirm: new Set<Subject>(), wanted: new Set<Subject>(), background: new Set<Subject>() }
  const running = { confirm: 0, wanted: 0, background: 0 }
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
    for (const line of LINES) {
      for (const user of waiting[line]) {
        if (stopped || running[line] >= MOST[line] || !mayRead(clock.monotonic())) break
        waiting[line].delete(user)
        running[line]++
        const priority = line === 'background' ? line : 'confirm'
        void track(begin(user, () => read(user, priority))).finally(() => {
          running[line]--
          startWhatMay()
        })
      }
    }
  }

  function enter(line: 'confirm' | 'wanted', user: Subject): void {
    if (stopped || flights.has(user)) return
    waiting[line].add(user)
    startWhatMay()
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
    confirm: (user) => enter('confirm', user),
    wanted: (user) => enter('wanted', user),
    start: schedule,
    async stop() {
      stopped = true
      disarm()
      await Promise.all(pending)
    },
  }
}
