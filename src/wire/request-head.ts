/**
 * The head of a request (RFC 9112 §3, §5), cut from its bytes in one scan. What is judged, what is forwarded and where the
 * body ends all come from here. What two readers could cut differently is refused: CRLF ends every line, single
 * spaces separate the request line, no line is folded, no framing is guessed. There is no lenient mode.
 */
import { METHODS } from 'node:http'
import { type HeaderLines, ScannedLines } from '../http/header-lines.ts'
import { withoutBlanks } from '../lib/blanks.ts'
import { CR, FIELD_VALUE, LF, SPACE, TARGET, TOKEN } from './bytes.ts'
import { hasTab, scanFieldLines } from './field-lines.ts'

/** Octets of the body, or `chunked`; 0: there is none. */
export type Framing = number | 'chunked'

export interface ScannedHead {
  readonly method: string
  /** Verbatim. */
  readonly target: string
  readonly httpVersion: '1.0' | '1.1'
  readonly headers: HeaderLines
  readonly framing: Framing
  /** Does the client wait for "100 Continue" (RFC 9110 §10.1.1)? */
  readonly expectsContinue: boolean
  /** Does it ask for a WebSocket? `Upgrade` in HTTP/1.0 is ignored (RFC 9110 §7.8). */
  readonly upgrade: boolean
  /** The one other protocol that it asks for, in lower case; undefined also for a request with a body. */
  readonly upgradeTo: string | undefined
  /** Is it the last request of its connection (RFC 9112 §9.3)? In HTTP/1.0 every request is. */
  readonly close: boolean
}

/** Why a head is refused: it is malformed, or asks for something that is not supported. */
export interface HeadProblem {
  readonly status: 400 | 417 | 431 | 501
  /** Constant. */
  readonly problem: string
}

/** A request with more is refused, and never forwarded without them. */
const MAX_LINES = 1000
const KNOWN_METHODS: ReadonlySet<string> = new Set(METHODS)
/** No sign, no leading zero, no list, and a number that JavaScript counts exactly. */
const CONTENT_LENGTH = /^(?:0|[1-9]\d{0,14})$/
/** One name, and no list. `h2c` would carry requests that nobody judges. */
const PROTOCOL = /^(?!h2c$)[a-z0-9._-]{1,40}(?:\/[a-z0-9.]{1,10})?$/
/** Codings that a client may lawfully apply before `chunked` (RFC 9112 §7) and that we do not undo. */
const OTHER_CODINGS =
  /^(?:(?:x-)?gzip|(?:x-)?compress|deflate)(?:[ \t]*,[ \t]*(?:(?:x-)?gzip|(?:x-)?compress|deflate))*[ \t]*,[ \t]*chunked$/i
const malformed = (problem: string): HeadProblem => ({ status: 400, problem })
const BAD_REQUEST_LINE = malformed('malformed request line')
const BAD_LINE = malformed('malformed header line')
const UNKNOWN_METHOD = malformed('unknown method')
const BAD_VERSION = malformed('unsupported HTTP version')
const BAD_LENGTH = malformed('invalid Content-Length')
const BAD_CODING = malformed('invalid Transfer-Encoding')
const TWO_FRAMINGS = malformed('both Transfer-Encoding and Content-Length')
const CODING_IN_1_0 = malformed('Transfer-Encoding with HTTP/1.0')
const FRAMING_LIKE = malformed('invalid header name')
const OTHER_CODING: HeadProblem = { status: 501, problem: 'unsupported Transfer-Encoding' }
const EXPECTATION: HeadProblem = { status: 417, problem: 'unknown expectation' }
const TOO_MANY: HeadProblem = { status: 431, problem: 'too many header fields' }

/**
 * @param bytes hold the head, up to and with the first empty line, from `from` to `to`.
 * The header lines keep a text of their own; nothing refers to `bytes` afterwards.
 */
export function scanHead(bytes: Buffer, from: number, to: number): ScannedHead | HeadProblem {
  const text = bytes.toString('latin1', from, to)
  let at = from
  while (TOKEN[bytes[at] ?? 0] === 1) at++
  if (at === from || bytes[at] !== SPACE) return BAD_REQUEST_LINE
  const method = text.slice(0, at - from)
  if (!KNOWN_METHODS.has(method)) return UNKNOWN_METHOD
  const begin = ++at
  while (TARGET[bytes[at] ?? 0] === 1) at++
  if (at === begin) return BAD_REQUEST_LINE
  const target = text.slice(begin - from, at - from)
  const is11 = text.startsWith(' HTTP/1.1\r\n', at - from)
  if (!is11 && !text.startsWith(' HTTP/1.0\r\n', at - from)) return versionProblem(text.slice(at - from))
  at += ' HTTP/1.1\r\n'.length

  const headers = new ScannedLines(text, at - from)
  if (scanFieldLines(bytes, from, at, headers) !== to) return BAD_LINE
  const control = controlOf(headers, is11)
  if ('problem' in control) return control
  const { framing, expectsContinue, options } = control
  const protocol = (is11 && options.includes('upgrade') && control.upgrade?.toLowerCase()) || ''
  return {
    method,
    target,
    httpVersion: is11 ? '1.1' : '1.0',
    headers,
    framing,
    expectsContinue,
    upgrade: protocol === 'websocket',
    upgradeTo: framing === 0 && protocol !== 'websocket' && PROTOCOL.test(protocol) ? protocol : undefined,
    close: !is11 || options.includes('close'),
  }
}

/** Why a request of HTTP/1.1 with these lines is refused, whoever reads it; undefined: it is not. For one that was never sent. */
export function linesProblem(lines: HeaderLines): HeadProblem | undefined {
  const control = controlOf(lines, true)
  return 'problem' in control ? control : undefined
}

function controlOf(lines: HeaderLines, is11: boolean) {
  if (lines.count > MAX_LINES) return TOO_MANY
  const read = readLines(lines)
  if ('problem' in read) return read
  const framing = framingOf(read, is11)
  if (typeof framing === 'object') return framing
  const expects = is11 && read.expect !== undefined
  if (expects && read.expect?.toLowerCase() !== '100-continue') return EXPECTATION
  const { connection, upgrade } = read
  return { framing, expectsContinue: expects && framing !== 0, options: optionsOf(connection), upgrade }
}

/** The headers that say where the request ends, and what happens to the connection. */
interface Control {
  connection: string
  upgrade: string | undefined
  expect: string | undefined
  length: string | undefined
  coding: string | undefined
}

function readLines(lines: HeaderLines): Control | HeadProblem {
  const read: Control = { connection: '', upgrade: undefined, expect: undefined, length: undefined, coding: undefined }
  for (let i = 0; i < lines.count; i++) {
    switch (lines.name(i).kind) {
      case 'content-length':
        if (read.length !== undefined || hasTab(lines, i)) return BAD_LENGTH
        read.length = lines.value(i)
        break
      case 'transfer-encoding':
        if (read.coding !== undefined || hasTab(lines, i)) return BAD_CODING
        read.coding = lines.value(i)
        break
      case 'framing-like':
        return FRAMING_LIKE
      case 'connection':
        read.connection = joined(read.connection, lines.value(i))
        break
      case 'upgrade':
        // With an empty line it is a list, too: whoever looks at the first line must find what was read here.
        read.upgrade = read.upgrade === undefined ? lines.value(i) : `${read.upgrade}, ${lines.value(i)}`
        break
      case 'expect':
        read.expect = joined(read.expect ?? '', lines.value(i))
        break
      default:
    }
  }
  return read
}

function framingOf({ length, coding }: Control, is11: boolean): Framing | HeadProblem {
  if (coding === undefined) {
    if (length === undefined) return 0
    return CONTENT_LENGTH.test(length) ? Number(length) : BAD_LENGTH
  }
  if (length !== undefined) return TWO_FRAMINGS
  if (!is11) return CODING_IN_1_0
  if (coding.toLowerCase() === 'chunked') return 'chunked'
  return OTHER_CODINGS.test(coding) ? OTHER_CODING : BAD_CODING
}

/** Lines of one name form one list (RFC 9110 §5.3). */
function joined(before: string, value: string): string {
  return before === '' ? value : `${before}, ${value}`
}

const NO_OPTIONS: readonly string[] = []

/** Members of a `Connection` list, in lower case. */
function optionsOf(connection: string): readonly string[] {
  // The common cases, without a split.
  if (connection === '' || connection === 'keep-alive') return NO_OPTIONS
  return connection.toLowerCase().split(',').map(withoutBlanks)
}

function versionProblem(rest: string): HeadProblem {
  return /^ HTTP\/\d\.\d\r\n/.test(rest) ? BAD_VERSION : BAD_REQUEST_LINE
}

/**
 * Could these bytes, of a head whose end has not arrived, still become a valid one? Looks at each byte once, even if they
 * arrive one by one.
 * @param known bytes before this offset were looked at before.
 */
export function mayBecomeHead(bytes: Buffer, known: number): boolean {
  if (TOKEN[bytes[0] ?? 0] !== 1) return false
  for (let at = known; at < bytes.length; at++) {
    const octet = bytes[at] ?? 0
    if (FIELD_VALUE[octet] === 1) {
      if (bytes[at - 1] === CR) return false
    } else if (octet === LF) {
      if (bytes[at - 1] !== CR) return false
    } else if (octet !== CR || bytes[at - 1] === CR) return false
  }
  return true
}
