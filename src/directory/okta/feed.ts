import { createFaultLog, type FaultLog } from '../../lib/fault-tally.ts'
import { DIRECTORY } from '../source-health.ts'
import { type AppError, toAppError, faultFields } from '../../errors.ts'
import type { Clock, Logger, Span, Monotonic, Store, Unsubscribe, WallTime, WaitingFor } from '../../types.ts'
import type { LiveDirectory } from '../directory.ts'
import type { Leadership } from '../leadership.ts'
import type { Request, Signal } from '../signals.ts'
import type { OktaClient } from './client.ts'
import { createOktaLog, type LogCounts, OVERLAP } from './log.ts'
import { NOT_YET } from './follow.ts'
import { createFeedTable, type FeedRecord } from './position.ts'
import { createReconcile } from './reconcile.ts'
import { asSourceTime, earlier, elapsed, isoTime } from '../../lib/time.ts'
import { pause } from '../../lib/wait.ts'

/** Who does not lead looks so often whether it does now. */
const FOLLOWER_INTERVAL: Span = 1000
/** Of `refreshInterval`, between two looks at what the log may have missed: a look takes its time, too. */
const COMPARED_EARLY = 0.75
export const DELTA_INTERVAL: Span = 30_000
const CATALOGUE_INTERVAL: Span = 3_600_000
/** Between two pages of a list that nobody waits for. */
const LEISURE: Span = 20_000
/** Somebody may have granted the right meanwhile. */
const FORBIDDEN_RETRY: Span = 10 * 60_000
/** More renamed groups than this are read from the list of all. */
const MOST_GROUPS = 20
/** Then everybody else gets a word in; the rest is read next time. */
const MOST_PAGES = 50
/** Okta keeps its log for 90 days: who was away for longer has missed something. */
const LOG_KEPT: Span = 85 * 24 * 3_600_000

export interface FeedFacts extends LogCounts {
  /** `log`: events; `delta`: lists of what changed, because the log may not be read. */
  readonly mode: 'log' | 'delta'
  /** This process polls, and not another one that shares the store. */
  readonly leading: boolean
  /** Our clock. */
  readonly lastSuccess: WallTime | undefined
  readonly lastError: { readonly at: WallTime; readonly code: AppError['code']; readonly message: string } | undefined
}

interface Loop {
  lastSuccess: WallTime | undefined
  lastError: FeedFacts['lastError']
}

export interface OktaFeed {
  /** Takes up where an earlier run or another process stopped. */
  start(): void
  /** Asks for everything that policies name to be compared, once. */
  reconcile(): void
  facts(): FeedFacts
  close(): Promise<void>
}

const SYNC = { name: 'directory sync', kind: 'internal', attributes: {}, alone: true } as const

/**
 * Follows what happens in Okta: the System Log from a durable position, one process among all that share the store, and
 * a slow comparison that repairs what a log can miss. `interval`: between two looks at the log; `apps`: client ids;
 * `wanted`: the groups that policies name.
 */
export function createOktaFeed(deps: {
  readonly client: OktaClient
  readonly directory: LiveDirectory
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly interval: Span
  /** What the log does not tell is found within it, for groups that policies name. */
  readonly refreshInterval: Span
  readonly leadership: Leadership
  readonly org: string
  readonly apps: readonly string[]
  readonly wanted: () => readonly string[]
  /** Of all that asks this directory. */
  readonly tell?: FaultLog
  readonly waitingFor?: WaitingFor | undefined
}): OktaFeed {
  const { client, directory, store, clock, logger, interval, org, refreshInterval, leadership, waitingFor } = deps
  const tell = deps.tell ?? createFaultLog(deps)
  const log = createOktaLog(deps)
  const reconcile = createReconcile(deps)
  const table = createFeedTable()
  const closing = new AbortController()
  const stops = new Set<Unsubscribe>()
  const running = new Set<Promise<void>>()
  let record: FeedRecord | undefined
  /** Of the stored record; undefined: nobody can read it, so it is overwritten. */
  let version: number | undefined
  let forbiddenAt: Monotonic | undefined
  let cataloguedAt: Monotonic | undefined
  /** Counts what makes a comparison due: one that is asked for while another runs is not done with that one. */
  let requests = 0
  const polling: Loop = { lastSuccess: undefined, lastError: undefined }
  const comparing: Loop = { lastSuccess: undefined, lastError: undefined }
  const cataloguing: Loop = { lastSuccess: undefined, lastError: undefined }
  // ---- where the feed stands

  /** Takes up where whoever led before stopped. */
  async function begin(): Promise<FeedRecord> {
    const now = clock.now()
    const found = await store.get(table, org).catch(corruptIsNone)
    version = found === 'corrupt' ? undefined : (found?.version ?? 0)
    const stored = found === 'corrupt' ? undefined : found?.value
    const gone =
      stored && elapsed(asSourceTime(now), stored.lastPublished) > LOG_KEPT && elapsed(now, stored.upTo) > LOG_KEPT
    const fresh = { cursor: undefined, lastPublished: asSourceTime(now), upTo: NOT_YET, comparisonDue: true }
    const from = stored && !gone ? stored : { ...fresh, since: earlier(now, OVERLAP / 2) }
    logger.info({ okta: org, from: isoTime(from.lastPublished) }, 'okta: following what changes from here')
    return from
  }

  /** There to be replaced. */
  function corruptIsNone(error: unknown): 'corrupt' {
    if (toAppError(error).code !== 'ERR_STORE_CORRUPT') throw error
    return 'corrupt'
  }

  /**
   * What is read next is only asked for after what was read before is safe: killed at any moment, nothing is lost. Who
   * finds that another process wrote meanwhile follows no more, and overwrites nothing. Nor does who lost the lead
   * meanwhile, and may have it again: there is no position then.
   */
  async function save(changes: Partial<FeedRecord>): Promise<void> {
    if (!record) return
    const next = { ...record, ...changes }
    const first = await store.put(table, org, next, version === undefined ? {} : { ifVersion: version })
    const stored = first ? await store.get(table, org) : undefined
    if (!stored || !isSamePosition(stored.value, next)) return leadership.resign()
    version = stored.version
    record = next
    directory.cover(next.upTo > NOT_YET ? next : undefined)
  }

  /** The store is asked only when it has not been for so long that another process may lead: it is written to for that. */
  const leads = async (): Promise<boolean> => leadership.leads() || leadership.renew()

  // ---- the log

  async function poll(): Promise<void> {
    if (!(await leads())) return
    record ??= await begin()
    if (forbiddenAt !== undefined && elapsed(clock.monotonic(), forbiddenAt) < FORBIDDEN_RETRY) return
    for (let pages = 0; record && pages < MOST_PAGES && !closing.signal.aborted; pages++) {
      const page = await log.read(record, closing.signal).catch((error: unknown) => {
        const failure = toAppError(error)
        if (failure.code !== 'ERR_DIRECTORY_FORBIDDEN') throw failure
        fallBack(failure)
      })
      if (!page) return
      if (forbiddenAt !== undefined) logger.info({ okta: org }, 'okta: the System Log may be read again')
      forbiddenAt = undefined
      const comparisonDue = await apply(page.signals)
      if (!(await leads())) return
      await save({
        ...page.position,
        ...(page.atEnd && { upTo: page.askedAt }),
        ...(comparisonDue && { comparisonDue }),
      })
      page.applied()
      if (page.atEnd) return
    }
  }

  /** Resolves when all of it is durable, with whether a comparison is due. */
  async function apply(all: readonly (Signal | Request)[]): Promise<boolean> {
    let comparisonDue = false
    const signals: Signal[] = []
    const renamed = new Set<string>()
    for (const each of all) {
      if (each.kind === 'reconcile') comparisonDue = true
      else if (each.kind === 'read-group') renamed.add(each.group)
      else signals.push(each)
    }
    if (renamed.size > 0) directory.forgetNames()
    if (signals.length > 0) await directory.absorb(signals, 'log')
    if (renamed.size > 0) {
      // A group that nobody is in who is known here costs nothing.
      const held = heldGroups()
      const concerned = [...renamed].filter((id) => held.has(id))
      if (concerned.length > MOST_GROUPS) comparisonDue = true
      else for (const id of concerned) await reconcile.group(id, closing.signal)
    }
    if (comparisonDue) requests++
    return comparisonDue
  }

  function heldGroups(): ReadonlySet<string> {
    const held = new Set<string>()
    for (const [, { groups }] of directory.known()) for (const { id } of groups) held.add(id)
    return held
  }

  /** Without the right to read the log, lists of what changed must do. */
  function fallBack(error: AppError): void {
    if (forbiddenAt === undefined) {
      logger.warn(
        { okta: org, ...faultFields(error) },
        'okta: the System Log may not be read (a read-only administrator may, or the scope okta.logs.read): changes are found by comparing lists, which is slower and costs more calls',
      )
    }
    forbiddenAt = clock.monotonic()
    // Who was read before is covered only by what is compared from here on.
    if (record && record.upTo === NOT_YET) record = { ...record, since: clock.now() }
  }

  // ---- the comparison

  async function compare(): Promise<void> {
    if (!leadership.leads() || !record) return
    const { signal } = closing
    const [now, startedAt] = [clock.now(), clock.monotonic()]
    const { comparisonDue } = record
    const before = requests
    if (comparisonDue || cataloguedAt === undefined) {
      await reconcile.catalogue(signal)
      cataloguedAt = startedAt
    }
    const withoutLog = forbiddenAt !== undefined
    const from = record.upTo > NOT_YET ? record.upTo : earlier(now, OVERLAP)
    await reconcile.changes(withoutLog ? 'all' : 'policies', from, signal)
    if (comparisonDue) await reconcile.members(signal)
    if (signal.aborted || !(await leads())) return
    if (comparisonDue && before === requests) await save({ comparisonDue: false })
    if (withoutLog) await save({ upTo: now })
  }

  /** All groups once more, which no comparison waits for: it may take half an hour. */
  async function catalogue(): Promise<void> {
    if (!leadership.leads() || catalogueDelay() > 0) return
    const startedAt = clock.monotonic()
    await reconcile.catalogue(closing.signal, async () => {
      await pause(clock, LEISURE, closing.signal)
      return leadership.leads()
    })
    if (leadership.leads()) cataloguedAt = startedAt
  }

  function catalogueDelay(): Span {
    if (cataloguedAt === undefined) return CATALOGUE_INTERVAL
    return Math.max(0, CATALOGUE_INTERVAL - elapsed(clock.monotonic(), cataloguedAt))
  }

  // ---- the rounds

  /** Never rejects. */
  async function attempt(loop: Loop, work: () => Promise<void>): Promise<void> {
    try {
      await (waitingFor && leadership.leads() ? waitingFor(SYNC, work) : work())
      if (!leadership.leads()) return
      if (loop.lastError) {
        logger.info({ okta: org }, 'okta: changes are followed again')
        directory.answers(loop.lastError.code)
      }
      loop.lastError = undefined
      loop.lastSuccess = clock.now()
    } catch (error) {
      if (closing.signal.aborted) return
      const { code, message } = toAppError(error)
      tell(error, 'okta: changes cannot be followed now; what is known stays', { okta: org }, DIRECTORY)
      loop.lastError = { at: clock.now(), code, message }
    }
  }

  function run(loop: Loop, work: () => Promise<void>): Promise<void> {
    const attempted: Promise<void> = attempt(loop, work).finally(() => running.delete(attempted))
    running.add(attempted)
    return attempted
  }

  /** Runs `work` again and again, each time `delay` after the end of the last. */
  function again(loop: Loop, delay: () => Span, work: () => Promise<void>): void {
    const stop = clock.after(delay(), () => {
      stops.delete(stop)
      if (closing.signal.aborted) return
      void run(loop, work).then(() => closing.signal.aborted || again(loop, delay, work))
    })
    stops.add(stop)
  }

  /** As often as was asked for, and no more often than the learnt limit of the log's bucket allows us. */
  function pollDelay(): Span {
    if (!leadership.leads()) return Math.min(interval, FOLLOWER_INTERVAL)
    const bucket = client.buckets().find(({ name }) => name === '/api/v1/logs')
    return bucket ? Math.max(interval, Math.ceil(60_000 / Math.max(1, bucket.allowance * 0.8))) : interval
  }

  /** The first comparison waits for the first poll only. */
  function compareDelay(): Span {
    if (cataloguedAt === undefined) return interval
    const within = refreshInterval * COMPARED_EARLY
    return forbiddenAt === undefined ? within : Math.min(DELTA_INTERVAL, within)
  }

  return {
    start() {
      // Whoever leads again begins where the other stopped.
      stops.add(leadership.onChange(() => void (record = undefined)))
      void run(polling, poll)
      again(polling, pollDelay, poll)
      again(comparing, compareDelay, compare)
      again(cataloguing, () => Math.max(refreshInterval, catalogueDelay()), catalogue)
    },

    reconcile() {
      requests++
      if (record) record = { ...record, comparisonDue: true }
    },

    facts: () => ({
      ...log.counts(),
      skipped: log.counts().skipped + reconcile.skipped(),
      mode: forbiddenAt === undefined ? 'log' : 'delta',
      leading: leadership.leads(),
      lastSuccess: polling.lastSuccess,
      lastError: polling.lastError ?? comparing.lastError ?? cataloguing.lastError,
    }),

    async close() {
      closing.abort(new Error('the feed was closed'))
      for (const stop of stops) stop()
      await Promise.all(running)
    },
  }
}

function isSamePosition(left: FeedRecord, right: FeedRecord): boolean {
  return (
    left.cursor === right.cursor &&
    left.lastPublished === right.lastPublished &&
    left.since === right.since &&
    left.upTo === right.upTo &&
    left.comparisonDue === right.comparisonDue
  )
}
