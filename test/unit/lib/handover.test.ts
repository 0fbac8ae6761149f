import { expect, test } from 'vitest'
import { createHandover } from '../../../src/lib/handover.ts'
import { manualClock } from '../../support/clock.ts'

const DELAY = 600_000

function begin(...first: [string, ...string[]]) {
  const clock = manualClock()
  const acted: string[] = []
  const isSame = (left: string, right: string): boolean => left === right
  const changed = (before: string): void => void acted.push(before)
  return { clock, acted, ...createHandover({ first, isSame, delay: DELAY, clock, changed }) }
}

test('a successor is known at once, and acts after the delay', () => {
  const { clock, acted, replace, current } = begin('old')
  replace(['new', 'old'])
  expect(current()).toEqual(['old', 'new'])
  clock.advance(DELAY - 1)
  expect([current()[0], acted]).toEqual(['old', []])
  clock.advance(1)
  expect([current(), acted]).toEqual([['new', 'old'], ['old']])
})

test('what is taken out has ended, also while it still acted', () => {
  const { clock, acted, replace, current } = begin('old')
  replace(['new', 'old'])
  replace(['new'])
  expect([current(), acted]).toEqual([['new'], ['old']])
  clock.advance(DELAY)
  expect([current(), acted]).toEqual([['new'], ['old']])
})

test('the same list again does not put it off; another successor does', () => {
  const { clock, replace, current } = begin('old')
  replace(['new', 'old'])
  clock.advance(DELAY - 1)
  replace(['new', 'old', 'older'])
  clock.advance(1)
  expect(current()).toEqual(['new', 'old', 'older'])
  replace(['newest', 'new'])
  clock.advance(DELAY - 1)
  replace(['other', 'newest', 'new'])
  clock.advance(DELAY - 1)
  expect(current()).toEqual(['new', 'other', 'newest'])
  clock.advance(1)
  expect(current()).toEqual(['other', 'newest', 'new'])
})

test('a successor that is taken back never acts', () => {
  const { clock, acted, replace, current } = begin('old')
  replace(['new', 'old'])
  replace(['old'])
  clock.advance(DELAY)
  expect([current(), acted]).toEqual([['old'], []])
})

test('what acted in an earlier process goes on', () => {
  const { clock, acted, resume, current } = begin('new', 'old')
  resume('old')
  expect([current(), acted]).toEqual([['old', 'new'], []])
  clock.advance(DELAY)
  expect([current(), acted]).toEqual([['new', 'old'], ['old']])
})
