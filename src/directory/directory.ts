import { settledWithin } from '../lib/wait.ts'
import { type Issuer, subjectOf } from '../lib/person.ts'
import type { Clock, Logger, Span, PersonKey, Store, Subject, Unsubscribe, WallTime, WaitingFor } from '../types.ts'
import type { Directory, DirectoryHealth, DirectorySource, Membership, UserStatus } from './model.ts'
import type { DirectoryConfig } from '../config/model.ts'
import type { ErrorCode } from '../errors.ts'
import { CLAIMS_SOURCE } from './claims.ts'
import type { Inbox, Message } from './inbox.ts'
import { createListeners, type SessionsEndListener } from './listeners.ts'
import { createRecordStore } from './record-store.ts'
import { ALONE, type Leadership } from './leadership.ts'
import type { Known, Reading } from './evidence.ts'
import type { DirectoryRecord } from './records.ts'
import { createPeople, type Effect, type Person } from './people.ts'
import { ACTIVE_WINDOW, createReader, RETRY_DELAY } from './reader.ts'
import type { Signal, Trust } from './signals.ts'
import { type Coverage, createMemberships, freshAtOf, isCovered } from './view.ts'
import { createFaultLog, type FaultLog } from '../lib/fault-tally.ts'
import { earliest, elapsed, latest, NEVER } from '../lib/time.ts'

/** Nobody asked for so long: forgotten. Longer than sessions usually live. */
const RETENTION: Span = 24 * 3_600_000
/** Claims cannot be read again, so they are kept for as long as a session may live. */
const CLAIMS_RETENTION: Span = 30 * RETENTION
/** A process that does not lead tells the leader that somebody is here no more often. */
const TELL_INTERVAL: Span = ACTIVE_WINDOW / 3
/** Okta's evidence may be two seconds older than it looks: sooner, a reading could not settle anything. */
const CONFIRM_DELAY: Span = 3000
/** The feed kept somebody fresh until then. */
const JUST_NOW: Span = 30_000

export interface DirectoryFacts {
  readonly people: number
  /** Somebody who waits for a reading that settles a doubt. */
  readonly doubtful: number
  readonly coverage: Coverage | undefined
}

export interface LiveDirectory extends Directory {
  /** Loads what earlier runs and other processes have learnt, then keeps people fresh. Resolves when all is loaded. */
  start(): Promise<void>
  /** Nothing is known about this person any more: a sign-in without the groups claim. */
  forget(person: PersonKey): Promise<void>
  /** Applies what a feed has heard, at once. Resolves when it is durable; rejects when it is not, and may be called with the same again. */
  absorb(signals: readonly Signal[], trust: Trust): Promise<void>
  /** Groups were renamed. Whoever is in one of them is told its new name by `absorb`. */
  forgetNames(): void
  /** undefined: no feed tells of changes. */
  cover(coverage: Coverage | undefined): void
  /** What one of several combined sources says of somebody is another now: that source alone is asked. */
  reread(user: Subject, source: string | undefined): void
  /** What another process asks of the leader. Never rejects. */
  serve(message: Extract<Message, { kind: 'read' }>): Promise<void>
  /** Sessions of this person that began before are over, though the account may be in order. Durable when it resolves. */
  onSessionsEnd(listener: SessionsEndListener): Unsubscribe
  /** Everybody who is known: their groups and status. */
  known(): Iterable<readonly [user: Subject, known: Known]>
  facts(): DirectoryFacts
  /** See `Reader`. */
  retry(): void
  /** See `SourceHealth`. */
  answers(code: ErrorCode): void
}

/**
 * Everybody's groups and status, in the memory of this process. One process of all that share the store leads and asks the
 * source; the others follow what it stores, and ask it through `inbox`. Without `sharing`, this process is alone.
 * `source` undefined: groups come from sign-in claims (`observe`). `issuer`: whose subjects the source and the feed speak
 * of. Inside, people go by their subject; callers and the store know them by their key.
 */
export function createDirectory(deps: {
  readonly issuer: Issuer
  readonly source: DirectorySource | undefined
  readonly store: Store
  readonly clock: Clock
  readonly config: DirectoryConfig
  readonly logger: Logger
  readonly random?: () => number
  /** The source fails, fails otherwise, or answers again. */
  readonly onTrouble?: (trouble: DirectoryHealth['lastError']) => void
  /** Of all that asks this directory. */
  readonly tell?: FaultLog
  readonly waitingFor?: WaitingFor | undefined
  readonly sharing?: { readonly leadership: Leadership; readonly inbox: Inbox }
}): LiveDirectory {
  const {
    issuer,
    source,
    store,
    clock,
    config,
    logger,
    random = Math.random,
    sharing,
    tell = createFaultLog(deps),
  } = deps
  const leadership = sharing?.leadership ?? ALONE
  const leads = (): boolean => leadership.leads()
  const sourceName = source?.name ?? CLAIMS_SOURCE
  const { maxStaleness } = config
  const retention = source ? Math.max(RETENTION, maxStaleness) : CLAIMS_RETENTION
  const everybody = createPeople()
  const people = everybody.all
  const memberships = createMemberships(sourceName)
  const listeners = createListeners({ issuer, tell })
  const closing = new AbortController()
  const records = createRecordStore({
    issuer,
    store,
    logger,
    tell,
    retention,
    signal: closing.signal,
    known: () => [...people].flatMap(([user, { known }]) => (known ? [user] : [])),
    current: recordOf,
    adopt,
  })
  /** What is told meanwhile would find nobody to tell it of. undefined: everything is loaded. */
  let loading: Promise<void> | undefined
  const pending = new Set<Promise<void>>()
  const reader = createReader({
    source,
    sourceName,
    everybody,
    leads,
    freshness: freshnessOf,
    learn,
    clock,
    config,
    maxStaleness,
    retention,
    logger,
    tell,
    waitingFor: deps.waitingFor,
    random,
    onTrouble: deps.onTrouble,
  })
  let unwatch = (): void => {}
  // Who did not lead has not heard of renamed groups.
  const unfollow = leadership.onChange(() => everybody.forgetNames())
  let coverage: Coverage | undefined

  // ---- what requests ask

  function membership(user: Subject): Membership | 'unknown' {
    const now = clock.now()
    const known = peek(user, now)
    ask(user, known === 'unknown', now)
    return known
  }

  /** What is known, from memory. */
  function peek(user: Subject, now: WallTime): Membership | 'unknown' {
    const person = people.get(user)
    if (!person?.known) return 'unknown'
    const freshAt = freshnessOf(person)
    return elapsed(now, freshAt) <= maxStaleness ? memberships.of(user, person.known, freshAt) : 'unknown'
  }

  /** Somebody is here: they are kept fresh, and read when nothing is known of them. */
  function ask(user: Subject, isUnknown: boolean, now: WallTime): void {
    const person = everybody.personOf(user, now)
    person.askedAt = now
    if (!source || reader.closed.aborted) return
    if (leads()) return isUnknown ? reader.wanted(user) : undefined
    if (elapsed(clock.monotonic(), person.toldAt) < (isUnknown ? RETRY_DELAY : TELL_INTERVAL)) return
    person.toldAt = clock.monotonic()
    const message = { kind: 'read', person: issuer.person(user), urgent: false } as const
    // Told again later; a store that fails shows elsewhere.
    track((sharing?.inbox.post(message) ?? Promise.resolve()).catch(() => undefined))
  }

  function status(user: Subject): UserStatus | 'unknown' {
    const person = people.get(user)
    if (!person?.known) return 'unknown'
    // Inactive has no age: only newer evidence lets somebody in again. Nor has what a sign-in told: it says that somebody did.
    const counts =
      !source || person.known.status === 'inactive' || elapsed(clock.now(), freshnessOf(person)) <= maxStaleness
    return counts ? person.known.status : 'unknown'
  }

  function freshnessOf({ known, doubtAt }: Person): WallTime {
    return known ? freshAtOf(known.readAt, doubtAt, coverage) : NEVER
  }

  /** Known to be active, in no doubt, and told of whatever changed until just now. */
  function isFollowed(user: Subject): boolean {
    const person = people.get(user)
    if (person?.known?.status !== 'active' || !isCovered(person.known.readAt, person.doubtAt, coverage)) return false
    return elapsed(clock.now(), freshnessOf(person)) <= JUST_NOW
  }

  // ---- what is known

  /** Takes effect at once, then goes to the store. */
  async function learn(user: Subject, reading: Reading): Promise<void> {
    const before = people.get(user)?.known?.status
    const effect = everybody.learn(user, reading, clock.now())
    const person = people.get(user)
    if (!effect || !person?.known) return
    take(effect)
    if (person.known.status === 'inactive' && before !== 'inactive')
      await listeners.endSessionsQuietly(user, clock.now())
    // A reading that changes nothing is not worth a write each minute; a restart may find it somewhat older.
    const { readAt } = person.known
    if (!effect.changed && person.doubtAt === undefined && elapsed(readAt, person.savedAt) < maxStaleness / 4) return
    person.savedAt = readAt
    await saveQuietly(user)
  }

  function take({ user, changed, confirm: doubtful }: Effect): void {
    if (changed) listeners.announce(user, people.get(user)?.known?.status ?? 'unknown')
    if (doubtful && leads()) reader.confirm(user, changed ? CONFIRM_DELAY : 0)
  }

  async function absorb(signals: readonly Signal[], trust: Trust): Promise<void> {
    if (loading) await loading
    const now = clock.now()
    const touched = new Set<Subject>()
    const ended = new Map<Subject, WallTime>()
    const end = (user: Subject, before: WallTime): void =>
      void ended.set(user, latest(before, ended.get(user) ?? NEVER))
    for (const signal of signals) {
      if (signal.kind === 'sessions-ended') end(signal.user, signal.before)
      if (signal.kind === 'group-sessions-ended')
        for (const user of everybody.holders(signal.group)) end(user, signal.before)
      for (const effect of everybody.tell(signal, trust, now)) {
        touched.add(effect.user)
        if (signal.kind === 'inactive') end(effect.user, now)
        take(effect)
      }
    }
    await Promise.all([
      ...[...touched].map((user) => (people.get(user)?.known ? records.save(user) : records.delete(user))),
      ...[...ended].map(([user, before]) => listeners.endSessions(user, before)),
    ])
  }

  // ---- the store, shared with earlier runs and other processes

  function recordOf(user: Subject): DirectoryRecord | undefined {
    const person = people.get(user)
    if (!person?.known) return undefined
    const { doubtAt } = person
    // Others hear of the doubt: they are to hear of the reading that settles it, too.
    if (doubtAt !== undefined) person.savedAt = NEVER
    return { source: sourceName, ...person.known, ...(doubtAt !== undefined && { doubtAt }) }
  }

  /** Times of another run, or of another clock, that lie ahead would let what is known live longer. */
  function adopt(user: Subject, { source: theirs, doubtAt, ...known }: DirectoryRecord): void {
    if (theirs !== sourceName) return
    const now = clock.now()
    const readAt = earliest(known.readAt, now)
    const isNews = readAt > (people.get(user)?.known?.readAt ?? NEVER)
    const effect = everybody.adopt(user, { ...known, readAt }, now)
    const person = everybody.personOf(user, readAt)
    const newest = person.known?.readAt ?? NEVER
    if (isNews) person.savedAt = newest
    if (doubtAt !== undefined && earliest(doubtAt, now) > newest) {
      person.doubtAt = latest(earliest(doubtAt, now), person.doubtAt ?? NEVER)
      person.savedAt = NEVER
    } else if (person.doubtAt !== undefined && person.doubtAt <= newest) person.doubtAt = person.doubtOf = undefined
    if (effect) take(effect)
  }

  /** Never rejects: memory decides, and a store that fails costs a reading after the next restart. */
  async function saveQuietly(user: Subject): Promise<void> {
    try {
      await records.save(user)
    } catch (error) {
      tell(error, 'a reading of the group directory could not be stored', { user_id: user })
      // The next reading tries again, whether it changes anything or not.
      everybody.personOf(user, NEVER).savedAt = NEVER
    }
  }

  /** What the leader knows of a person whom another process stored goes back to the store. */
  async function fetch(user: Subject): Promise<void> {
    const knowsMore = await records.fetch(user)
    if (knowsMore && leads()) await saveQuietly(user)
  }

  /** Never rejects. The leader answers through the store. */
  async function askLeader(person: PersonKey, signal: AbortSignal): Promise<void> {
    try {
      await sharing?.inbox.ask({ kind: 'read', person, urgent: true }, signal)
    } catch (error) {
      tell(error, 'the leader could not be asked for a reading', { user_id: subjectOf(person) })
    }
  }

  function track(work: Promise<void>): void {
    pending.add(work)
    void work.finally(() => pending.delete(work))
  }

  return {
    membership(person) {
      const user = issuer.subject(person)
      return user === undefined ? 'unknown' : membership(user)
    },

    status(person) {
      const user = issuer.subject(person)
      return user === undefined ? 'unknown' : status(user)
    },

    async start() {
      unwatch = records.watch((user, kind) => {
        if (kind === 'put') track(fetch(user))
        // Whoever reads the source knows better than a store that has lost something.
        else if (source && leads()) track(saveQuietly(user))
        else if (everybody.forget(user)) listeners.announce(user, 'unknown')
      })
      loading = records.load()
      await loading
      loading = undefined
      if (!closing.signal.aborted) reader.start()
    },

    async recall(person) {
      const user = issuer.subject(person)
      if (user !== undefined && !people.get(user)?.known) await records.fetch(user)
    },

    async refresh(person, signal) {
      const user = issuer.subject(person)
      if (user === undefined) return 'unknown'
      if (!source || signal.aborted || reader.closed.aborted) return membership(user)
      if (!isFollowed(user)) {
        const reading = leads() ? reader.signIn(user) : askLeader(person, signal)
        await settledWithin(reading, { clock, timeout: config.signInTimeout, signal })
      } else if (leads()) await reader.ifSoon(user, signal)
      return membership(user)
    },

    observe(person, entry) {
      const user = issuer.subject(person)
      if (!source && user !== undefined) track(learn(user, { entry, readAt: clock.now() }))
    },

    async forget(person) {
      const user = issuer.subject(person)
      if (user === undefined) return
      if (everybody.forget(user)) listeners.announce(user, 'unknown')
      await records.delete(user)
    },

    absorb(signals, trust) {
      const work = absorb(signals, trust)
      track(work.catch(() => {}))
      return work
    },

    forgetNames: () => everybody.forgetNames(),

    cover(next) {
      const now = clock.now()
      coverage = next && { since: earliest(next.since, now), upTo: earliest(next.upTo, now) }
    },

    reread(user, part) {
      const confirm = (): void => {
        if (people.get(user)?.known) reader.confirm(user, 0, part)
      }
      if (loading) void loading.then(confirm)
      else confirm()
    },

    async serve({ person, urgent }) {
      const user = issuer.subject(person)
      if (user === undefined) return
      if (!urgent) {
        membership(user)
        return
      }
      await reader.signIn(user)
      // Whoever asked waits for the record, whether the reading changed anything or not.
      await saveQuietly(user)
    },

    onSessionsEnd: (listener) => listeners.onSessionsEnd(listener),

    *known() {
      for (const [user, { known }] of people) if (known) yield [user, known]
    },

    facts() {
      let doubtful = 0
      for (const { doubtAt } of people.values()) if (doubtAt !== undefined) doubtful++
      return { people: people.size, doubtful, coverage }
    },

    answers: (code) => reader.answers(code),
    retry: () => reader.retry(),
    health: () => reader.health(),
    trouble: () => reader.trouble(),

    onChange: (listener) => listeners.onChange(listener),

    async close() {
      unwatch()
      unfollow()
      closing.abort()
      const ended = reader.close()
      await loading
      await ended
      await Promise.all(pending)
    },
  }
}
