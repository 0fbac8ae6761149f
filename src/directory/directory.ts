import { setMaxListeners } from 'node:events'
import { messageOf, toAppError } from '../errors.ts'
import { createSingleFlight } from '../lib/single-flight.ts'
import { createMembership } from '../policy/membership.ts'
import type {
  Clock,
  Directory,
  DirectoryConfig,
  DirectorySource,
  Logger,
  Membership,
  Millis,
  ReadPriority,
  Store,
  Subject,
  UserStatus,
  Versioned,
} from '../types.ts'
import { CLAIMS_SOURCE } from './claims.ts'
import { isOlder, type Known, merge, type Reading } from './merge.ts'
import { createGroupPool, createDirectoryTable, type DirectoryRecord } from './records.ts'
import { createRounds } from './rounds.ts'
import { createSourceHealth } from './source-health.ts'

/** Asked for within this time: read again every `refreshInterval`. Later, only often enough not to become unknown. */
const ACTIVE_WINDOW: Millis = 15 * 60_000
/** Nobody asked and nothing was read for so long: forgotten. Longer than sessions usually live. */
const RETENTION: Millis = 24 * 3_600_000
/** Claims cannot be read again, so they are kept for as long as a session may live. */
const CLAIMS_RETENTION: Millis = 30 * RETENTION
/** One person is read again no sooner than this after a reading began that has not brought anything. */
const RETRY_DELAY: Millis = 10_000
/** Beyond the background rounds: readings at once of people whose requests find nothing known. */
const URGENT_READS = 8
const BACKGROUND_READS = 3
const LONGEST_ROUND_INTERVAL: Millis = 10_000
const SAVE_ATTEMPTS = 3
const INACTIVE_KEYS: ReadonlySet<string> = new Set()

interface Person {
  known: Known | undefined
  /** Built when first asked for, from `known`. */
  membership: Membership | undefined
  askedAt: Millis
  /** No reading begins before. */
  retryAt: Millis
  savedAt: Millis
}

export interface LiveDirectory extends Directory {
  /** Loads what earlier runs and other processes have learnt, then keeps people fresh. */
  start(): Promise<void>
  /** Nothing is known about this person any more: a sign-in without the groups claim. */
  forget(user: Subject): Promise<void>
}

/** `source` undefined: groups come from sign-in claims (`observe`). */
export function createDirectory(deps: {
  readonly source: DirectorySource | undefined
  readonly store: Store
  readonly clock: Clock
  readonly config: DirectoryConfig
  readonly logger: Logger
  readonly random?: () => number
}): LiveDirectory {
  const { source, store, clock, config, logger, random = Math.random } = deps
  const sourceName = source?.name ?? CLAIMS_SOURCE
  const maxStaleness = source ? config.maxStaleness : CLAIMS_RETENTION
  const retention = source ? Math.max(RETENTION, maxStaleness) : CLAIMS_RETENTION
  const people = new Map<Subject, Person>()
  const listeners = new Set<(user: Subject, status: UserStatus | 'unknown') => void>()
  const table = createDirectoryTable()
  const pooled = createGroupPool()
  const health = createSourceHealth({ source: sourceName, clock, logger, random })
  const signInReads = createSingleFlight<void>()
  const otherReads = createSingleFlight<void>()
  const pending = new Set<Promise<void>>()
  const closing = new AbortController()
  const rounds = createRounds({
    clock,
    random,
    interval: Math.min(LONGEST_ROUND_INTERVAL, config.refreshInterval / 6),
    parallel: BACKGROUND_READS,
    due,
    read: (user) => otherReads(user, () => read(user, 'background')),
    mayRead: (now) => health.mayRead(now),
  })
  // Every reading under way listens to it, and stops when it has ended.
  setMaxListeners(0, closing.signal)
  let urgentReads = 0
  let unwatch = (): void => {}

  // ---- what requests ask

  function membership(user: Subject): Membership | 'unknown' {
    const now = clock.now()
    const person = personOf(user, now)
    person.askedAt = now
    const { known } = person
    if (known && now - known.readAt <= maxStaleness) return (person.membership ??= toMembership(known, sourceName))
    readUrgently(user, person, now)
    return 'unknown'
  }

  function status(user: Subject): UserStatus | 'unknown' {
    const known = people.get(user)?.known
    if (!known) return 'unknown'
    // Inactive has no age: only newer evidence lets somebody in again.
    return known.status === 'inactive' || clock.now() - known.readAt <= maxStaleness ? known.status : 'unknown'
  }

  function personOf(user: Subject, now: Millis): Person {
    let person = people.get(user)
    if (!person) {
      person = { known: undefined, membership: undefined, askedAt: now, retryAt: 0, savedAt: 0 }
      people.set(user, person)
    }
    return person
  }

  // ---- reading the source

  function readUrgently(user: Subject, person: Person, now: Millis): void {
    if (!source || closing.signal.aborted || now < person.retryAt) return
    if (urgentReads >= URGENT_READS || !health.mayRead(now)) return
    urgentReads++
    track(
      otherReads(user, () => read(user, 'confirm')).finally(() => {
        urgentReads--
      }),
    )
  }

  /** Never rejects: a failure leaves what was known. */
  async function read(user: Subject, priority: ReadPriority): Promise<void> {
    if (!source) return
    const readAt = clock.now()
    personOf(user, readAt).retryAt = readAt + RETRY_DELAY
    let entry: Reading['entry']
    try {
      entry = await source.lookup(user, closing.signal, priority)
    } catch (error) {
      if (!closing.signal.aborted) health.failed(error)
      return
    }
    health.succeeded()
    await learn(user, { entry, readAt })
  }

  /** Who the next round reads: those somebody asks for now before those who are away, the oldest reading first. */
  function due(now: Millis): readonly Subject[] {
    const waiting: { readonly user: Subject; readonly away: boolean; readonly readAt: Millis }[] = []
    for (const [user, person] of people) {
      const { known } = person
      const readAt = known?.readAt ?? 0
      if (now - Math.max(person.askedAt, readAt) > retention) {
        people.delete(user)
        continue
      }
      const away = now - person.askedAt > ACTIVE_WINDOW
      if (away) person.membership = undefined
      if (!source || now < person.retryAt || (away && known?.status !== 'active')) continue
      const interval = away ? Math.max(config.refreshInterval, maxStaleness / 2) : config.refreshInterval
      if (now - readAt >= interval) waiting.push({ user, away, readAt })
    }
    waiting.sort((a, b) => Number(a.away) - Number(b.away) || a.readAt - b.readAt)
    return waiting.map(({ user }) => user)
  }

  // ---- what is known

  /** Takes effect at once, then goes to the store. */
  async function learn(user: Subject, reading: Reading): Promise<void> {
    const changed = apply(user, reading)
    const person = people.get(user)
    if (changed === undefined || !person?.known) return
    // A reading that changes nothing is not worth a write each minute; a restart may find it somewhat older.
    const { readAt } = person.known
    if (!changed && readAt - person.savedAt < maxStaleness / 4) return
    person.savedAt = readAt
    await save(user)
  }

  /** undefined: the reading came late and was dropped. */
  function apply(user: Subject, { entry, readAt }: Reading): boolean | undefined {
    const person = personOf(user, readAt)
    const merged = merge(person.known, { entry: entry && { ...entry, groups: pooled(entry.groups) }, readAt })
    if (!merged) return undefined
    person.known = merged.known
    person.membership = undefined
    person.retryAt = 0
    if (merged.changed) announce(user, merged.known.status)
    return merged.changed
  }

  function announce(user: Subject, next: UserStatus | 'unknown'): void {
    for (const listener of listeners) {
      try {
        listener(user, next)
      } catch (error) {
        logger.error({ user_id: user, error: messageOf(error) }, 'a listener to directory changes failed')
      }
    }
  }

  // ---- the store, shared with earlier runs and other processes

  /** Never rejects: memory decides, and a store that fails costs a reading after the next restart. */
  async function save(user: Subject): Promise<void> {
    try {
      for (let attempt = 0; attempt < SAVE_ATTEMPTS; attempt++) {
        const stored = await readStored(user)
        if (stored !== 'corrupt' && stored) adopt(user, stored.value)
        // What is known now, which another reading or process may have made newer than what we came with.
        const known = people.get(user)?.known
        if (!known || (stored !== 'corrupt' && stored && isSame(known, stored.value))) return
        const record: DirectoryRecord = { source: sourceName, ...known }
        const expiresAt = known.readAt + retention
        const when = stored === 'corrupt' ? { expiresAt } : { ifVersion: stored?.version ?? 0, expiresAt }
        if (await store.put(table, user, record, when)) return
      }
    } catch (error) {
      const { code, message } = toAppError(error)
      logger.warn({ user_id: user, code, error: message }, 'a reading of the group directory could not be stored')
      // The next reading tries again, whether it changes anything or not.
      personOf(user, 0).savedAt = 0
    }
  }

  /** A record that nobody can read is there to be replaced. */
  function readStored(user: Subject): Promise<Versioned<DirectoryRecord> | 'corrupt' | undefined> {
    return store.get(table, user).catch((error: unknown) => {
      if (toAppError(error).code === 'ERR_STORE_CORRUPT') return 'corrupt'
      throw error
    })
  }

  function adopt(user: Subject, record: DirectoryRecord): void {
    if (record.source !== sourceName) return
    const before = people.get(user)?.known
    if (before && !isOlder(before, record)) return
    const entry = record.asOf === undefined ? undefined : { subject: user, ...record, asOf: record.asOf }
    const { readAt } = record
    apply(user, { entry, readAt })
    personOf(user, readAt).savedAt = readAt
  }

  function isSame(known: Known, record: DirectoryRecord): boolean {
    return record.source === sourceName && known.readAt === record.readAt && known.asOf === record.asOf
  }

  async function load(): Promise<void> {
    try {
      for await (const [user, { value }] of store.list(table)) adopt(user, value)
    } catch (error) {
      const { code, message } = toAppError(error)
      logger.warn({ code, error: message }, 'stored readings of the group directory could not all be loaded')
    }
  }

  async function adoptStored(user: Subject): Promise<void> {
    try {
      const stored = await store.get(table, user)
      if (stored) adopt(user, stored.value)
    } catch (error) {
      logger.debug({ user_id: user, error: messageOf(error) }, 'a reading of another process could not be loaded')
    }
  }

  function track(work: Promise<void>): void {
    pending.add(work)
    void work.finally(() => pending.delete(work))
  }

  return {
    membership,
    status,

    async start() {
      unwatch = store.watch(({ table: name, key, kind }) => {
        if (name !== table.name) return
        if (kind === 'put') track(adoptStored(key))
        else if (people.delete(key)) announce(key, 'unknown')
      })
      await load()
      rounds.start()
    },

    async refresh(user, signal) {
      if (source && !signal.aborted && !closing.signal.aborted) {
        const reading = signInReads(user, () => read(user, 'sign-in'))
        track(reading)
        await settledWithin(reading, { clock, timeout: config.signInTimeout, signal })
      }
      return membership(user)
    },

    observe(entry) {
      if (!source) track(learn(entry.subject, { entry, readAt: clock.now() }))
    },

    async forget(user) {
      if (people.delete(user)) announce(user, 'unknown')
      await store.delete(table, user)
    },

    health: () => health.report(),

    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    async close() {
      closing.abort(new Error('the directory was closed'))
      unwatch()
      await rounds.stop()
      await Promise.all(pending)
    },
  }
}

function toMembership({ groups, asOf, readAt, status }: Known, source: string): Membership {
  const membership = createMembership(groups, asOf ?? readAt, source)
  // `Everyone` is any active person, and this one is none.
  return status === 'active' ? membership : { ...membership, keys: INACTIVE_KEYS }
}

/** Whichever comes first: the end of `work`, the timeout, the signal. */
function settledWithin(
  work: Promise<void>,
  { clock, timeout, signal }: { readonly clock: Clock; readonly timeout: Millis; readonly signal: AbortSignal },
): Promise<void> {
  return new Promise((resolve) => {
    const stop = clock.after(timeout, finish)
    signal.addEventListener('abort', finish, { once: true })
    void work.then(finish)
    function finish(): void {
      stop()
      signal.removeEventListener('abort', finish)
      resolve()
    }
  })
}
