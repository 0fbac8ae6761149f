import type { HeaderLines } from '../http/header-lines.ts'

/** 1xx before one answer. Nobody gets them, and each costs us the reading. */
export const MAX_HINTS = 32
export const TOO_MANY_HINTS = `more than ${MAX_HINTS} hints before its answer`

const STREAM = /^(?:text\/event-stream|application\/grpc(?:\+[^;]*)?)[\t ]*(?:;|$)/i

/** Nobody knows when the next event, or message of gRPC, comes. */
export function isStream(lines: HeaderLines): boolean {
  for (let i = 0; i < lines.count; i++) {
    if (lines.name(i).kind === 'content-type' && STREAM.test(lines.value(i))) return true
  }
  return false
}
