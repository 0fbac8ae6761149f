import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isOlder, type Known, merge, type Reading } from '../../../src/directory/merge.ts'
import type { Entry, Group } from '../../../src/directory/model.ts'
import { group } from './scripted-source.ts'

const T0 = Date.UTC(2026, 10, 20, 12)

/** A reading `at` milliseconds after noon; without groups the source has no such person. */
function reading(at: number, groups?: readonly Group[], more: Partial<Entry> = {}): Reading {
  const entry = groups && {
    subject: '00u1',
    status: 'active',
    statusText: 'ACTIVE',
    groups,
    asOf: T0 + at - 2000,
    ...more,
  }
  return { entry: entry as Entry | undefined, readAt: T0 + at }
}

function known(...readings: readonly Reading[]): Known | undefined {
  return readings.reduce<Known | undefined>((before, next) => merge(before, next)?.known ?? before, undefined)
}

describe('a reading', () => {
  test('is taken when nothing is known, and is news only when it is bad', () => {
    expect(merge(undefined, reading(0, [group(1)]))).toEqual({
      known: { status: 'active', statusText: 'ACTIVE', groups: [group(1)], asOf: T0 - 2000, readAt: T0 },
      changed: false,
    })
    expect(merge(undefined, reading(0))).toEqual({
      known: { status: 'inactive', statusText: 'NOT_FOUND', groups: [], asOf: undefined, readAt: T0 },
      changed: true,
    })
  })

  test.each<[string, Reading, Reading]>([
    ['older evidence', reading(1000, [group(2)]), reading(0, [group(1)])],
    ['older evidence that was asked for later', reading(0, [group(2)]), reading(500, [group(1)], { asOf: T0 - 3000 })],
    [
      'the same evidence, asked for earlier',
      reading(500, [group(2)], { asOf: T0 }),
      reading(0, [group(1)], { asOf: T0 }),
    ],
    ['one that began before the person was found gone', reading(1000), reading(0, [group(1)], { asOf: T0 + 5000 })],
    ['gone, when the person was found later', reading(1000, [group(1)]), reading(0)],
  ])('with %s is dropped', (_name, first, late) => {
    expect(merge(known(first), late)).toBeUndefined()
  })

  test('that began long after counts, even when an earlier answer claimed to be from the future', () => {
    const wrong = reading(0, [group(1)], { asOf: T0 + 86_400_000 })
    expect(merge(known(wrong), reading(300_000, [group(2)]))).toBeUndefined()
    expect(merge(known(wrong), reading(300_001, [group(2)]))).toMatchObject({ changed: true })
  })

  test('of the same groups in another order changes nothing', () => {
    expect(merge(known(reading(0, [group(1), group(2)])), reading(1000, [group(2), group(1)]))?.changed).toBe(false)
  })
})

test('the order of two readings never depends on who asks', () => {
  const evidence = fc.record({
    asOf: fc.option(fc.integer({ min: 0, max: 1_000_000 }), { nil: undefined }),
    readAt: fc.integer({ min: 0, max: 1_000_000 }),
  })
  fc.assert(
    fc.property(evidence, evidence, (left, right) => {
      expect(isOlder(left, right) && isOlder(right, left)).toBe(false)
      expect(isOlder(left, left)).toBe(false)
    }),
  )
})
