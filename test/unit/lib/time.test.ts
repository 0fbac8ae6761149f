import { expect, test } from 'vitest'
import { earlier, elapsed, later, latest, monotonicTime, sourceTime, wallTime } from '../../../src/lib/time.ts'

const wall = wallTime(2000)
const monotonic = monotonicTime(2000)
const source = sourceTime(2000)

test('instants of one clock compare, and what lies between them is a span', () => {
  expect(wall < later(wall, 1)).toBe(true)
  expect(later(source, 5) > source).toBe(true)
  expect(elapsed(later(monotonic, 40), monotonic) * 2).toBe(80)
  expect(latest(earlier(wall, 1), wall)).toBe(wall)
})

test('instants of two clocks neither compare nor subtract: the compiler refuses', () => {
  const refused = (): readonly unknown[] => [
    // @ts-expect-error two clocks
    wall < monotonic,
    // @ts-expect-error two clocks
    source > wall,
    // @ts-expect-error two clocks
    monotonic <= source,
    // @ts-expect-error two clocks
    wall === source,
    // @ts-expect-error two clocks
    elapsed(wall, monotonic),
    // @ts-expect-error two clocks
    elapsed(source, wall),
    // @ts-expect-error two clocks
    latest(monotonic, source),
    // @ts-expect-error no arithmetic that forgets the clock
    wall - wall,
    // @ts-expect-error no arithmetic that forgets the clock
    monotonic + 1,
  ]
  expect(refused).toBeTypeOf('function')
})
