/**
 * Without space and tab at both ends (RFC 9110 §5.6.3). `trim` would also strip characters that belong to the value, and
 * what a regular expression needs for blanks in the middle grows with the square of their number.
 */
export function withoutBlanks(text: string): string {
  let from = 0
  let to = text.length
  while (from < to && isBlank(text, from)) from++
  while (to > from && isBlank(text, to - 1)) to--
  return text.slice(from, to)
}

function isBlank(text: string, at: number): boolean {
  const code = text.charCodeAt(at)
  return code === 0x20 || code === 0x09
}
