import { describe, expect, test } from 'vitest'
import { OktaError } from '../../../emulator/okta/http/okta-error.ts'
import { compileFilter, type FilterGrammar } from '../../../emulator/okta/management/filter.ts'

interface Item {
  readonly name: string
  readonly at?: string
}

const GRAMMAR: FilterGrammar<Item> = {
  attributes: { 'profile.name': (item) => item.name, lastUpdated: (item) => item.at },
  operators: ['eq', 'gt', 'ge', 'lt', 'le', 'sw', 'pr'],
  error: 'E0000031',
}
const ITEMS: readonly Item[] = [
  { name: 'alpha', at: '2026-01-01T00:00:00.000Z' },
  { name: 'beta', at: '2026-01-02T00:00:00.000Z' },
  { name: 'Gamma "quoted"' },
]

function names(filter: string, grammar = GRAMMAR): readonly string[] {
  return ITEMS.filter(compileFilter(filter, grammar)).map((item) => item.name)
}

describe('SCIM filter', () => {
  test.each([
    ['profile.name eq "alpha"', ['alpha']],
    ['profile.name eq "ALPHA"', []],
    ['profile.name sw "al" or profile.name sw "be"', ['alpha', 'beta']],
    ['lastUpdated gt "2026-01-01T00:00:00.000Z"', ['beta']],
    ['lastUpdated ge "2026-01-01T00:00:00.000Z"', ['alpha', 'beta']],
    ['lastUpdated pr', ['alpha', 'beta']],
    ['not (lastUpdated pr)', ['Gamma "quoted"']],
    ['profile.name eq "Gamma \\"quoted\\""', ['Gamma "quoted"']],
    ['profile.name eq "alpha" AND lastUpdated lt "2027"', ['alpha']],
    // `and` binds tighter than `or` (RFC 7644 §3.4.2.2).
    ['profile.name eq "alpha" or profile.name eq "beta" and lastUpdated lt "2026"', ['alpha']],
    ['(profile.name eq "alpha" or profile.name eq "beta") and lastUpdated lt "2026"', []],
  ])('%s', (filter, expected) => {
    expect(names(filter)).toEqual(expected)
  })

  test('a search ignores case', () => {
    expect(names('profile.name eq "ALPHA"', { ...GRAMMAR, ignoreCase: true })).toEqual(['alpha'])
  })

  test.each([
    [''],
    ['profile.name'],
    ['profile.name eq'],
    ['profile.name co "a"'],
    ['profile.other eq "a"'],
    ['constructor eq "a"'],
    ['(profile.name pr'],
    ['profile.name pr)'],
    ['profile.name eq "a" profile.name eq "b"'],
    ['profile.name eq ["a"]'],
  ])('refuses %j with the code of the endpoint', (filter) => {
    const refused = (): unknown => compileFilter(filter, GRAMMAR)
    expect(refused).toThrow(OktaError)
    expect(refused).toThrow('E0000031')
  })
})
