import { type HeaderLines, NO_LINES } from '../http/header-lines.ts'

/** 1xx before one answer. Nobody gets them, and each costs us the reading. */
export const MAX_HINTS = 32
export const TOO_MANY_HINTS = `more than ${MAX_HINTS} hints before its answer`

/** RFC 9110 §15.1, RFC 9112 §4: tabs, spaces, printable characters. What could not be decoded is not one, either. */
const CONTROL = /[^\t\x20-\x7e\x80-\u{10ffff}]/u
/** What JavaScript counts exactly. */
const CONTENT_LENGTH = /^\d{1,15}$/
const STREAM = /^(?:text\/event-stream|application\/grpc(?:\+[^;]*)?)[\t ]*(?:;|$)/i

/**
 * What is wrong with an answer's head, in words. Node's parser lets these pass: a coding that is not `chunked` ends the
 * body where the connection ends (RFC 9112 §6.3), so a client behind us would take a cut body for a whole one.
 */
export function answerProblem(
  status: number,
  reason: string | undefined,
  lines: HeaderLines = NO_LINES,
): string | undefined {
  if (status < 100) return 'a status code below 100'
  if (reason !== undefined && CONTROL.test(reason)) return 'a control character in the reason phrase'
  if (lines.problem !== undefined) return lines.problem
  let codings = 0
  let lengths = 0
  for (let i = 0; i < lines.count; i++) {
    const { kind } = lines.name(i)
    if (kind === 'transfer-encoding' && (lines.value(i).toLowerCase() !== 'chunked' || ++codings > 1)) {
      return 'a transfer coding other than chunked'
    }
    if (kind === 'content-length' && (!CONTENT_LENGTH.test(lines.value(i)) || ++lengths > 1)) {
      return 'an invalid Content-Length'
    }
  }
  return undefined
}

/** Nobody knows when the next event, or message of gRPC, comes. */
export function isStream(lines: HeaderLines): boolean {
  for (let i = 0; i < lines.count; i++) {
    if (lines.name(i).kind === 'content-type' && STREAM.test(lines.value(i))) return true
  }
  return false
}
