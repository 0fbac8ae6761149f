import { AppError } from '../../errors.ts'
import type { Clock, Logger, Span, SourceTime, WallTime } from '../../types.ts'
import type { Request, Signal } from '../signals.ts'
import type { OktaAnswer } from './answer.ts'
import type { OktaClient } from './client.ts'
import { isLogEvent, LOG_FILTER, type LogEvent, publishedAt, signalsOf } from './events.ts'
import { createSeen } from './seen.ts'
import { asSourceTime, earlier, earliest, elapsed, isoTime, latest, NEVER } from '../../lib/time.ts'

const LOGS = '/api/v1/logs'
/** The most that Okta gives at once (okta-api.md#system-log). */
const PAGE = 1000
/** Okta may give less than it was asked for: from here on a page may be a full one. */
const MAYBE_FULL = 100
/** Events become visible this much later than they say, as a rule: where a lost cursor is taken up again. */
export const OVERLAP: Span = 10 * 60_000
/** Okta keeps 90 days; what is older cannot be asked for. */
const KEPT: Span = 89 * 24 * 3_600_000
/** A page whose newest event is older than this was not the last one, however short it was. */
const RECENT: Span = 30_000

/** Where the feed stands: kept in the store, written after what was read there has been made durable. */
export interface LogPosition {
  /** Path and query of the next page, as Okta gave it; undefined: begin at `lastPublished`, with an overlap. */
  readonly cursor: string | undefined
  /** Okta's time of the newest event that was read, or of the beginning. */
  readonly lastPublished: SourceTime
}

export interface LogPage {
  readonly position: LogPosition
  /** There is nothing more to read now. */
  readonly atEnd: boolean
  /** Our clock when the page was asked for: what happened before, and was visible, is in it or before it. */
  readonly askedAt: WallTime
  readonly signals: readonly (Signal | Request)[]
  /** To be called when the signals are durable: the same events are not read twice. */
  readonly applied: () => void
}

export interface LogCounts {
  /** Read, and new. */
  readonly events: number
  /** Could not be read and were left out. */
  readonly skipped: number
  /** Came again. */
  readonly duplicates: number
  /** Cursors that Okta did not accept any more. */
  readonly restarts: number
  /** Newest event against Okta's clock, when it was read. */
  readonly lag: Span | undefined
}

export interface OktaLog {
  /** The page at a position, once. Rejects with ERR_DIRECTORY_…; ERR_DIRECTORY_FORBIDDEN: we may not read the log. */
  read(position: LogPosition, signal: AbortSignal): Promise<LogPage>
  counts(): LogCounts
}

/**
 * Okta's System Log as a feed (okta-api.md#system-log): `until` absent and ascending, so that events come in the order in which
 * they became visible and every answer names the next page. `apps`: the client ids of the applications that people sign in to.
 */
export function createOktaLog(deps: {
  readonly client: OktaClient
  readonly clock: Clock
  readonly logger: Logger
  readonly apps: readonly string[]
}): OktaLog {
  const { client, clock, logger, apps } = deps
  const seen = createSeen()
  let counts = { events: 0, skipped: 0, duplicates: 0, restarts: 0, lag: undefined as Span | undefined }

  async function ask({ cursor, lastPublished }: LogPosition, signal: AbortSignal): Promise<OktaAnswer | undefined> {
    const options = { signal, priority: 'confirm' } as const
    if (cursor !== undefined) return client.get(cursor, {}, options)
    // Our clock may be ahead of Okta's, where a time that lies ahead is none.
    const now = earlier(asSourceTime(clock.now()), Math.max(0, client.lead()))
    const since = latest(earlier(earliest(lastPublished, now), OVERLAP), earlier(now, KEPT))
    const query = {
      since: isoTime(since),
      sortOrder: 'ASCENDING',
      limit: String(PAGE),
      filter: LOG_FILTER,
    }
    return client.get(LOGS, query, options)
  }

  /** Okta's way to say that a cursor is worth nothing any more. */
  function isRefusal(error: unknown): boolean {
    const status = error instanceof AppError ? error.details['status'] : undefined
    return status === 400 || status === 404 || status === 410
  }

  async function answerAt(position: LogPosition, signal: AbortSignal): Promise<OktaAnswer> {
    const answer = await ask(position, signal).catch((error: unknown) => {
      if (position.cursor === undefined || !isRefusal(error)) throw error
      return undefined
    })
    if (answer) return answer
    if (position.cursor === undefined) {
      throw new AppError('ERR_DIRECTORY_FORBIDDEN', `okta: GET ${LOGS} is not there`)
    }
    counts = { ...counts, restarts: counts.restarts + 1 }
    const from = isoTime(earlier(position.lastPublished, OVERLAP))
    logger.warn({ from }, 'okta: the position in the System Log is not accepted any more: reading again from here')
    return answerAt({ ...position, cursor: undefined }, signal)
  }

  function eventsOf({ body }: OktaAnswer): readonly LogEvent[] {
    if (!Array.isArray(body)) throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${LOGS} is not a list`)
    const readable = body.filter(isLogEvent)
    const skipped = body.length - readable.length
    if (skipped > 0) {
      counts = { ...counts, skipped: counts.skipped + skipped }
      logger.warn({ skipped }, 'okta: log events that cannot be read were left out')
    }
    return readable
  }

  return {
    async read(position, signal) {
      const askedAt = clock.now()
      const answer = await answerAt(position, signal)
      const next = answer.next?.startsWith(`${LOGS}?`) ? answer.next : undefined
      const now = answer.date ?? asSourceTime(clock.now())
      const events = eventsOf(answer)
      const size = (answer.body as readonly unknown[]).length
      const fresh = events.filter(({ uuid }) => !seen.has(uuid))
      const newest = events.map(publishedAt).reduce(latest, NEVER)
      const atEnd = size === 0 || (size < MAYBE_FULL && newest > earlier(now, RECENT)) || next === undefined
      return {
        // A date from the future must not make us skip what lies before it.
        position: { cursor: next, lastPublished: latest(position.lastPublished, earliest(newest, now)) },
        atEnd,
        askedAt,
        signals: fresh.flatMap((event) => signalsOf(event, { apps, now: clock.now(), lead: client.lead() })),
        applied() {
          for (const { uuid } of fresh) seen.add(uuid)
          counts = {
            ...counts,
            events: counts.events + fresh.length,
            duplicates: counts.duplicates + events.length - fresh.length,
            lag: events.length > 0 ? Math.max(0, elapsed(now, newest)) : atEnd ? 0 : counts.lag,
          }
        },
      }
    },
    counts: () => counts,
  }
}
