/** What log lines are made of: instants, and texts that clients choose. */
import { systemClock } from './clock.ts'
import { epochMillis } from './time.ts'

/** Longest text of one field, in characters. */
export const MAX_TEXT = 2048

/** The text, or its beginning and how much is left out: clients choose what some fields hold. */
export function bounded(text: string, length = MAX_TEXT): string {
  return text.length <= length ? text : `${text.slice(0, length)}… (${text.length - length} more)`
}

const PLAIN_LINE = /^[\x20-\x7e]*\n?$/
/** What a terminal obeys or does not show, beyond what JSON escapes itself: C1 and DEL, line separators, the direction of text. */
const INVISIBLE = /[\x7f-\x9f\p{Cf}\p{Zl}\p{Zp}]/gu

/** The same JSON with nothing in it that a terminal would obey. 3 µs a line: the access log asks only for what is not plain. */
export function visible(line: string): string {
  if (PLAIN_LINE.test(line)) return line
  return line.replace(INVISIBLE, (found) =>
    Array.from({ length: found.length }, (_, i) => `\\u${found.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  )
}

let second = Number.NaN
let upToSecond = ''

/** ISO 8601 with milliseconds, like `toISOString`. The part up to the second is cached. */
export function isoTime(time: number): string {
  const now = Math.floor(time / 1000)
  if (now !== second) {
    second = now
    upToSecond = new Date(now * 1000).toISOString().slice(0, -4)
  }
  return `${upToSecond}${String(time - now * 1000).padStart(3, '0')}Z`
}

/** The beginning of a line of now. @param base members of every line of this process, each with a comma behind it. */
export function lineStart(level: string, base: string): string {
  return `{"level":"${level}","time":"${isoTime(epochMillis(systemClock.now()))}",${base}`
}
