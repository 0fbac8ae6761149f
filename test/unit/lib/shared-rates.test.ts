import { describe, expect, test } from 'vitest'
import { createDebts } from '../../../src/lib/debts.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { type Rate, RateLimiter } from '../../../src/lib/rate-limiter.ts'
import { createSharedRates } from '../../../src/lib/shared-rates.ts'
import type { Owe } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'

/** Processes with one store, which counts its calls and may be away. */
function world(count: number) {
  const clock = manualClock(0)
  const debts = createDebts({ clock })
  const store = { calls: 0, entries: 0, away: false }
  const owe: Owe = async (asked) => {
    if (store.away) throw new Error('away')
    store.calls++
    store.entries += asked.length
    return debts(asked)
  }
  const warnings: string[] = []
  const logger = { ...silentLogger, warn: (_: object, message: string) => void warnings.push(message) }
  const processes = Array.from({ length: count }, () => {
    const shared = createSharedRates({ owe, clock, logger })
    return { limiter: new RateLimiter({ spent: shared.spent }), close: () => shared.close() }
  })
  const take = (process: number, rate: Rate, key = 'a'): boolean =>
    processes[process]?.limiter.take(key, rate, clock.monotonic()) === 0
  return { clock, store, processes, take, warnings }
}

/** How many of so many requests a second at each process pass, in so many seconds. */
async function flood(
  { clock, processes, take }: ReturnType<typeof world>,
  rate: Rate,
  perSecond: number,
  seconds: number,
): Promise<number> {
  let through = 0
  let due = 0
  for (let at = 0; at < 1000 * seconds; at += 10) {
    for (due += perSecond / 100; due >= 1; due--) processes.forEach((_, i) => (through += take(i, rate) ? 1 : 0))
    await clock.advanceAsync(10)
  }
  return through
}

const RATE = { perSecond: 20, burst: 1000 }

describe.each([1, 2, 4, 16])('%i processes', (count) => {
  test.each([
    ['far above the limit', 500],
    ['each a little below it', 19],
    ['each at half of it', 10],
    ['each at a quarter of it', 5],
  ])('let through what one would: %s', async (_, perSecond) => {
    const of = world(count)
    const through = await flood(of, RATE, perSecond, 30)
    const asked = count * perSecond * 30
    // One would: 20 in each of 30 seconds, and the burst.
    expect(through).toBeLessThanOrEqual(Math.min(asked, 1.3 * 20 * 30 + 20))
    expect(through).toBeGreaterThanOrEqual(Math.min(asked, 20 * 30) * 0.95)
  })
})

test('a client that goes from one process to the next gains nothing by it', async () => {
  const of = world(8)
  let through = 0
  for (let at = 0; at < 600_000; at += 50) {
    // As much as the next one lets through, then on.
    while (of.take((at / 50) % 8, RATE)) through++
    await of.clock.advanceAsync(50)
  }
  expect(through).toBeLessThanOrEqual(1.05 * 20 * 600)
})

test('a flood costs ten calls a second of each process, whatever is asked', async () => {
  const of = world(2)
  await flood(of, RATE, 2000, 10)
  expect(of.store.calls).toBeLessThanOrEqual(2 * 10 * 10 + 2)
  expect(of.store.entries).toBe(of.store.calls)
})

test('clients far below the limit cost few calls, and none of them is refused', async () => {
  const of = world(2)
  const rate = { perSecond: 20, burst: 5000 }
  let refused = 0
  for (let second = 0; second < 60; second++) {
    for (let client = 0; client < 50; client++) if (!of.take(client % 2, rate, `client ${client}`)) refused++
    await of.clock.advanceAsync(1000)
  }
  expect(refused).toBe(0)
  // A quarter of the requests in the batches, and no batch without any.
  expect(of.store.entries).toBeLessThanOrEqual((60 * 50) / 4)
})

test('while nobody answers each counts alone, and together again when somebody does', async () => {
  const of = world(2)
  of.store.away = true
  const alone = await flood(of, RATE, 100, 20)
  expect(alone).toBeLessThanOrEqual(2 * (20 * 20 + 21))
  expect(alone).toBeGreaterThanOrEqual(2 * 20 * 20)
  expect(new Set(of.warnings)).toEqual(new Set(['rate limits count for this process alone: others cannot be told']))
  of.store.away = false
  await flood(of, RATE, 100, 5)
  expect(await flood(of, RATE, 100, 20)).toBeLessThanOrEqual(1.3 * 20 * 20)
  expect(of.warnings).toHaveLength(2)
})

test('a store that has forgotten everything forgives nothing that is known here', async () => {
  const clock = manualClock(0)
  const shared = createSharedRates({ owe: async (debts) => debts.map(() => 0), clock, logger: silentLogger })
  const limiter = new RateLimiter({ spent: shared.spent })
  const take = () => limiter.take('a', RATE, clock.monotonic()) === 0
  for (let i = 0; i < 20; i++) take()
  await clock.advanceAsync(100)
  let more = 0
  for (let i = 0; i < 20; i++) more += take() ? 1 : 0
  expect(more).toBe(2)
})

test('an answer of nonsense, or one that owes for days, shuts nobody out for long', async () => {
  for (const owed of [Number.NaN, 864e5, Number.POSITIVE_INFINITY]) {
    const clock = manualClock(0)
    const shared = createSharedRates({ owe: async (debts) => debts.map(() => owed), clock, logger: silentLogger })
    const limiter = new RateLimiter({ spent: shared.spent })
    const take = () => limiter.take('a', RATE, clock.monotonic())
    expect(take()).toBe(0)
    await clock.advanceAsync(200)
    expect(take()).toBeLessThanOrEqual(26_000)
    await clock.advanceAsync(26_000)
    expect(take()).toBe(0)
    shared.close()
  }
})

test('when it is closed nothing is asked any more', async () => {
  const of = world(1)
  of.take(0, RATE)
  of.processes[0]?.close()
  await of.clock.advanceAsync(10_000)
  of.take(0, RATE)
  await of.clock.advanceAsync(10_000)
  expect(of.store.calls).toBe(0)
})
