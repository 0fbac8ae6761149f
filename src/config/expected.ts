import { nearest } from '../policy/nearest.ts'
import { OTHER_PROVIDERS } from './providers.ts'
import { isTree } from './input.ts'
import type { Path } from './issues.ts'
import { isSecret } from './keys.ts'
import type { ShapeIssue } from './shape.ts'

/** `expected true or false, found "yes"; write true`. Of a secret only what kind of thing was found. */
export function describeMismatch(issue: ShapeIssue, found: unknown, path: Path): string {
  const hint = hintFor(issue, found, path)
  return `expected ${issue.expected}, found ${show(found, path)}${hint === undefined ? '' : `; ${hint}`}`
}

const YES = new Set(['true', 'yes', 'on', 'y', '1'])
const NO = new Set(['false', 'no', 'off', 'n', '0'])

/** What to write instead, where that is plain. */
function hintFor({ type, expected, values }: ShapeIssue, found: unknown, path: Path): string | undefined {
  const text = typeof found === 'string' || typeof found === 'number' ? String(found) : undefined
  const word = text?.toLowerCase() ?? ''
  if (type === 'string') {
    if (path[0] === 'jwt_claims_headers' && isTree(found)) return 'write one map, without "- " before each header'
    if (isTree(found) && Object.keys(found)[0]?.startsWith('{')) return 'this is a template that nobody has filled in'
    if (isTree(found)) return 'a colon and a space make a map: put the text in quotes'
    if (expected.startsWith('text') && /^(?:number|boolean)$/.test(typeof found)) return 'put it in quotes'
  }
  if (type === 'boolean' && YES.has(word)) return word === 'true' ? 'remove the quotes' : 'write true'
  if (type === 'boolean' && NO.has(word)) return word === 'false' ? 'remove the quotes' : 'write false'
  if (type === 'array' && typeof found === 'string' && !isSecret(path)) return `write [${found}]`
  if (type === 'array' && isTree(found)) return 'put "- " before each entry'
  if (expected.startsWith('a duration') && /^\d+$/.test(word)) return `write ${word}s`
  if (path[0] === 'idp_provider' && OTHER_PROVIDERS[word] !== undefined) return OTHER_PROVIDERS[word]
  if (text !== undefined && values.length > 1) {
    const near = nearest(text, values.map(String))
    return near === undefined ? undefined : `did you mean "${near}"?`
  }
  return undefined
}

/** `"5 apples"`, `the number 5`; of a secret only what kind of thing it is. */
export function show(value: unknown, path: Path): string {
  if (value === null) return 'nothing'
  if (Array.isArray(value)) return 'a list'
  switch (typeof value) {
    case 'object':
      return 'a map'
    case 'string':
      return isSecret(path) ? 'other text' : JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value)
    case 'number':
      return isSecret(path) ? 'a number' : `the number ${value}`
    default:
      return isSecret(path) ? 'something else' : JSON.stringify(value)
  }
}
