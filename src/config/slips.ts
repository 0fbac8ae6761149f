import { globalKeys } from './keys.ts'
import type { SyntaxProblem } from './syntax.ts'

const secrets = globalKeys.filter(({ secret }) => secret).map(({ path }) => path.at(-1))
/** A plain value, and a hash that touches a word: comments have a space there. */
const CUT = new RegExp(`^[ \\t]*(?:${secrets.join('|')}):[ \\t]+[^"'|>{[\\s#][^\\n]*?[ \\t](?=#\\S)`, 'gm')
/** Where a value begins. */
const CURLY = /^[^#\n]*?(?:[:,[{]|-)[ \t]*(?=[“”‘])/gm

/** What is lawful YAML and hardly ever meant. */
export function findSlips(text: string): readonly SyntaxProblem[] {
  const slips = (pattern: RegExp, message: string): readonly SyntaxProblem[] =>
    [...text.matchAll(pattern)].map(({ index, 0: before }) => ({ offset: index + before.length, message }))
  return [
    ...slips(CUT, 'this begins a comment and ends the value; put the value in quotes if it belongs to it'),
    ...(/[“”‘]/.test(text) ? slips(CURLY, 'curly quotes are part of the value; write straight ones') : []),
  ]
}
