import { createRequire } from 'node:module'
import type * as Re2 from 're2js'
import { messageOf } from '../errors.ts'
import type { Substitution } from '../config/route-model.ts'

/**
 * An RE2 pattern that must match the whole path. Linear in the length of the input whatever the
 * pattern is: no look-around, no back references.
 */
export function compileRegex(
  source: string,
): { readonly source: string; readonly test: (path: string) => boolean } | { readonly problem: string } {
  try {
    const pattern = re2().RE2JS.compile(source)
    return { source, test: (path) => pattern.testExact(path) }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

/**
 * All patterns as one automaton: the numbers of those that match a whole path, in order, found in one pass over it.
 * undefined: together they are too large for one. @param memory bytes for its states, which are made as paths need them.
 */
export function combineRegexes(
  sources: readonly string[],
  memory: number,
): ((path: string) => readonly number[]) | undefined {
  const { RE2Set } = re2()
  const set = new RE2Set(RE2Set.ANCHOR_BOTH, 0, memory)
  try {
    for (const source of sources) set.add(source)
    set.compile()
  } catch {
    return undefined
  }
  return (path) => set.match(path).toSorted((a, b) => a - b)
}

/**
 * Replaces every match of an RE2 pattern, wherever it is in the path, as Envoy does: `\1` to `\9` in the substitution are
 * groups, `\0` is the whole match.
 */
export function compileSubstitution(
  pattern: string,
  substitution: string,
): Substitution | { readonly problem: string } {
  let regex: Re2.RE2JS
  try {
    regex = re2().RE2JS.compile(pattern)
  } catch (error) {
    return { problem: `expected an RE2 expression: ${messageOf(error)}` }
  }
  // Text and groups in turn.
  const parts = substitution.split(/\\(\d)/)
  const groups = regex.groupCount()
  const unknown = parts.find((part, i) => i % 2 === 1 && Number(part) > groups)
  if (unknown !== undefined)
    return { problem: `the substitution names \\${unknown}, and the pattern has ${groups} groups` }
  if (parts.some((part) => part.includes('\\'))) {
    return { problem: String.raw`expected a digit behind each backslash of the substitution: \1 is the first group` }
  }
  const build = (...found: readonly (string | null)[]): string =>
    parts.map((part, i) => (i % 2 === 0 ? part : (found[Number(part)] ?? ''))).join('')
  return { pattern, substitution, replace: (text) => regex.matcher(text).replaceAll(build) }
}

/** Most configurations have no expression. */
function re2(): typeof Re2 {
  const require = createRequire(import.meta.url)
  return require('re2js') as typeof Re2
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
    const [piece = ''] =
      /^(?:\\[^A-Za-z0-9]|[A-Za-z0-9/_~%!&',:;=@ -])(?!(?:\(\?[A-Za-z-]+\))*[*?+{])/.exec(source.slice(at)) ?? []
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
