import type { Json, Span } from '../../../src/types.ts'
import { type Call, json, type Reply } from '../http/call.ts'
import { OktaError } from '../http/okta-error.ts'
import type { Endpoint } from '../http/router.ts'
import { renderLogEvent } from '../log/log-event.ts'
import type { LogEntry, SystemLog } from '../log/system-log.ts'
import { api, type Management } from './context.ts'
import { type Attribute, compileFilter, type FilterGrammar } from './filter.ts'
import { signCursor } from './paging.ts'

const DAY: Span = 24 * 3_600_000

type Rendered = { readonly [member: string]: Json }

const GRAMMAR: FilterGrammar<Rendered> = {
  attributes: {},
  otherAttribute: logAttribute,
  operators: ['eq', 'ne', 'gt', 'ge', 'lt', 'le', 'sw', 'co', 'ew', 'pr'],
  error: 'E0000053',
}

/** One query of the log, read and checked. */
interface Query {
  /** Polling: every event in order of persistence, and always a next link. Bounded: by `published`, finite. */
  readonly mode: 'polling' | 'ascending' | 'descending'
  /** Exclusive; of persistence when polling, of `published` otherwise. */
  readonly since: Span
  readonly until: Span
  readonly limit: number
  readonly after: string | undefined
  readonly fits: (event: Rendered) => boolean
}

/** `/api/v1/logs` (okta-api.md#system-log). */
export function logEndpoints(management: Management, log: SystemLog): readonly Endpoint[] {
  return [
    api('GET', '/api/v1/logs', '/api/v1/logs', (call) => {
      const query = readQuery(call, management, log)
      return query.mode === 'polling' ? poll(call, query, management, log) : bounded(call, query, management, log)
    }),
  ]
}

/** The cursor is the last entry looked at, so that a filter that fits nothing still gets on. */
function poll(call: Call, query: Query, management: Management, log: SystemLog): Reply {
  let seen = query.after === undefined ? log.position(query.since) : Number(query.after)
  const events: Rendered[] = []
  if (query.limit > 0) {
    for (const entry of log.after(seen)) {
      seen = entry.seq
      const event = renderLogEvent(entry.occurrence, 'log')
      if (query.fits(event) && events.push(event) === query.limit) break
    }
  }
  return answer(call, events, String(seen), management, log)
}

/** Pages by the last (published, seq). An event that is persisted late with an older `published` is missed, as at Okta. */
function bounded(call: Call, query: Query, management: Management, log: SystemLog): Reply {
  const sign = query.mode === 'ascending' ? 1 : -1
  const within = [...log.after(0)]
    .filter(({ occurrence }) => occurrence.at > query.since && occurrence.at <= query.until)
    .sort((left, right) => sign * compare(keyOf(left), keyOf(right)))
  const cursor = query.after?.split('_').map(Number)
  const events: Rendered[] = []
  let last: LogEntry | undefined
  for (const entry of within) {
    if (cursor && sign * compare(keyOf(entry), cursor) <= 0) continue
    const event = renderLogEvent(entry.occurrence, 'log')
    if (!query.fits(event)) continue
    // One more than the page holds: there is a next one.
    if (events.length === query.limit) return answer(call, events, last && keyOf(last).join('_'), management, log)
    events.push(event)
    last = entry
  }
  return answer(call, events, undefined, management, log)
}

function answer(
  call: Call,
  events: readonly Rendered[],
  position: string | undefined,
  management: Management,
  log: SystemLog,
): Reply {
  const here = `${management.url}${call.path}`
  const links = [`<${here}${call.query.size > 0 ? `?${call.query}` : ''}>; rel="self"`]
  if (position !== undefined) {
    const query = new URLSearchParams(call.query)
    query.set('after', Buffer.from(`${position}:${mark(position, call, management, log)}`).toString('base64url'))
    links.push(`<${here}?${query}>; rel="next"`)
  }
  return json(200, events, { link: links })
}

function readQuery(call: Call, management: Management, log: SystemLog): Query {
  const { query } = call
  const now = management.paging.clock.now()
  const order = query.get('sortOrder') ?? 'ASCENDING'
  if (order !== 'ASCENDING' && order !== 'DESCENDING') throw invalid('sortOrder', 'must be ASCENDING or DESCENDING')
  const until = instant(query, 'until') ?? now
  const since = instant(query, 'since') ?? until - 7 * DAY
  if (since > until) throw invalid('since', 'must be before until')
  if (since < now - 180 * DAY) throw invalid('since', 'must not be more than 180 days in the past')
  const limit = Number(query.get('limit') ?? 100)
  if (!Number.isInteger(limit) || limit < 0 || limit > 1000) throw invalid('limit', 'must be between 0 and 1000')
  const ascending = order === 'ASCENDING'
  const cursor = query.get('after')
  return {
    mode: ascending && !query.has('until') ? 'polling' : ascending ? 'ascending' : 'descending',
    since,
    until,
    limit,
    after: cursor === null ? undefined : readCursor(cursor, call, management, log),
    fits: selector(query),
  }
}

function selector(query: URLSearchParams): (event: Rendered) => boolean {
  const filter = query.get('filter')
  const byFilter = filter === null ? () => true : compileFilter(filter, GRAMMAR)
  const words = (query.get('q') ?? '').split(/\s+/).filter(Boolean)
  if (words.length > 10 || words.some((word) => word.length > 40)) {
    throw invalid('q', 'at most 10 keywords of at most 40 characters')
  }
  if (words.length === 0) return byFilter
  return (event) => {
    const text = JSON.stringify(event).toLowerCase()
    return byFilter(event) && words.every((word) => text.includes(word.toLowerCase()))
  }
}

/** Any member of a LogEvent by path, `target.id` meaning "of any target"; only `published` cannot be asked for. */
function logAttribute(name: string): Attribute<Rendered> | undefined {
  const path = name.split('.')
  if (name === 'published' || !ATTRIBUTE_ROOTS.has(path[0] ?? '')) return undefined
  return (event) => {
    const [root = '', ...rest] = path
    const start = event[root]
    const values = (Array.isArray(start) ? start : [start]).map((value: Json | undefined) => member(value, rest))
    return values.filter((value) => typeof value === 'string')
  }
}

const ATTRIBUTE_ROOTS = new Set([
  'uuid',
  'eventType',
  'legacyEventType',
  'version',
  'severity',
  'displayMessage',
  'actor',
  'client',
  'outcome',
  'target',
  'transaction',
  'debugContext',
  'authenticationContext',
  'securityContext',
])

function member(value: Json | undefined, path: readonly string[]): Json | undefined {
  const [name, ...rest] = path
  if (name === undefined) return value
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  return Object.hasOwn(value, name) ? member((value as Rendered)[name], rest) : undefined
}

/** @throws OktaError E0000001 for a cursor of another log, a foreign one, or one that was dropped */
function readCursor(cursor: string, call: Call, management: Management, log: SystemLog): string {
  const [position = '', signature] = Buffer.from(cursor, 'base64url').toString('utf8').split(':')
  if (signature !== mark(position, call, management, log)) throw invalid('after', 'Invalid paging request')
  return position
}

function mark(position: string, call: Call, management: Management, log: SystemLog): string {
  return signCursor(`${position} ${log.epoch}`, call.path, management.paging)
}

function instant(query: URLSearchParams, name: 'since' | 'until'): Span | undefined {
  const text = query.get(name)
  if (text === null) return undefined
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw invalid(name, 'must be an ISO 8601 date')
  return at
}

function invalid(name: string, cause: string): OktaError {
  return new OktaError('E0000001', name, [`${name}: ${cause}`])
}

function keyOf(entry: LogEntry): readonly number[] {
  return [entry.occurrence.at, entry.seq]
}

function compare(left: readonly number[], right: readonly number[]): number {
  return (left[0] ?? 0) - (right[0] ?? 0) || (left[1] ?? 0) - (right[1] ?? 0)
}
