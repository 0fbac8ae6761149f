import { expect, test } from 'vitest'
import { createDeadlines } from '../../../src/lib/deadlines.ts'
import { manualClock } from '../../support/clock.ts'

function world() {
  const clock = manualClock()
  let timers = 0
  const counting = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (delay: number, run: () => void) => (timers++, clock.after(delay, run)),
  }
  return { clock, deadlines: createDeadlines(counting), timers: () => timers, expired: [] as string[] }
}

test('each deadline expires after its own span, in order', () => {
  const { clock, deadlines, expired } = world()
  deadlines.start(100, () => expired.push('a'))
  deadlines.start(50, () => expired.push('short'))
  clock.advance(30)
  deadlines.start(100, () => expired.push('b'))
  clock.advance(69)
  expect(expired).toEqual(['short'])
  clock.advance(1)
  expect(expired).toEqual(['short', 'a'])
  clock.advance(30)
  expect(expired).toEqual(['short', 'a', 'b'])
})

test('touch starts the span again; a stopped deadline and a span of 0 never expire', () => {
  const { clock, deadlines, expired } = world()
  const touched = deadlines.start(100, () => expired.push('touched'))
  deadlines.start(100, () => expired.push('stopped')).stop()
  deadlines.start(0, () => expired.push('zero'))
  clock.advance(60)
  touched.touch()
  clock.advance(99)
  expect(expired).toEqual([])
  clock.advance(1)
  expect(expired).toEqual(['touched'])
  touched.touch()
  clock.advance(1000)
  expect(expired).toEqual(['touched'])
})

test('a deadline that starts while others expire expires, too', () => {
  const { clock, deadlines, expired } = world()
  deadlines.start(100, () => deadlines.start(100, () => expired.push('later')))
  clock.advance(100)
  clock.advance(100)
  expect(expired).toEqual(['later'])
})

test('a thousand deadlines use one timer', () => {
  const { deadlines, timers } = world()
  for (let i = 0; i < 1000; i++) deadlines.start(100, () => {}).stop()
  expect(timers()).toBe(1)
})
