/**
 * The matchers of the policy language (pomerium-policy.md#matchers): the data a person wrote, checked once,
 * becomes a predicate. Comparison is strict and by type: the number 3 is not the string "3".
 */
import { assertNever } from '../errors.ts'

/** A JSON value that is not a list or an object. */
export type Scalar = string | number | boolean | null

/** Something wrong with a rule's data. `path` leads from the data to the culprit. */
export interface DataIssue {
  readonly path: readonly (string | number)[]
  readonly message: string
}
export interface InvalidData {
  readonly kind: 'invalid'
  readonly issues: readonly DataIssue[]
}

export function invalid(message: string, ...path: readonly (string | number)[]): InvalidData {
  return { kind: 'invalid', issues: [{ path, message }] }
}

export interface StringMatcher {
  readonly kind: 'ok'
  readonly test: (value: string) => boolean
  /** For people: `is "a"`. */
  readonly describe: string
  /** All values that can pass, where they can be counted. */
  readonly passing?: readonly string[]
  readonly warnings: readonly DataIssue[]
}

const STRING_OPERATORS = ['is', 'not', 'contains', 'starts_with', 'ends_with', 'in', 'not_in'] as const

/** What the values of a criterion look like. */
interface StringKind {
  /** What was written in the spelling in which values arrive, e.g. lower case. */
  readonly canonical?: (text: string) => string
  /** Why no value is this, and what to write instead. */
  readonly problem?: (text: string) => string | undefined
  /** Why no value begins with this, holds it or ends with it. */
  readonly partProblem?: (part: string, operator: 'contains' | 'starts_with' | 'ends_with') => string | undefined
}

/**
 * A scalar means `is`; an object holds one or more operators, all of which must hold.
 * `is`, `in`, `contains`, `starts_with`, `ends_with` refuse the empty string: it would match those
 * who have no value at all, or everybody.
 */
export function parseStringMatcher(data: unknown, kind: StringKind = {}): StringMatcher | InvalidData {
  const entries = operators(data, 'is', STRING_OPERATORS, 'write `in` for a list')
  if ('kind' in entries) return entries
  const issues: DataIssue[] = []
  const warnings: DataIssue[] = []
  const tests: ((value: string) => boolean)[] = []
  let listed: readonly string[] | undefined
  for (const [operator, operand] of entries) {
    const path = isMap(data) ? [operator] : []
    const test = stringTest(operator, operand, kind)
    if (typeof test === 'function') tests.push(test)
    else issues.push({ path, message: test.problem })
    if ((operator === 'is' || operator === 'not') && typeof operand !== 'string') {
      warnings.push({
        path,
        message: `no value is ${JSON.stringify(operand)}, because values are text${inQuotes(operand)}`,
      })
    }
    if (isWhole(operator)) warnings.push(...warnOfUnseen(operand, path))
    if (operator === 'is' || operator === 'in')
      listed = [operand].flat().map((one) => kind.canonical?.(String(one)) ?? String(one))
  }
  if (issues.length > 0) return { kind: 'invalid', issues }
  const test = every(tests)
  const passing = listed?.filter(test)
  if (passing?.length === 0 && tests.length > 1) warnings.push({ path: [], message: 'no value can be all of this' })
  return { kind: 'ok', test, describe: describe(entries), ...(passing && { passing }), warnings }
}

function inQuotes(operand: unknown): string {
  return typeof operand === 'number' || typeof operand === 'boolean' ? `; write "${operand}" in quotes` : ''
}

function stringTest(
  operator: (typeof STRING_OPERATORS)[number],
  operand: unknown,
  { canonical = (text) => text, problem = () => undefined, partProblem = () => undefined }: StringKind,
): ((value: string) => boolean) | { readonly problem: string } {
  switch (operator) {
    case 'in':
    case 'not_in': {
      if (!Array.isArray(operand) || !operand.every((item) => typeof item === 'string')) {
        return { problem: 'expected a list of strings' }
      }
      if (operator === 'in' && operand.includes('')) return EMPTY
      const wrong = operand.map(problem).find((message) => message !== undefined)
      if (wrong !== undefined) return { problem: wrong }
      const members = new Set(operand.map(canonical))
      return operator === 'in' ? (value) => members.has(value) : (value) => !members.has(value)
    }
    case 'is':
    case 'not': {
      if (!isScalar(operand)) return { problem: Array.isArray(operand) ? IN_LIST[operator] : 'expected a string' }
      if (operator === 'is' && operand === '') return EMPTY
      const wrong = typeof operand === 'string' ? problem(operand) : undefined
      if (wrong !== undefined) return { problem: wrong }
      const wanted = typeof operand === 'string' ? canonical(operand) : operand
      return operator === 'is' ? (value) => value === wanted : (value) => value !== wanted
    }
    case 'contains':
    case 'starts_with':
    case 'ends_with': {
      if (typeof operand !== 'string') return { problem: 'expected a string' }
      if (operand === '') return EMPTY
      const wrong = partProblem(operand, operator)
      if (wrong !== undefined) return { problem: wrong }
      const part = canonical(operand)
      if (operator === 'contains') return (value) => value.includes(part)
      return operator === 'starts_with' ? (value) => value.startsWith(part) : (value) => value.endsWith(part)
    }
    default:
      return assertNever(operator)
  }
}

function isWhole(operator: (typeof STRING_OPERATORS)[number]): boolean {
  return ['is', 'not', 'in', 'not_in'].includes(operator)
}

/** Spaces at an end, characters without a form, and letters in pieces (NFD), as copied from elsewhere. */
const UNSEEN = /^\s|\s$|[\p{Cc}\p{Cf}]/u

/** Text that looks like another one is compared as it is, and a `deny` for it keeps nobody out. */
function warnOfUnseen(operand: unknown, path: DataIssue['path']): readonly DataIssue[] {
  const odd = [operand]
    .flat()
    .find((text) => typeof text === 'string' && (UNSEEN.test(text) || text.normalize('NFC') !== text))
  if (odd === undefined) return []
  const found = JSON.stringify(odd).replaceAll(/[^!-~]/gu, (one) =>
    one === ' ' ? one : `\\u{${one.codePointAt(0)?.toString(16)}}`,
  )
  return [{ path, message: `compared as it is, with what is hard to see: ${found}` }]
}

const IN_LIST = { is: 'expected a string; write `in` for a list', not: 'expected a string; write `not_in` for a list' }
const EMPTY = { problem: 'expected a string that is not empty' } as const

const LIST_OPERATORS = ['has', 'is', 'exclude'] as const

export interface ListMatcher {
  readonly kind: 'ok'
  /** All must hold. */
  readonly conditions: readonly ListCondition[]
  readonly describe: string
  readonly warnings: readonly DataIssue[]
}
export interface ListCondition {
  /** `has`: some element is it. `is`: there is exactly one element and it is it. `exclude`: no element is it. */
  readonly operator: (typeof LIST_OPERATORS)[number]
  readonly value: Scalar
}

/** A scalar means `has`; an object holds one or more operators. What "element" means is the criterion's affair. */
export function parseListMatcher(data: unknown): ListMatcher | InvalidData {
  const entries = operators(data, 'has', LIST_OPERATORS, ONE_EACH)
  if ('kind' in entries) return entries
  const issues: DataIssue[] = []
  const conditions: ListCondition[] = []
  for (const [operator, value] of entries) {
    if (isScalar(value) && (operator === 'exclude' || value !== '')) conditions.push({ operator, value })
    else {
      const message =
        value === '' ? EMPTY.problem : Array.isArray(value) ? `expected a string; ${ONE_EACH}` : 'expected a string'
      issues.push({ path: isMap(data) ? [operator] : [], message })
    }
  }
  if (issues.length > 0) return { kind: 'invalid', issues }
  const only = conditions.find(({ operator }) => operator === 'is')
  const never = only && conditions.some(({ operator, value }) => (operator === 'exclude') === (value === only.value))
  const unseen = entries.flatMap(([operator, value]) => warnOfUnseen(value, isMap(data) ? [operator] : []))
  const warnings = never ? [{ path: [], message: 'no list can be all of this' }, ...unseen] : unseen
  return { kind: 'ok', conditions, describe: describe(entries), warnings }
}

const ONE_EACH = 'write one criterion for each, below `or` for any of them, below `and` for all'

/** The operators of a matcher's data in the order written, or what is wrong with it as a whole. `several`: what to write instead of a list. */
function operators<T extends string>(
  data: unknown,
  shorthand: T,
  known: readonly T[],
  several: string,
): readonly (readonly [T, unknown])[] | InvalidData {
  if (isScalar(data)) return [[shorthand, data]]
  if (!isMap(data)) {
    return invalid(
      `expected a string or an object with ${known.join(', ')}${Array.isArray(data) ? `; ${several}` : ''}`,
    )
  }
  const keys = Object.keys(data)
  if (keys.length === 0) return invalid(`expected at least one of ${known.join(', ')}`)
  return unknownOperators(data, known, several) ?? (Object.entries(data) as [T, unknown][])
}

/** What is wrong with the keys of an object, if anything. `several`: what to write instead of a list. */
export function unknownOperators(
  data: Readonly<Record<string, unknown>>,
  known: readonly string[],
  several?: string,
): InvalidData | undefined {
  const issues = Object.entries(data)
    .filter(([key]) => !known.includes(key))
    .map(([key, value]) => {
      const hint = several !== undefined && Array.isArray(value) ? `; ${several}` : ''
      return { path: [key], message: `unknown operator "${key}" (expected ${known.join(', ')})${hint}` }
    })
  return issues.length > 0 ? { kind: 'invalid', issues } : undefined
}

/** `is "a" and not "b"`. */
export function describe(entries: readonly (readonly [string, unknown])[]): string {
  return entries
    .map(([operator, operand]) => {
      const operands: readonly unknown[] = Array.isArray(operand) ? operand : [operand]
      return `${operator.replaceAll('_', ' ')} ${operands.map((one) => JSON.stringify(one)).join(', ')}`
    })
    .join(' and ')
}

/** All of them; the common single test is called without a loop. */
export function every<T>(tests: readonly ((value: T) => boolean)[]): (value: T) => boolean {
  const [only] = tests
  return tests.length === 1 && only ? only : (value) => tests.every((test) => test(value))
}

export function isScalar(value: unknown): value is Scalar {
  return value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
}

/** Is it a word of a matcher? */
export function isOperator(word: string): boolean {
  return [...STRING_OPERATORS, ...LIST_OPERATORS].some((operator) => operator === word)
}

/** Of criteria whose value is not looked at, as in Pomerium. */
export function warnOfFalse(data: unknown, instead: string): readonly DataIssue[] {
  return data === false
    ? [{ path: [], message: `the value is not looked at, so this is the same as true; ${instead}` }]
    : []
}

/** A JSON object. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * `ends_with: corp.example` fits `notcorp.example`, too. @param before what stands before the name of a domain: `.` or `@`.
 */
export function warnOfEnd(data: unknown, before: '.' | '@'): readonly DataIssue[] {
  const end = isMap(data) ? data['ends_with'] : undefined
  if (typeof end !== 'string' || /[.@]/.test(end[0] ?? '') || (before === '@' && end.includes('@'))) return []
  return [{ path: ['ends_with'], message: `fits not${end}, too: write ${before}${end}` }]
}

export const NOT_EXPANDED = 'Postern does not expand variables'
/** What a shell or a template would have put something else for. */
export function isVariable(text: string): boolean {
  return /\$[{(]|\{\{/.test(text)
}
