/**
 * The head of an answer (RFC 9112 §4, §5, §6.3), cut from its bytes in one scan. What two readers could cut differently is
 * no answer: CRLF ends every line, no line is folded, no framing is guessed, and there is no lenient mode.
 */
import { type HeaderKind, type HeaderLines, ScannedLines } from '../http/header-lines.ts'
import { CR, FIELD_VALUE, LF, SPACE } from './bytes.ts'
import { endOfHead, hasTab, scanFieldLines } from './field-lines.ts'
import { mayBecomeHead } from './request-head.ts'

export interface ScannedAnswer {
  /** 100 to 999. */
  readonly status: number
  /** Latin-1; often empty. */
  readonly reason: string
  readonly lines: HeaderLines
  readonly framing: AnswerFraming
  /** May the connection serve another exchange behind this one (RFC 9112 §9.3)? */
  readonly persistent: boolean
  /** Seconds for which the server keeps an idle connection, if it says so (`Keep-Alive: timeout=5`). */
  readonly keepAlive: number | undefined
}

/** Octets of the body, chunks, or all up to the end of the connection. As the head says it: answers to HEAD, 1xx, 204 and 304 have no body, whatever it is. */
export type AnswerFraming = number | 'chunked' | 'until-close'

/** Of one head. */
export const MAX_ANSWER_HEAD = 32 * 1024
const MAX_LINES = 1000
const BEGIN = Buffer.from('HTTP/1.')
const ZERO = 0x30
const ONE = 0x31
/** No sign, no list, and a number that JavaScript counts exactly. */
const LENGTH = /^\d{1,15}$/
const TIMEOUT = /(?:^|[,\s])timeout=(\d{1,6})(?:[,\s]|$)/i

/**
 * Where the head that begins at `from` ends, behind its empty line; -1: its end has not come. A string: it is none, or too
 * long, whatever follows.
 * @param to behind what has arrived.
 * @param seen behind what an earlier call was given.
 */
export function endOfAnswerHead(bytes: Buffer, from: number, to: number, seen = from): number | string {
  if (from === to) return -1
  const compared = Math.min(BEGIN.length, to - from)
  if (bytes.compare(BEGIN, 0, compared, from, from + compared) !== 0) return 'it does not speak HTTP/1.1'
  const found = endOfHead(bytes, from, seen)
  // Behind `to` are older bytes.
  const end = found > to ? -1 : found
  if ((end === -1 ? to : end) - from > MAX_ANSWER_HEAD) return TOO_LONG
  return end === -1 && !mayBecomeHead(bytes.subarray(from, to), seen - from) ? BAD_LINE : end
}

const TOO_LONG = `the header of its answer is longer than ${MAX_ANSWER_HEAD} bytes`
const BAD_LINE = 'a malformed header line'
const BAD_STATUS_LINE = 'a malformed status line'

/** A string: the bytes from `from` to `end` are no head, for this constant reason. @param end see `endOfAnswerHead`. */
export function scanAnswer(bytes: Buffer, from: number, end: number): ScannedAnswer | string {
  // `HTTP/1.` is known.
  const minor = bytes[from + 7]
  if ((minor !== ONE && minor !== ZERO) || bytes[from + 8] !== SPACE) return BAD_STATUS_LINE
  let status = 0
  for (let at = from + 9; at < from + 12; at++) {
    const digit = (bytes[at] ?? 0) - ZERO
    if (digit < 0 || digit > 9) return BAD_STATUS_LINE
    status = status * 10 + digit
  }
  if (status < 100) return 'a status code below 100'
  let at = from + 12
  // Many servers leave out the space where there is no reason.
  if (bytes[at] === SPACE) at++
  else if (bytes[at] !== CR) return BAD_STATUS_LINE
  const begin = at
  while (FIELD_VALUE[bytes[at] ?? 0] === 1) at++
  if (bytes[at] !== CR || bytes[at + 1] !== LF) return 'a control character in the reason phrase'
  const text = bytes.toString('latin1', from, end)
  const reason = text.slice(begin - from, at - from)
  at += 2
  const lines = new ScannedLines(text, at - from)
  if (scanFieldLines(bytes, from, at, lines) !== end) return BAD_LINE
  if (lines.count > MAX_LINES) return `more than ${MAX_LINES} header lines`
  const read = new Read()
  for (let i = 0; i < lines.count; i++) {
    const { kind } = lines.name(i)
    const problem = kind === 'other' ? undefined : read.line(kind, lines, i)
    if (problem !== undefined) return problem
  }
  return read.answer(status, reason, lines, minor === ONE)
}

/** Of header lines, what says where the answer ends and what becomes of the connection. */
class Read {
  private length: number | undefined
  private chunked = false
  private connection = ''
  private keepAlive: number | undefined

  line(kind: HeaderKind, lines: HeaderLines, index: number): string | undefined {
    switch (kind) {
      case 'content-length': {
        if (this.length !== undefined) return 'two Content-Lengths'
        const digits = lines.value(index)
        if (!LENGTH.test(digits) || hasTab(lines, index)) return 'an invalid Content-Length'
        this.length = Number(digits)
        return undefined
      }
      case 'transfer-encoding':
        if (this.chunked || lines.value(index).toLowerCase() !== 'chunked' || hasTab(lines, index)) {
          return 'a transfer coding other than chunked'
        }
        this.chunked = true
        return undefined
      case 'connection':
        this.connection += `${lines.value(index).toLowerCase()},`
        return undefined
      case 'keep-alive': {
        const seconds = TIMEOUT.exec(lines.value(index))?.[1]
        if (seconds !== undefined) this.keepAlive = Number(seconds)
        return undefined
      }
      default:
        return undefined
    }
  }

  answer(status: number, reason: string, lines: HeaderLines, is11: boolean): ScannedAnswer | string {
    const { length, chunked, keepAlive } = this
    // RFC 9112 §6.3: whoever sends both may want us to read another body than somebody else reads.
    if (chunked && length !== undefined) return 'both Transfer-Encoding and Content-Length'
    if (chunked && !is11) return 'Transfer-Encoding in HTTP/1.0'
    const framing = chunked ? 'chunked' : (length ?? 'until-close')
    return { status, reason, lines, framing, persistent: isPersistent(is11, this.connection), keepAlive }
  }
}

/** RFC 9112 §9.3. @param connection all values, in lower case. */
function isPersistent(is11: boolean, connection: string): boolean {
  if (connection === '') return is11
  if (/(?:^|[,\s])close(?:[,\s]|$)/.test(connection)) return false
  return is11 || /(?:^|[,\s])keep-alive(?:[,\s]|$)/.test(connection)
}
