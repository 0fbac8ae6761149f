import type { Position } from './issues.ts'
import { globalKeys } from './keys.ts'

const secrets = globalKeys.filter(({ secret }) => secret).map(({ path }) => path.at(-1))
/** A plain value, and a hash that touches a word: comments have a space there. */
const CUT = new RegExp(`^[ \\t]*(?:${secrets.join('|')}):[ \\t]+[^"'|>{[\\s#][^\\n]*?[ \\t](?=#\\S)`, 'm')
/** Where a value begins. */
const CURLY = /^[^#\n]*?(?:[:,[{]|-)[ \t]*(?=[“”‘])/m

/** What is lawful YAML and hardly ever meant. */
export function findSlips(text: string): readonly { readonly at: Position; readonly message: string }[] {
  const [cut, curly] = [CUT.test(text), CURLY.test(text)]
  if (!cut && !curly) return []
  return text.split('\n').flatMap((line, i) => {
    const slip = (pattern: RegExp, message: string) => {
      const found = pattern.exec(line)
      return found ? [{ at: { line: i + 1, column: found[0].length + 1 }, message }] : []
    }
    return [
      ...slip(CUT, 'this begins a comment and ends the value; put the value in quotes if it belongs to it'),
      ...slip(CURLY, 'curly quotes are part of the value; write straight ones'),
    ]
  })
}
