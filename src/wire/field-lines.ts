import { type HeaderLines, internName, type ScannedLines } from '../http/header-lines.ts'
import { COLON, CR, FIELD_VALUE, LF, SPACE, TAB, TOKEN } from './bytes.ts'

const END_OF_HEAD = Buffer.from('\r\n\r\n')

/**
 * Behind the first empty line; -1: it has not come.
 * @param from where the head begins.
 * @param known up to here it was looked for before.
 */
export function endOfHead(bytes: Buffer, from: number, known: number): number {
  const found = bytes.indexOf(END_OF_HEAD, Math.max(from, known - END_OF_HEAD.length + 1))
  return found === -1 ? -1 : found + END_OF_HEAD.length
}

/**
 * Field lines (RFC 9112 §5): CRLF ends each, none is folded, nothing stands between name and colon, and in a value no
 * control character but tab. Requests and answers.
 * @param bytes must hold an empty line; nothing refers to them afterwards.
 * @param origin where `lines.text` begins in them.
 * @param at where the first line begins.
 * @param lines are added here.
 * @returns behind the empty line; -1: malformed.
 */
export function scanFieldLines(bytes: Buffer, origin: number, at: number, lines: ScannedLines): number {
  const { text } = lines
  let i = at
  while (bytes[i] !== CR) {
    const start = i
    while (TOKEN[bytes[i] ?? 0] === 1) i++
    const name = bytes[i] === COLON ? internName(text.slice(start - origin, i - origin)) : undefined
    if (!name) return -1
    i++
    while (bytes[i] === SPACE || bytes[i] === TAB) i++
    const value = i
    while (FIELD_VALUE[bytes[i] ?? 0] === 1) i++
    if (bytes[i] !== CR || bytes[i + 1] !== LF) return -1
    let end = i
    while (end > value && (bytes[end - 1] === SPACE || bytes[end - 1] === TAB)) end--
    i += 2
    lines.add(name, value - origin, end - origin, i - origin)
  }
  return bytes[i + 1] === LF ? i + 2 : -1
}

/** RFC 9110 §5.5 allows one around a value; where the framing is at stake other readers, llhttp among them, do not. */
export function hasTab(lines: HeaderLines, index: number): boolean {
  const at = lines.text.indexOf('\t', lines.start(index))
  return at !== -1 && at < lines.end(index)
}
