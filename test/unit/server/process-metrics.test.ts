import perfHooks from 'node:perf_hooks'
import { afterAll, expect, test, vi } from 'vitest'
import { observeProcess } from '../../../src/server/process-metrics.ts'

const watched = vi.spyOn(perfHooks, 'monitorEventLoopDelay')
const read = observeProcess('postern_')
const lags = async () =>
  new Map(
    (await read())
      .filter(({ name }) => name.includes('_eventloop_lag_'))
      .flatMap(({ name, samples }) => samples.map(({ value }) => [name, value] as const)),
  )
/** The histogram looks while the loop turns. */
const awake = setInterval(() => {}, 20)
afterAll(() => clearInterval(awake))

test('the event loop is looked at five times a second, and its lag does not hold the time between two looks', async () => {
  expect(watched.mock.calls).toEqual([[{ resolution: 200 }]])
  const looks = new Set<number>()
  await expect
    .poll(
      async () => {
        const min = (await lags()).get('postern_nodejs_eventloop_lag_min_seconds')
        if (min !== undefined) looks.add(min)
        return looks.size
      },
      { interval: 250, timeout: 20_000 },
    )
    .toBeGreaterThan(2)
  expect(Math.min(...looks)).toBeLessThan(0.19)
})

test('between a scrape and the next look nothing is said of the lag', async () => {
  await lags()
  for (const value of (await lags()).values()) expect(value).toBeLessThan(1e6)
})
