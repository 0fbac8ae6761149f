import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { NO_REASONS, plus, type Reasons, union } from '../../../src/policy/reasons.ts'
import type { Reason } from '../../../src/policy/model.ts'

const ORDER: readonly Reason[] = [
  'policy-error',
  'user-unauthenticated',
  'user-inactive',
  'groups-unknown',
  'no-rule-matched',
  'public',
  'signed-in',
  'accept',
  'reject',
  'user-ok',
  'user-unauthorized',
  'email-ok',
  'email-unauthorized',
  'domain-ok',
  'domain-unauthorized',
  'groups-ok',
  'groups-unauthorized',
  'claim-ok',
  'claim-unauthorized',
  'http-method-ok',
  'http-method-unauthorized',
  'http-path-ok',
  'http-path-unauthorized',
  'source-ip-ok',
  'source-ip-unauthorized',
  'origin-unauthorized',
  'websockets-off',
]

const setOf = (reasons: readonly Reason[]): Reasons => reasons.reduce(plus, NO_REASONS)
const some = fc.array(fc.constantFrom(...ORDER))

describe('plus and union', () => {
  test('list each reason once, in the one order, whichever way a set was made', () => {
    fc.assert(
      fc.property(some, some, (one, other) => {
        const both = [...one, ...other]
        const expected = ORDER.filter((reason) => both.includes(reason))
        expect(setOf(both).list).toEqual(expected)
        expect(union(setOf(one), setOf(other)).list).toEqual(expected)
      }),
    )
  })

  test('give the same frozen list for the same set', () => {
    fc.assert(
      fc.property(some, (reasons) => {
        expect(setOf(reasons).list).toBe(setOf(reasons.toReversed()).list)
        expect(Object.isFrozen(setOf(reasons).list)).toBe(true)
      }),
    )
  })

  test('no reason is taken for another, however many there are', () => {
    for (const reason of ORDER) expect(setOf([reason]).list).toEqual([reason])
    expect(setOf(ORDER).list).toEqual(ORDER)
  })
})
