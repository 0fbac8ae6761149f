import { expect, test } from 'vitest'
import { AppError } from '../../src/errors.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { createRotation } from '../../src/rotation.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import type { Store } from '../../src/types.ts'
import { manualClock } from '../support/clock.ts'
import { keyRingsOf } from '../support/key-rings.ts'

const MINUTE = 60_000

/** A store of which the test decides when a table is sealed, and how that ends. */
function heldStore() {
  const clock = manualClock()
  const waiting: { readonly done: () => void; readonly fail: () => void }[] = []
  let most = 0
  let tables = 0
  const store: Store = {
    ...createMemoryStore({ clock }),
    async sealAnew() {
      tables++
      await new Promise<void>((resolve, reject) => {
        waiting.push({ done: resolve, fail: () => reject(new AppError('ERR_STORE_UNAVAILABLE', 'the server is away')) })
        most = Math.max(most, waiting.length)
      }).finally(() => waiting.shift())
    },
  }
  let sealed = 0
  const told: string[] = []
  const rotation = createRotation({
    fixed: { idps: [] as never },
    store,
    credentials: { keptRings: keyRingsOf('a secret of 32 characters or more'), sealedAnew: () => void sealed++ },
    clock,
    logger: { ...silentLogger, warn: (_: unknown, message: string) => void told.push(message) },
  })
  /** Until one table waits to be sealed. */
  const next = () => expect.poll(() => waiting.length).toBeGreaterThan(0)
  async function untilSealed(times: number): Promise<void> {
    await expect
      .poll(
        () => {
          waiting[0]?.done()
          return sealed
        },
        { interval: 1 },
      )
      .toBe(times)
  }
  return { clock, store, rotation, waiting, told, next, untilSealed, counts: () => ({ most, tables, sealed }) }
}

test('many changes while all that is kept is sealed anew: one after the other, and once more', async () => {
  const { store, rotation, next, untilSealed, counts } = heldStore()
  rotation.follow()
  rotation.follow()
  await untilSealed(1)
  const { tables } = counts()
  rotation.follow()
  await next()
  for (let i = 0; i < 50; i++) rotation.follow()
  await untilSealed(2)
  expect(counts()).toEqual({ most: 1, tables: 3 * tables, sealed: 2 })
  rotation.close()
  await store.close()
})

test('a server that is away is asked again after a minute, and not after the end', async () => {
  const { clock, store, rotation, waiting, told, next, untilSealed, counts } = heldStore()
  rotation.follow()
  await next()
  waiting[0]?.fail()
  await expect.poll(() => told).toHaveLength(1)
  expect(counts()).toEqual({ most: 1, tables: 1, sealed: 0 })
  clock.advance(MINUTE)
  await untilSealed(1)
  const { tables } = counts()
  rotation.follow()
  await next()
  rotation.close()
  waiting[0]?.fail()
  await expect.poll(() => waiting).toHaveLength(0)
  clock.advance(MINUTE)
  expect(counts()).toMatchObject({ tables: tables + 1, sealed: 1 })
  await store.close()
})
