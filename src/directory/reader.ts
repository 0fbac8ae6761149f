import { setMaxListeners } from 'node:events'
import type { DirectoryConfig } from '../config/model.ts'
import type { ErrorCode } from '../errors.ts'
import { elapsed, later, NEVER } from '../lib/time.ts'
import { settledWithin } from '../lib/wait.ts'
import type { Clock, Logger, Span, Subject, WallTime, WaitingFor } from '../types.ts'
import type { Reading } from './evidence.ts'
import type { DirectoryHealth, DirectorySource, ReadPriority } from './model.ts'
import type { People, Person } from './people.ts'
import { createReadings } from './readings.ts'
import type { FaultLog } from '../lib/fault-tally.ts'
import { createSourceHealth } from './source-health.ts'

/** Asked for within this time: read again every `refreshInterval`. Later, only often enough not to become unknown. */
export const ACTIVE_WINDOW: Span = 15 * 60_000
/** One person is read again no sooner than this after a reading began that has not brought anything. */
export const RETRY_DELAY: Span = 10_000
/** Between two looks at who needs a reading in the background. */
const LONGEST_LOOK_INTERVAL: Span = 10_000
/** A sign-in waits no longer for somebody whom the feed kept fresh until just now. */
const FOLLOWED_WAIT: Span = 1000

/** Reads people from the source: what the leader does. Nothing here rejects: a failure leaves what was known. */
export interface Reader {
  signIn(user: Subject): Promise<void>
  /** What the feed told is good: a reading that does not get its turn soon would only take it from somebody unknown. */
  ifSoon(user: Subject, signal: AbortSignal): Promise<void>
  /** Somebody is here, and nothing is known of them. */
  wanted(user: Subject): void
  /**
   * Something is in doubt: the person is read again, at once or once a reading can settle what was told. What fails is left
   * to the background. `part`: of combined sources the one that has news.
   */
  confirm(user: Subject, delay: Span, part?: string): void
  health(): DirectoryHealth
  trouble(): DirectoryHealth['lastError']
  /** Nothing begins any more. */
  readonly closed: AbortSignal
  /** See `SourceHealth`. */
  answers(code: ErrorCode): void
  /** What made readings fail may be mended: the next look at who is due reads. */
  retry(): void
  start(): void
  close(): Promise<void>
}

/** `freshness`: until when a change would be known; `learn` takes what was read. */
export function createReader(deps: {
  readonly source: DirectorySource | undefined
  readonly sourceName: string
  readonly everybody: People
  readonly leads: () => boolean
  readonly freshness: (person: Person) => WallTime
  readonly learn: (user: Subject, reading: Reading) => Promise<void>
  readonly clock: Clock
  readonly config: DirectoryConfig
  readonly maxStaleness: Span
  readonly retention: Span
  readonly logger: Logger
  readonly tell: FaultLog
  readonly waitingFor?: WaitingFor | undefined
  readonly random: () => number
  readonly onTrouble?: ((trouble: DirectoryHealth['lastError']) => void) | undefined
}): Reader {
  const { source, everybody, leads, freshness, learn, clock, config, maxStaleness, retention, random, waitingFor } =
    deps
  const health = createSourceHealth({ ...deps, source: deps.sourceName })
  const lookup: <R>(work: () => Promise<R>) => Promise<R> = waitingFor
    ? (work) => waitingFor({ name: 'directory lookup', kind: 'internal', attributes: {}, alone: true }, work)
    : (work) => work()
  const closing = new AbortController()
  const readings = createReadings({
    clock,
    random,
    interval: Math.min(LONGEST_LOOK_INTERVAL, config.refreshInterval / 6),
    due: () => due(clock.now()),
    read,
    mayRead: (now) => health.mayRead(now),
  })
  // Every reading under way listens to it, and stops when it has ended.
  setMaxListeners(0, closing.signal)

  async function read(user: Subject, priority: ReadPriority, signal: AbortSignal = closing.signal): Promise<void> {
    if (!source || signal.aborted) return
    const readAt = clock.now()
    const person = everybody.personOf(user, readAt)
    person.retryAt = later(clock.monotonic(), RETRY_DELAY)
    // As long as nothing else is in doubt: the other sources are as old as they were.
    const part = priority === 'sign-in' ? undefined : person.doubtOf
    const { doubtAt } = person
    let entry: Reading['entry']
    try {
      entry = await lookup(() => source.lookup(user, signal, priority, part))
    } catch (error) {
      if (!signal.aborted) health.failed(error)
      return
    }
    health.succeeded()
    // Before it is stored; what came in meanwhile needs another reading.
    if (part !== undefined && person.doubtOf === part && person.doubtAt === doubtAt)
      person.doubtAt = person.doubtOf = undefined
    await learn(user, { entry, readAt: (part !== undefined && person.known?.readAt) || readAt })
  }

  /** Doubts first, then those somebody asks for now, then those who are away; the oldest reading first. */
  function due(now: WallTime): readonly Subject[] {
    const waiting: { readonly user: Subject; readonly rank: number; readonly readAt: WallTime }[] = []
    for (const [user, person] of everybody.all) {
      const { known } = person
      const lastRead = known?.readAt ?? NEVER
      // Readings alone keep nobody: else everybody who ever signed in would be read for ever.
      if (elapsed(now, person.askedAt) > retention) {
        everybody.forget(user)
        continue
      }
      // A feed keeps the person fresh; a reading is due only before the stored one expires.
      const readAt = elapsed(now, lastRead) < retention * 0.75 ? freshness(person) : NEVER
      const away = elapsed(now, person.askedAt) > ACTIVE_WINDOW
      if (!source || !leads() || clock.monotonic() < person.retryAt || (away && known?.status !== 'active')) continue
      const doubtful = person.doubtAt !== undefined
      const interval = doubtful ? 0 : away ? Math.max(config.refreshInterval, maxStaleness / 2) : config.refreshInterval
      const rank = Number(away) + (doubtful && known ? 0 : 2)
      if (elapsed(now, readAt) >= interval) waiting.push({ user, rank, readAt })
    }
    waiting.sort((a, b) => a.rank - b.rank || elapsed(a.readAt, b.readAt))
    return waiting.map(({ user }) => user)
  }

  return {
    signIn: (user) => readings.signIn(user),

    async ifSoon(user, signal) {
      const patience = new AbortController()
      const giveUp = (): void => patience.abort()
      closing.signal.addEventListener('abort', giveUp, { once: true })
      const reading = readings.ifSoon(user, patience.signal)
      await settledWithin(reading, { clock, timeout: Math.min(FOLLOWED_WAIT, config.signInTimeout), signal })
      closing.signal.removeEventListener('abort', giveUp)
      giveUp()
    },

    wanted(user) {
      if (clock.monotonic() >= everybody.personOf(user, clock.now()).retryAt) readings.wanted(user)
    },

    confirm(user, delay, part) {
      const now = clock.now()
      const person = everybody.personOf(user, now)
      person.doubtOf = person.doubtAt === undefined || person.doubtOf === part ? part : undefined
      person.doubtAt = now
      if (!source) return
      const ask = (): void => {
        if (person.doubtAt === undefined || !leads()) return
        person.retryAt = NEVER
        readings.confirm(user)
      }
      if (delay > 0) clock.after(delay, ask)
      else ask()
    },

    health: () => health.report(),
    trouble: () => health.trouble(),
    closed: closing.signal,
    answers: (code) => health.answers(code),
    retry: () => health.retry(),
    start: () => readings.start(),
    close() {
      closing.abort(new Error('the directory was closed'))
      return readings.stop()
    },
  }
}
