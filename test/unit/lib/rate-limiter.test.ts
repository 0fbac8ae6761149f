import { expect, test } from 'vitest'
import { type Rate, RateLimiter } from '../../../src/lib/rate-limiter.ts'
import { monotonicTime } from '../../../src/lib/time.ts'

/** How many of `count` are let through at this instant. */
function passed(limiter: RateLimiter, rate: Rate, key: string, at: number, count: number): number {
  const take = (): number => limiter.take(key, rate, monotonicTime(at))
  return Array.from({ length: count }, take).filter((wait) => wait === 0).length
}

test('a burst at once, then the rate, for each key alone', () => {
  const limiter = new RateLimiter()
  const rate = { perSecond: 10, burst: 2000 }
  expect(passed(limiter, rate, 'a', 0, 100)).toBe(20)
  expect(passed(limiter, rate, 'b', 0, 5)).toBe(5)
  expect(passed(limiter, rate, 'a', 100, 100)).toBe(1)
  expect(passed(limiter, rate, 'a', 1100, 100)).toBe(10)
  expect(passed(limiter, rate, 'b', 1100, 100)).toBe(20)
  expect(passed(limiter, rate, 'a', 60_000, 100)).toBe(20)
})

test('over any time no more than the burst and the rate', () => {
  const limiter = new RateLimiter()
  const rate = { perSecond: 7, burst: 1500 }
  let through = 0
  for (let at = 0; at <= 30_000; at += 13) through += passed(limiter, rate, 'a', at, 3)
  expect(through).toBeLessThanOrEqual(7 * 30 + 11)
  expect(through).toBeGreaterThan(7 * 30)
})

test('says when to come again, and means it; asking in vain costs nothing', () => {
  const limiter = new RateLimiter()
  const rate = { perSecond: 0.5, burst: 0 }
  expect(limiter.take('a', rate, monotonicTime(0))).toBe(0)
  expect(limiter.take('a', rate, monotonicTime(500))).toBe(1500)
  for (let i = 0; i < 100; i++) limiter.take('a', rate, monotonicTime(600))
  expect(limiter.take('a', rate, monotonicTime(1999))).toBe(1)
  expect(limiter.take('a', rate, monotonicTime(2000))).toBe(0)
})

test('keeps no more keys than it may, and who goes on is never forgotten', () => {
  const limiter = new RateLimiter({ capacity: 100 })
  const rate = { perSecond: 1, burst: 5000 }
  expect(passed(limiter, rate, 'busy', 0, 10)).toBe(5)
  let busy = 0
  for (let i = 0; i < 10_000; i++) {
    limiter.take(`other ${i}`, rate, monotonicTime(i / 10))
    // A token a second, once the burst is gone.
    if (i % 50 === 0) busy += passed(limiter, rate, 'busy', i / 10, 1)
  }
  const kept = limiter as unknown as { young: Map<string, unknown>; old: Map<string, unknown> }
  expect(kept.young.size + kept.old.size).toBeLessThanOrEqual(201)
  expect(busy).toBeLessThanOrEqual(1)
})

test('another rate for the same key counts what was spent before', () => {
  const limiter = new RateLimiter()
  expect(passed(limiter, { perSecond: 10, burst: 2000 }, 'a', 0, 100)).toBe(20)
  expect(passed(limiter, { perSecond: 20, burst: 2000 }, 'a', 0, 100)).toBe(0)
  expect(passed(limiter, { perSecond: 20, burst: 2000 }, 'a', 1000, 100)).toBe(20)
})
