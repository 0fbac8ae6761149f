import type { Span } from '../../../src/types.ts'
import { OktaError, type OktaErrorCode } from '../http/okta-error.ts'

/** Reads one attribute of the item that is tested; undefined when it has none. Of several values any may fit. */
export type Attribute<T> = (item: T) => string | readonly string[] | undefined

export interface FilterGrammar<T> {
  readonly attributes: Readonly<Record<string, Attribute<T>>>
  /** Attributes that hold a date. Compared as numbers: a delta filter looks at every person of a big org. */
  readonly instants?: Readonly<Record<string, (item: T) => Span>>
  readonly operators: readonly Operator[]
  /** For attributes not in the table, e.g. `profile.department` in a search. */
  readonly otherAttribute?: (name: string) => Attribute<T> | undefined
  /** `filter` compares case as written, `search` does not (okta-api.md#lists-and-filters). */
  readonly ignoreCase?: boolean
  readonly error: OktaErrorCode
}

export type Operator = 'eq' | 'ne' | 'gt' | 'ge' | 'lt' | 'le' | 'sw' | 'co' | 'ew' | 'pr'

const COMPARE: Readonly<Record<Operator, (actual: string, expected: string) => boolean>> = {
  eq: (actual, expected) => actual === expected,
  ne: (actual, expected) => actual !== expected,
  gt: (actual, expected) => actual > expected,
  ge: (actual, expected) => actual >= expected,
  lt: (actual, expected) => actual < expected,
  le: (actual, expected) => actual <= expected,
  sw: (actual, expected) => actual.startsWith(expected),
  co: (actual, expected) => actual.includes(expected),
  ew: (actual, expected) => actual.endsWith(expected),
  pr: () => true,
}

const COMPARE_INSTANTS: Readonly<Partial<Record<Operator, (actual: Span, expected: Span) => boolean>>> = {
  eq: (actual, expected) => actual === expected,
  gt: (actual, expected) => actual > expected,
  ge: (actual, expected) => actual >= expected,
  lt: (actual, expected) => actual < expected,
  le: (actual, expected) => actual <= expected,
}

const TOKEN = /\s*(?:"((?:[^"\\]|\\.)*)"|([()])|([A-Za-z_][\w.]*)|(\S))/gy

type Token = { readonly kind: 'string' | 'paren' | 'word'; readonly text: string }

/**
 * SCIM filter (RFC 7644 §3.4.2.2) without `[ ]`: and, or, not, parentheses, comparisons.
 * @throws OktaError with the grammar's code for anything else
 */
export function compileFilter<T>(text: string, grammar: FilterGrammar<T>): (item: T) => boolean {
  const fail = (): OktaError => new OktaError(grammar.error)
  const tokens = tokenize(text, fail)
  let position = 0
  const peekWord = (word: string): boolean =>
    tokens[position]?.kind === 'word' && tokens[position]?.text.toLowerCase() === word
  const next = (): Token => {
    const token = tokens[position]
    if (!token) throw fail()
    position += 1
    return token
  }

  function either(): (item: T) => boolean {
    let left = both()
    while (peekWord('or')) {
      position += 1
      const [before, right] = [left, both()]
      left = (item) => before(item) || right(item)
    }
    return left
  }
  function both(): (item: T) => boolean {
    let left = term()
    while (peekWord('and')) {
      position += 1
      const [before, right] = [left, term()]
      left = (item) => before(item) && right(item)
    }
    return left
  }
  function term(): (item: T) => boolean {
    if (peekWord('not')) {
      position += 1
      const inner = term()
      return (item) => !inner(item)
    }
    const token = next()
    if (token.kind === 'paren' && token.text === '(') {
      const inner = either()
      if (next().text !== ')') throw fail()
      return inner
    }
    if (token.kind !== 'word') throw fail()
    return comparison(token.text)
  }
  function instantComparison(readInstant: (item: T) => Span): (item: T) => boolean {
    const word = next().text.toLowerCase()
    const operator = grammar.operators.find((known) => known === word)
    const compare = operator && COMPARE_INSTANTS[operator]
    const literal = next()
    const expected = Date.parse(literal.text)
    if (!compare || literal.kind !== 'string' || Number.isNaN(expected)) throw fail()
    return (item) => compare(readInstant(item), expected)
  }
  function comparison(name: string): (item: T) => boolean {
    const instant = grammar.instants && Object.hasOwn(grammar.instants, name) ? grammar.instants[name] : undefined
    if (instant) return instantComparison(instant)
    const read = Object.hasOwn(grammar.attributes, name) ? grammar.attributes[name] : grammar.otherAttribute?.(name)
    const word = next().text.toLowerCase()
    const operator = grammar.operators.find((known) => known === word)
    if (!read || !operator) throw fail()
    if (operator === 'pr') return (item) => (read(item)?.length ?? 0) > 0
    const literal = next()
    if (literal.kind === 'paren') throw fail()
    const fold = (value: string): string => (grammar.ignoreCase ? value.toLowerCase() : value)
    const expected = fold(literal.text)
    return (item) => {
      const actual = read(item)
      if (typeof actual === 'string') return COMPARE[operator](fold(actual), expected)
      return actual !== undefined && actual.some((value) => COMPARE[operator](fold(value), expected))
    }
  }

  const compiled = either()
  if (position !== tokens.length) throw fail()
  return compiled
}

function tokenize(text: string, fail: () => OktaError): readonly Token[] {
  const tokens: Token[] = []
  for (const [, quoted, paren, word, other] of text.trim().matchAll(TOKEN)) {
    if (quoted !== undefined) tokens.push({ kind: 'string', text: quoted.replace(/\\(.)/g, '$1') })
    else if (paren) tokens.push({ kind: 'paren', text: paren })
    else if (word) tokens.push({ kind: 'word', text: word })
    else if (other) throw fail()
  }
  return tokens
}
