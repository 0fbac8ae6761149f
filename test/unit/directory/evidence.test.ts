import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { apply, isChanged, isOlder, type Known, type Reading, takeReading } from '../../../src/directory/evidence.ts'
import type { Entry, Group } from '../../../src/directory/model.ts'
import { sourceTime } from '../../../src/lib/time.ts'
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

function take(before: Known | undefined, next: Reading): { known: Known; changed: boolean } | undefined {
  const known = takeReading(before, next)?.known
  return known && { known, changed: before ? isChanged(before, known) : known.status === 'inactive' }
}

function known(...readings: readonly Reading[]): Known | undefined {
  return readings.reduce<Known | undefined>((before, next) => take(before, next)?.known ?? before, undefined)
}

describe('a reading', () => {
  test('is taken when nothing is known, and is news only when it is bad', () => {
    expect(take(undefined, reading(0, [group(1)]))).toEqual({
      known: { status: 'active', statusText: 'ACTIVE', groups: [group(1)], asOf: T0 - 2000, readAt: T0 },
      changed: false,
    })
    expect(take(undefined, reading(0))).toEqual({
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
    expect(take(known(first), late)).toBeUndefined()
  })

  test('that began long after counts, even when an earlier answer claimed to be from the future', () => {
    const wrong = reading(0, [group(1)], { asOf: T0 + 86_400_000 })
    expect(take(known(wrong), reading(300_000, [group(2)]))).toBeUndefined()
    expect(take(known(wrong), reading(300_001, [group(2)]))).toMatchObject({ changed: true })
  })

  test('of the same groups in another order changes nothing', () => {
    expect(take(known(reading(0, [group(1), group(2)])), reading(1000, [group(2), group(1)]))?.changed).toBe(false)
  })
})

describe('told of the very instant of a reading, which may know of it or not,', () => {
  const read = known(reading(0, [group(1), group(2)])) as Known
  const at = read.asOf ?? sourceTime(0)
  const later = sourceTime(T0)

  test('a person has lost a group', () => {
    const removal = { kind: 'member', user: '00u1', group: group(1).id, member: false, at } as const
    expect(apply(read, '00u1', removal, 'log')).toMatchObject({ known: { groups: [group(2)] }, confirm: true })
  })

  test('a person is inactive', () => {
    const inactivation = { kind: 'inactive', user: '00u1', statusText: 'SUSPENDED', at } as const
    expect(apply(read, '00u1', inactivation, 'log')).toMatchObject({ known: { status: 'inactive' }, confirm: true })
  })

  test.each([
    ['given, then taken away', [true, false]],
    ['taken away, then given', [false, true]],
  ])('a group that was %s in one instant is lost', (_, order) => {
    const told = order.reduce<Known>((before, member) => {
      const signal = { kind: 'member', user: '00u1', group: group(3).id, member, at: later } as const
      return apply(before, '00u1', signal, 'log', group(3))?.known ?? before
    }, read)
    expect(told.groups).toEqual([group(1), group(2)])
  })

  test('a person has not got a group', () => {
    const addition = { kind: 'member', user: '00u1', group: group(3).id, member: true, at } as const
    expect(apply(read, '00u1', addition, 'log', group(3))).toBeUndefined()
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
