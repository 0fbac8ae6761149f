import { setMaxListeners } from 'node:events'
import { messageOf, toAppError } from '../errors.ts'
import { createSingleFlight } from '../lib/single-flight.ts'
import { settledWithin } from '../lib/wait.ts'
import type { Issuer } from '../lib/person.ts'
import type { Clock, Logger, Millis, PersonKey, Store, Subject, Unsubscribe, WallTime } from '../types.ts'
import type { Directory, DirectorySource, Membership, ReadPriority, UserStatus } from './model.ts'
import type { DirectoryConfig } from '../config/model.ts'
import { CLAIMS_SOURCE } from './claims.ts'
import { createKeeper } from './keeper.ts'
import type { Known, Reading } from './evidence.ts'
import type { DirectoryRecord } from './records.ts'
import { createPeople, type Effect, type Person } from './people.ts'
import { createRounds } from './rounds.ts'
import type { Signal, Trust } from './signals.ts'
import { createSourceHealth } from './source-health.ts'
import { type Coverage, createMemberships, freshAtOf, isCovered } from './view.ts'
import { asWallTime, elapsed, later, latest, NEVER } from '../lib/time.ts'

/** Asked for within this time: read again every `refreshInterval`. Later, only often enough not to become unknown. */
const ACTIVE_WINDOW: Millis = 15 * 60_000
/** Nobody asked for so long: forgotten. Longer than sessions usually live. */
const RETENTION: Millis = 24 * 3_600_000
/** Claims cannot be read again, so they are kept for as long as a session may live. */
const CLAIMS_RETENTION: Millis = 30 * RETENTION
/** One person is read again no sooner than this after a reading began that has not brought anything. */
const RETRY_DELAY: Millis = 10_000
/** Beyond the background rounds: readings at once of people whose requests find nothing known. */
const URGENT_READS = 8
const BACKGROUND_READS = 3
const LONGEST_ROUND_INTERVAL: Millis = 10_000
/** Okta's evidence may be two seconds older than it looks: sooner, a reading could not settle anything. */
const CONFIRM_DELAY: Millis = 3000
/** A sign-in waits no longer for somebody whom the feed kept fresh until just now. */
const FOLLOWED_WAIT: Millis = 1000
const JUST_NOW: Millis = 30_000
/** Clocks of replicas that share a store differ by no more. */
const CLOCK_SKEW: Millis = 5000

export type SessionsEndListener = (person: PersonKey, before: WallTime) => void | Promise<void>

export interface DirectoryFacts {
  readonly people: number
  /** Somebody who waits for a reading that settles a doubt. */
  readonly doubtful: number
  readonly coverage: Coverage | undefined
}

export interface LiveDirectory extends Directory {
  /** Loads what earlier runs and other processes have learnt, then keeps people fresh. */
  start(): Promise<void>
  /** Nothing is known about this person any more: a sign-in without the groups claim. */
  forget(person: PersonKey): Promise<void>
  /** Applies what a feed has heard, at once. Resolves when it is durable; rejects when it is not, and may be called with the same again. */
  absorb(signals: readonly Signal[], trust: Trust): Promise<void>
  /** undefined: no feed tells of changes. */
  cover(coverage: Coverage | undefined): void
  /**
   * Since when this process hears the feed; undefined: another process does. People whose reading began earlier and
   * who become known only now are read again: what happened meanwhile was told to somebody else.
   */
  listening(since: WallTime | undefined): void
  /** Sessions of this person that began before are over, though the account may be in order. Durable when it resolves. */
  onSessionsEnd(listener: SessionsEndListener): Unsubscribe
  /** Everybody who is known: their groups and status. */
  known(): Iterable<readonly [user: Subject, known: Known]>
  facts(): DirectoryFacts
}

/**
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
}): LiveDirectory {
  const { issuer, source, store, clock, config, logger, random = Math.random } = deps
  const sourceName = source?.name ?? CLAIMS_SOURCE
  const maxStaleness = source ? config.maxStaleness : CLAIMS_RETENTION
  const retention = source ? Math.max(RETENTION, maxStaleness) : CLAIMS_RETENTION
  const everybody = createPeople()
  const people = everybody.all
  const memberships = createMemberships(sourceName)
  const listeners = new Set<(person: PersonKey, status: UserStatus | 'unknown') => void>()
  const endListeners = new Set<SessionsEndListener>()
  const keeper = createKeeper({ issuer, store, logger, retention, current: recordOf, adopt })
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
    due: () => due(clock.now()),
    read: (user) => otherReads(user, () => read(user, 'background')),
    mayRead: (now) => health.mayRead(now),
  })
  // Every reading under way listens to it, and stops when it has ended.
  setMaxListeners(0, closing.signal)
  let urgentReads = 0
  let unwatch = (): void => {}
  let coverage: Coverage | undefined
  let listeningSince: WallTime | undefined

  // ---- what requests ask

  function membership(user: Subject): Membership | 'unknown' {
    const now = clock.now()
    const person = everybody.personOf(user, now)
    person.askedAt = now
    const { known } = person
    const freshAt = freshnessOf(person)
    if (known && elapsed(now, freshAt) <= maxStaleness) return memberships.of(user, known, freshAt)
    readUrgently(user, person, now)
    return 'unknown'
  }

  function status(user: Subject): UserStatus | 'unknown' {
    const person = people.get(user)
    if (!person?.known) return 'unknown'
    // Inactive has no age: only newer evidence lets somebody in again.
    const counts = person.known.status === 'inactive' || elapsed(clock.now(), freshnessOf(person)) <= maxStaleness
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

  // ---- reading the source

  function readUrgently(user: Subject, person: Person, now: WallTime): void {
    if (!source || closing.signal.aborted || now < person.retryAt) return
    if (urgentReads >= URGENT_READS || !health.mayRead(clock.monotonic())) return
    urgentReads++
    track(
      otherReads(user, () => read(user, 'confirm')).finally(() => {
        urgentReads--
      }),
    )
  }

  /** What the feed told is good: a reading that does not get its turn soon would only take it from somebody unknown. */
  async function readIfSoon(user: Subject, signal: AbortSignal): Promise<void> {
    const patience = new AbortController()
    const giveUp = (): void => patience.abort()
    closing.signal.addEventListener('abort', giveUp, { once: true })
    const reading = otherReads(user, () => read(user, 'background', patience.signal))
    track(reading)
    await settledWithin(reading, { clock, timeout: Math.min(FOLLOWED_WAIT, config.signInTimeout), signal })
    closing.signal.removeEventListener('abort', giveUp)
    giveUp()
  }

  /** Never rejects: a failure leaves what was known. */
  async function read(user: Subject, priority: ReadPriority, signal: AbortSignal = closing.signal): Promise<void> {
    if (!source) return
    const readAt = clock.now()
    everybody.personOf(user, readAt).retryAt = later(readAt, RETRY_DELAY)
    let entry: Reading['entry']
    try {
      entry = await source.lookup(user, signal, priority)
    } catch (error) {
      if (!signal.aborted) health.failed(error)
      return
    }
    health.succeeded()
    await learn(user, { entry, readAt })
  }

  /** The person is read again: at once, or once a reading can settle what was heard. What fails is left to the rounds. */
  function confirm(user: Subject, delay: Millis): void {
    const now = clock.now()
    const person = everybody.personOf(user, now)
    person.doubtAt = now
    if (!source) return
    const ask = (): void => {
      if (person.doubtAt === undefined) return
      person.retryAt = NEVER
      readUrgently(user, person, clock.now())
    }
    if (delay > 0) clock.after(delay, ask)
    else ask()
  }

  /** Who the next round reads: those somebody asks for now before those who are away, the oldest reading first. */
  function due(now: WallTime): readonly Subject[] {
    const waiting: { readonly user: Subject; readonly away: boolean; readonly readAt: WallTime }[] = []
    for (const [user, person] of people) {
      const { known } = person
      const lastRead = known?.readAt ?? NEVER
      // Readings alone keep nobody: else everybody who ever signed in would be read for ever.
      if (elapsed(now, person.askedAt) > retention) {
        everybody.forget(user)
        continue
      }
      // A feed keeps the person fresh; a reading is due only before the stored one expires.
      const readAt = elapsed(now, lastRead) < retention * 0.75 ? freshnessOf(person) : NEVER
      const away = elapsed(now, person.askedAt) > ACTIVE_WINDOW
      if (!source || now < person.retryAt || (away && known?.status !== 'active')) continue
      const doubtful = person.doubtAt !== undefined
      const interval = doubtful ? 0 : away ? Math.max(config.refreshInterval, maxStaleness / 2) : config.refreshInterval
      if (elapsed(now, readAt) >= interval) waiting.push({ user, away, readAt })
    }
    waiting.sort((a, b) => Number(a.away) - Number(b.away) || elapsed(a.readAt, b.readAt))
    return waiting.map(({ user }) => user)
  }

  // ---- what is known

  /** Takes effect at once, then goes to the store. */
  async function learn(user: Subject, reading: Reading): Promise<void> {
    const before = people.get(user)?.known?.status
    const effect = everybody.learn(user, reading, clock.now())
    const person = people.get(user)
    if (!effect || !person?.known) return
    take(effect)
    if (person.known.status === 'inactive' && before !== 'inactive') await endSessionsQuietly(user)
    // A reading that changes nothing is not worth a write each minute; a restart may find it somewhat older.
    const { readAt } = person.known
    if (!effect.changed && person.doubtAt === undefined && elapsed(readAt, person.savedAt) < maxStaleness / 4) return
    person.savedAt = readAt
    await saveQuietly(user)
  }

  function take({ user, changed, confirm: doubtful }: Effect): void {
    if (changed) announce(user, people.get(user)?.known?.status ?? 'unknown')
    if (doubtful) confirm(user, changed ? CONFIRM_DELAY : 0)
  }

  function announce(user: Subject, next: UserStatus | 'unknown'): void {
    for (const listener of listeners) {
      try {
        listener(issuer.person(user), next)
      } catch (error) {
        logger.error({ user_id: user, error: messageOf(error) }, 'a listener to directory changes failed')
      }
    }
  }

  async function endSessions(user: Subject, before: WallTime): Promise<void> {
    for (const listener of endListeners) await listener(issuer.person(user), before)
  }

  /** Never rejects: whoever is inactive is refused, session or not. */
  async function endSessionsQuietly(user: Subject): Promise<void> {
    try {
      await endSessions(user, clock.now())
    } catch (error) {
      const { code, message } = toAppError(error)
      logger.error({ user_id: user, code, error: message }, 'sessions of an inactive account could not be ended')
    }
  }

  async function absorb(signals: readonly Signal[], trust: Trust): Promise<void> {
    const now = clock.now()
    const touched = new Set<Subject>()
    const ended = new Map<Subject, WallTime>()
    const end = (user: Subject, before: WallTime): void =>
      void ended.set(user, latest(before, ended.get(user) ?? NEVER))
    for (const signal of signals) {
      if (signal.kind === 'sessions-ended') end(signal.user, asWallTime(signal.at))
      if (signal.kind === 'group-sessions-ended')
        for (const user of everybody.holders(signal.group)) end(user, asWallTime(signal.at))
      for (const effect of everybody.tell(signal, trust, now)) {
        touched.add(effect.user)
        if (signal.kind === 'inactive') end(effect.user, now)
        take(effect)
      }
    }
    await Promise.all([
      ...[...touched].map((user) => (people.get(user)?.known ? keeper.save(user) : keeper.delete(user))),
      ...[...ended].map(([user, before]) => endSessions(user, before)),
    ])
  }

  // ---- the store, shared with earlier runs and other processes

  function recordOf(user: Subject): DirectoryRecord | undefined {
    const person = people.get(user)
    if (!person?.known) return undefined
    const { doubtAt } = person
    return { source: sourceName, ...person.known, ...(doubtAt !== undefined && { doubtAt }) }
  }

  function adopt(user: Subject, { source: theirs, doubtAt, ...known }: DirectoryRecord): void {
    if (theirs !== sourceName) return
    const isNews = known.readAt > (people.get(user)?.known?.readAt ?? NEVER)
    const effect = everybody.adopt(user, known, clock.now())
    const person = everybody.personOf(user, known.readAt)
    const readAt = person.known?.readAt ?? NEVER
    if (isNews) person.savedAt = readAt
    if (doubtAt !== undefined && doubtAt > readAt) person.doubtAt = latest(doubtAt, person.doubtAt ?? NEVER)
    else if (person.doubtAt !== undefined && person.doubtAt <= readAt) person.doubtAt = undefined
    if (effect) take(effect)
    if (isNews && listeningSince !== undefined && readAt < later(listeningSince, CLOCK_SKEW)) confirm(user, 0)
  }

  /** Never rejects: memory decides, and a store that fails costs a reading after the next restart. */
  async function saveQuietly(user: Subject): Promise<void> {
    try {
      await keeper.save(user)
    } catch (error) {
      const { code, message } = toAppError(error)
      logger.warn({ user_id: user, code, error: message }, 'a reading of the group directory could not be stored')
      // The next reading tries again, whether it changes anything or not.
      everybody.personOf(user, NEVER).savedAt = NEVER
    }
  }

  /** What this process has heard of a person whom another one has read goes back to the store. */
  async function fetch(user: Subject): Promise<void> {
    const knowsMore = await keeper.fetch(user)
    if (knowsMore && listeningSince !== undefined) await saveQuietly(user)
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
      unwatch = keeper.watch((user, kind) => {
        if (kind === 'put') track(fetch(user))
        else if (everybody.forget(user)) announce(user, 'unknown')
      })
      await keeper.load()
      rounds.start()
    },

    async refresh(person, signal) {
      const user = issuer.subject(person)
      if (user === undefined) return 'unknown'
      if (!source || signal.aborted || closing.signal.aborted) return membership(user)
      if (isFollowed(user)) await readIfSoon(user, signal)
      else {
        const reading = signInReads(user, () => read(user, 'sign-in'))
        track(reading)
        await settledWithin(reading, { clock, timeout: config.signInTimeout, signal })
      }
      return membership(user)
    },

    observe(person, entry) {
      const user = issuer.subject(person)
      if (!source && user !== undefined) track(learn(user, { entry, readAt: clock.now() }))
    },

    async forget(person) {
      const user = issuer.subject(person)
      if (user === undefined) return
      if (everybody.forget(user)) announce(user, 'unknown')
      await keeper.delete(user)
    },

    absorb(signals, trust) {
      const work = absorb(signals, trust)
      track(work.catch(() => {}))
      return work
    },

    cover(next) {
      coverage = next
    },

    listening(since) {
      listeningSince = since
    },

    onSessionsEnd(listener) {
      endListeners.add(listener)
      return () => endListeners.delete(listener)
    },

    *known() {
      for (const [user, { known }] of people) if (known) yield [user, known]
    },

    facts() {
      let doubtful = 0
      for (const { doubtAt } of people.values()) if (doubtAt !== undefined) doubtful++
      return { people: people.size, doubtful, coverage }
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
