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
}

const STRING_OPERATORS = ['is', 'not', 'contains', 'starts_with', 'ends_with', 'in', 'not_in'] as const

/**
 * A scalar means `is`; an object holds one or more operators, all of which must hold. `canonical`
 * brings what was written to the spelling in which values arrive, e.g. lower case.
 * `is`, `in`, `contains`, `starts_with`, `ends_with` refuse the empty string: it would match those
 * who have no value at all, or everybody.
 */
export function parseStringMatcher(
  data: unknown,
  canonical = (text: string): string => text,
): StringMatcher | InvalidData {
  const entries = operators(data, 'is', STRING_OPERATORS)
  if ('kind' in entries) return entries
  const issues: DataIssue[] = []
  const tests: ((value: string) => boolean)[] = []
  for (const [operator, operand] of entries) {
    const test = stringTest(operator, operand, canonical)
    if (typeof test === 'function') tests.push(test)
    else issues.push({ path: isMap(data) ? [operator] : [], message: test.problem })
  }
  if (issues.length > 0) return { kind: 'invalid', issues }
  return { kind: 'ok', test: every(tests), describe: describe(entries) }
}

function stringTest(
  operator: (typeof STRING_OPERATORS)[number],
  operand: unknown,
  canonical: (text: string) => string,
): ((value: string) => boolean) | { readonly problem: string } {
  switch (operator) {
    case 'in':
    case 'not_in': {
      if (!Array.isArray(operand) || !operand.every((item) => typeof item === 'string')) {
        return { problem: 'expected a list of strings' }
      }
      if (operator === 'in' && operand.includes('')) return EMPTY
      const members = new Set(operand.map(canonical))
      return operator === 'in' ? (value) => members.has(value) : (value) => !members.has(value)
    }
    case 'is':
    case 'not': {
      if (!isScalar(operand)) return { problem: 'expected a string' }
      if (operator === 'is' && operand === '') return EMPTY
      const wanted = typeof operand === 'string' ? canonical(operand) : operand
      return operator === 'is' ? (value) => value === wanted : (value) => value !== wanted
    }
    case 'contains':
    case 'starts_with':
    case 'ends_with': {
      if (typeof operand !== 'string') return { problem: 'expected a string' }
      if (operand === '') return EMPTY
      const part = canonical(operand)
      if (operator === 'contains') return (value) => value.includes(part)
      return operator === 'starts_with' ? (value) => value.startsWith(part) : (value) => value.endsWith(part)
    }
    default:
      return assertNever(operator)
  }
}

const EMPTY = { problem: 'expected a string that is not empty' } as const

const LIST_OPERATORS = ['has', 'is', 'exclude'] as const

export interface ListMatcher {
  readonly kind: 'ok'
  /** All must hold. */
  readonly conditions: readonly ListCondition[]
  readonly describe: string
}
export interface ListCondition {
  /** `has`: some element is it. `is`: there is exactly one element and it is it. `exclude`: no element is it. */
  readonly operator: (typeof LIST_OPERATORS)[number]
  readonly value: Scalar
}

/** A scalar means `has`; an object holds one or more operators. What "element" means is the criterion's affair. */
export function parseListMatcher(data: unknown): ListMatcher | InvalidData {
  const entries = operators(data, 'has', LIST_OPERATORS)
  if ('kind' in entries) return entries
  const issues: DataIssue[] = []
  const conditions: ListCondition[] = []
  for (const [operator, value] of entries) {
    if (isScalar(value) && (operator === 'exclude' || value !== '')) conditions.push({ operator, value })
    else
      issues.push({ path: isMap(data) ? [operator] : [], message: value === '' ? EMPTY.problem : 'expected a string' })
  }
  return issues.length > 0 ? { kind: 'invalid', issues } : { kind: 'ok', conditions, describe: describe(entries) }
}

/** The operators of a matcher's data in the order written, or what is wrong with it as a whole. */
function operators<T extends string>(
  data: unknown,
  shorthand: T,
  known: readonly T[],
): readonly (readonly [T, unknown])[] | InvalidData {
  if (isScalar(data)) return [[shorthand, data]]
  if (!isMap(data)) return invalid(`expected a string or an object with ${known.join(', ')}`)
  const keys = Object.keys(data)
  if (keys.length === 0) return invalid(`expected at least one of ${known.join(', ')}`)
  return unknownOperators(data, known) ?? (Object.entries(data) as [T, unknown][])
}

/** What is wrong with the keys of an object, if anything. */
export function unknownOperators(
  data: Readonly<Record<string, unknown>>,
  known: readonly string[],
): InvalidData | undefined {
  const issues = Object.keys(data)
    .filter((key) => !known.includes(key))
    .map((key) => ({ path: [key], message: `unknown operator "${key}" (expected ${known.join(', ')})` }))
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

/** A JSON object. */
export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
