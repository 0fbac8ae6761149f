import { expect, test } from 'vitest'
import { createSessionCount } from '../../../src/session/count.ts'
import { manualClock } from '../../support/clock.ts'

test('the store counts once a minute at the most, however many look, and again after a failure', async () => {
  const clock = manualClock()
  let asked = 0
  let broken = false
  const count = createSessionCount({
    clock,
    store: { count: async () => (broken ? Promise.reject(new Error('away')) : ++asked) },
  })
  expect(await Promise.all([count(), count(), count()])).toEqual([1, 1, 1])
  clock.advance(59_000)
  expect(await count()).toBe(1)
  clock.advance(1000)
  broken = true
  await expect(count()).rejects.toThrow('away')
  broken = false
  expect(await count()).toBe(2)
})
