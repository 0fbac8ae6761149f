/** A log line for people at a terminal: the same fields in another form. */

import type { LogFields } from './log-fields.ts'

interface Line extends LogFields {
  readonly time: string
  readonly level: string
  readonly msg: string
}

/** Select Graphic Rendition (ECMA-48 §8.3.117). */
const COLOURS: Readonly<Record<string, number>> = { trace: 90, debug: 90, info: 32, warn: 33, error: 31 }
const [BOLD, DIM] = [1, 2]
/** Of a request these need no name. */
const REQUEST = ['status', 'method', 'host', 'path', 'duration_ms', 'email', 'service_account', 'decision']

/**
 * `12:03:04.567 INFO  listening  address=127.0.0.1:8080 routes=3`, in local time. What the values hold stays in one line
 * and moves no cursor.
 * @param line JSON, with its line feed.
 */
export function prettyLine(line: string, colour: boolean): string {
  const { time, level, msg, stack, ...fields } = JSON.parse(line) as Line
  const paint = (text: string, ...codes: readonly number[]): string =>
    colour && text !== '' ? `\x1b[${codes.join(';')}m${text}\x1b[0m` : text
  const isRequest = msg === 'request' && 'method' in fields
  const rest = Object.entries(fields).filter(([name]) => !(isRequest && REQUEST.includes(name)))
  const parts = [
    paint(timeOfDay(time), DIM),
    paint(level.toUpperCase().padEnd(5), COLOURS[level] ?? 0),
    isRequest ? request(fields, paint) : paint(plain(msg), BOLD),
    paint(rest.map(([name, value]) => `${name}=${shown(value)}`).join(' '), DIM),
  ]
  const trace = typeof stack === 'string' ? stack.split('\n').map((each) => `\n    ${plain(each.trim())}`) : []
  return `${parts.filter((part) => part !== '').join('  ')}${trace.join('')}\n`
}

function request(fields: LogFields, paint: (text: string, ...codes: number[]) => string): string {
  const { status, method = '', host = '', path = '', duration_ms = 0, email, service_account, decision } = fields
  const family = Number(status) >= 500 ? 31 : Number(status) >= 400 ? 33 : 32
  const said = [
    status === undefined ? '---' : paint(String(status), family),
    paint(plain(`${method} ${host}${path}`), BOLD),
    `${duration_ms} ms`,
    ...[email ?? service_account, decision].flatMap((each) => (each === undefined ? [] : [plain(each)])),
  ]
  return said.join(' ')
}

function timeOfDay(time: string): string {
  const at = new Date(time)
  const two = (part: number): string => String(part).padStart(2, '0')
  return `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}.${String(at.getMilliseconds()).padStart(3, '0')}`
}

/** Quoted where it would not be read as one word. */
function shown(value: unknown): string {
  if (typeof value !== 'string') return plain(JSON.stringify(value))
  return /^[^\s"=]+$/.test(value) ? plain(value) : `"${plain(value).replaceAll('"', '\\"')}"`
}

/** Everything that a terminal obeys or does not show: controls, line separators, the direction of text. */
const UNSEEN = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

function plain(text: string): string {
  return text.replace(UNSEEN, (found) => JSON.stringify(found).slice(1, -1).replace(UNSEEN, escaped))
}

function escaped(found: string): string {
  return `\\u${found.codePointAt(0)?.toString(16).padStart(4, '0')}`
}
