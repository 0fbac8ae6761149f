import type { HeaderLines } from '../http/header-lines.ts'

/** Most 1xx before one answer. They are not passed on, and each costs us the reading. */
export const MAX_HINTS = 32
export const TOO_MANY_HINTS = `more than ${MAX_HINTS} hints before its answer`

const STREAM = /^(?:text\/event-stream|application\/grpc(?:\+[^;]*)?)[\t ]*(?:;|$)/i

/** An event stream or gRPC: the next message may come at any time. */
export function isStream(lines: HeaderLines): boolean {
  for (let i = 0; i < lines.count; i++) {
    if (lines.name(i).kind === 'content-type' && STREAM.test(lines.value(i))) return true
  }
  return false
}
