import { RE2JS } from 're2js'
import { messageOf } from '../errors.ts'

/**
 * An RE2 pattern that must match the whole path. Linear in the length of the input whatever the
 * pattern is: no look-around, no back references.
 */
export function compileRegex(
  source: string,
): { readonly source: string; readonly test: (path: string) => boolean } | { readonly problem: string } {
  try {
    const pattern = RE2JS.compile(source)
    return { source, test: (path) => pattern.testExact(path) }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

/**
 * The plain text with which every match of the pattern begins, as far as that can be read from it, and the pattern
 * that follows: `/api/v1\.0/.*` is `/api/v1.0/` and `.*`. The text is empty when there is a choice at the top.
 */
export function literalPrefix(source: string): { readonly text: string; readonly rest: string } {
  if (hasTopLevelChoice(source)) return { text: '', rest: source }
  let text = ''
  let at = source.startsWith('^') ? 1 : 0
  for (;;) {
    const [piece = ''] = /^(?:\\[^A-Za-z0-9]|[A-Za-z0-9/_~%!&',:;=@ -])(?![*?+{])/.exec(source.slice(at)) ?? []
    if (piece === '') break
    text += piece.at(-1)
    at += piece.length
  }
  return { text, rest: source.slice(at).replace(/\$$/, '') }
}

/** `/a|/b`, but not `/(a|b)`. In doubt yes. */
function hasTopLevelChoice(source: string): boolean {
  let depth = 0
  for (let i = 0; i < source.length; i++) {
    switch (source[i]) {
      case '\\':
        if (source[++i] === 'Q') return true
        break
      case '[':
        i = endOfClass(source, i)
        if (i === -1) return true
        break
      case '(':
        depth++
        break
      case ')':
        depth--
        break
      case '|':
        if (depth === 0) return true
    }
  }
  return false
}

/** Where the class that begins at `start` ends; -1: that is hard to say, as in `[[:alpha:]]`. */
function endOfClass(source: string, start: number): number {
  const [found] = /^\[\^?\]?(?:\\.|[^\\[\]])*\]/s.exec(source.slice(start)) ?? []
  return found === undefined ? -1 : start + found.length - 1
}
