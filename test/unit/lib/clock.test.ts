import * as fc from 'fast-check'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { createWallClock, every, systemClock } from '../../../src/lib/clock.ts'
import { manualClock } from '../../support/clock.ts'

const HOUR = 3_600_000
const START = Date.UTC(2026, 10, 20, 12)

/** A machine: its time passes, its clock steps, it sleeps. */
function machine() {
  let passed = 0
  let stepped = 0
  let slept = 0
  const clock = createWallClock({
    wall: () => START + passed + slept + stepped,
    monotonic: () => passed,
    uptime: () => 5000 + passed + slept,
  })
  return {
    now: () => Number(clock.now()) - START,
    pass(time: number) {
      for (let left = time; left > 0; left -= 1000) {
        passed += Math.min(left, 1000)
        clock.now()
      }
    },
    step: (by: number) => void (stepped += by),
    sleep: (time: number) => void (slept += time),
    drift: (by: number) => void (stepped += by),
  }
}

describe('the wall clock of a process', () => {
  test.each([HOUR, -HOUR, 48 * HOUR])(
    'does not show a step of %i ms, and follows it by a tenth of what passes',
    (by) => {
      const of = machine()
      of.pass(10_000)
      of.step(by)
      of.pass(1000)
      expect(Math.abs(of.now() - 11_000)).toBeLessThanOrEqual(200)
      of.pass(600_000)
      expect(of.now()).toBeCloseTo(611_000 + Math.sign(by) * 60_100, -3)
      of.pass(24 * 20 * HOUR)
      expect(of.now()).toBe(611_000 + 24 * 20 * HOUR + by)
    },
  )

  test('counts the sleep of the machine at once', () => {
    const of = machine()
    of.pass(10_000)
    of.sleep(8 * HOUR)
    of.pass(1000)
    expect(of.now()).toBe(11_000 + 8 * HOUR)
  })

  test('follows what the two clocks drift apart', () => {
    const of = machine()
    for (let hour = 0; hour < 50; hour++) {
      of.drift(100)
      of.pass(60_000)
      expect(of.now()).toBe((hour + 1) * 60_000 + (hour + 1) * 100)
    }
  })

  test('never goes back by more than it may follow, whatever the system says', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: -HOUR, max: HOUR }), fc.nat(5000)), { maxLength: 20 }),
        (events) => {
          const of = machine()
          for (const [step, time] of events) {
            const before = of.now()
            of.step(step)
            of.pass(time)
            expect(of.now() - before).toBeGreaterThanOrEqual(Math.min(0, time - 1000 - time * 0.1 - 1))
            expect(of.now() - before).toBeLessThanOrEqual(time + 1000 + 5000 * 0.1 + 1)
          }
        },
      ),
    )
  })
})

describe('what is done at intervals', () => {
  test('is done at their full multiples, so that a process wakes once for all of them', () => {
    const clock = manualClock(10_400)
    const done: string[] = []
    const stops = [1000, 5000].map((interval) =>
      every(clock, interval, () => void done.push(`${interval} at ${clock.monotonic()}`)),
    )
    clock.advance(5000)
    expect(done).toEqual([
      '1000 at 11000',
      '1000 at 12000',
      '1000 at 13000',
      '1000 at 14000',
      '5000 at 15000',
      '1000 at 15000',
    ])
    for (const stop of stops) stop()
    clock.advance(60_000)
    expect(done).toHaveLength(6)
  })

  test('comes a whole interval later after a timer that was early', () => {
    const clock = manualClock(10_000)
    const delays: number[] = []
    const early = {
      ...clock,
      after: (delay: number, run: () => void) => (delays.push(delay), clock.after(delay - 1, run)),
    }
    const stop = every(early, 1000, () => {})
    clock.advance(3000)
    stop()
    expect(delays).toEqual([1000, 1001, 1001, 1001])
  })
})

test('what is due in a month is not due at once', () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const month = 30 * 86_400_000
  let runs = 0
  systemClock.after(month, () => runs++)
  const stop = systemClock.after(2 * month, () => runs++)
  vi.advanceTimersByTime(month - 1)
  expect(runs).toBe(0)
  vi.advanceTimersByTime(1)
  expect(runs).toBe(1)
  stop()
  vi.advanceTimersByTime(2 * month)
  expect(runs).toBe(1)
})
