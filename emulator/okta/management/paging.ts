import { createHmac } from 'node:crypto'
import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import { type Call, json, type Reply } from '../http/call.ts'
import { OktaError } from '../http/okta-error.ts'

/** Cursors are opaque, belong to one list and die: clients that build, keep or mix them must fail (okta-api.md#lists-and-filters). */
const CURSOR_LIFE: Span = 3_600_000

export interface Paging {
  readonly clock: Clock
  /** Origin for the links. */
  readonly url: string
  /** Differs per emulator. */
  readonly cursorKey: string
}

/** What a list answers: one page, and where it goes on. */
export interface PageRequest {
  readonly limit: number
  readonly after: string | undefined
}

/**
 * Reads `limit` and `after`. A `limit` above the maximum is lowered in silence, as Okta does.
 * @throws OktaError E0000001 for a limit that is no positive number and for a foreign or expired cursor
 */
export function pageRequest(call: Call, paging: Paging, limits: { standard: number; most: number }): PageRequest {
  const text = call.query.get('limit')
  const limit = text === null ? limits.standard : Number(text)
  if (!Number.isInteger(limit) || limit < 1) {
    throw new OktaError('E0000001', 'limit', ['limit: The limit must be a positive number'])
  }
  const cursor = call.query.get('after')
  return {
    limit: Math.min(limit, limits.most),
    after: cursor === null ? undefined : readCursor(cursor, call.path, paging),
  }
}

/**
 * One page with its `Link` lines; several header lines, not one. `items` holds one item more than `limit` when there
 * is a next page.
 */
export function pageReply<T extends { readonly id: string }>(
  call: Call,
  paging: Paging,
  request: PageRequest,
  items: readonly T[],
  render: (item: T) => unknown,
): Reply {
  const page = items.slice(0, request.limit)
  const here = `${paging.url}${call.path}`
  const links = [`<${here}${call.query.size > 0 ? `?${call.query}` : ''}>; rel="self"`]
  const last = page.at(-1)
  if (items.length > request.limit && last) {
    const query = new URLSearchParams(call.query)
    query.set('after', writeCursor(last.id, call.path, paging))
    query.set('limit', String(request.limit))
    links.push(`<${here}?${query}>; rel="next"`)
  }
  return json(200, page.map(render), { link: links })
}

function writeCursor(lastId: string, path: string, paging: Paging): string {
  const text = `${lastId}:${paging.clock.now().toString(36)}`
  return Buffer.from(`${text}:${signCursor(text, path, paging)}`).toString('base64url')
}

function readCursor(cursor: string, path: string, paging: Paging): string {
  const [lastId = '', writtenAt = '', signature] = Buffer.from(cursor, 'base64url').toString('utf8').split(':')
  const fresh = paging.clock.now() - Number.parseInt(writtenAt, 36) <= CURSOR_LIFE
  if (!fresh || signature !== signCursor(`${lastId}:${writtenAt}`, path, paging)) {
    throw new OktaError('E0000001', 'after', ['after: Invalid paging request'])
  }
  return lastId
}

/** Binds a cursor to its list and to this emulator. */
export function signCursor(text: string, path: string, paging: Paging): string {
  return createHmac('sha256', paging.cursorKey).update(`${path} ${text}`).digest('base64url').slice(0, 12)
}
