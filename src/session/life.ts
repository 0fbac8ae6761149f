/** When a session ends, and what keeps it alive. Pure. */
import type { RequestFacts } from '../http/request.ts'
import { earliest, elapsed, later } from '../lib/time.ts'
import type { Span, WallTime } from '../types.ts'
import type { Session, SessionEnd } from './model.ts'

/** Activity is noted no more often than this, so that a request rarely costs a write. */
const NOTE_INTERVAL: Span = 60_000
/** Without an idle limit the activity is only shown to people. */
const RARE_NOTE_INTERVAL: Span = 300_000
/** Methods that change nothing: a page asks with them by itself. */
const READING: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PROPFIND', 'REPORT'])

/** The absolute end, or the end of the idle time, whichever is first. */
export function endOf({ expiresAt, lastSeenAt, idleTimeout }: Session): WallTime {
  return idleTimeout === undefined ? expiresAt : earliest(expiresAt, later(lastSeenAt, idleTimeout))
}

export function reasonOf({ expiresAt }: Session, now: WallTime): SessionEnd {
  return expiresAt <= now ? 'expired' : 'idle'
}

/**
 * Was that a person? Only a navigation, or something sent, counts. What scripts, images, event streams and WebSockets do
 * cannot be told from what a page that was left open does by itself.
 */
export function isActivity({ wants, method }: Pick<RequestFacts, 'wants' | 'method'>): boolean {
  return wants === 'html' || (wants === 'json' && !READING.has(method))
}

/** Is it time to note it? */
export function isNews({ lastSeenAt, idleTimeout }: Session, now: WallTime): boolean {
  const interval = idleTimeout === undefined ? RARE_NOTE_INTERVAL : Math.min(NOTE_INTERVAL, idleTimeout / 4)
  return elapsed(now, lastSeenAt) >= interval
}
