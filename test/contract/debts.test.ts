/** Every place where processes have their debts in common: time pays them, and nothing is lost between two who add at once. */
import { keyRingsOf } from '../support/key-rings.ts'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { createDebts } from '../../src/lib/debts.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { openPostgresStore } from '../../src/store/postgres.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import type { Owe, Store } from '../../src/types.ts'
import { hasPostgres, type Postgres, postgresConfig, startPostgres } from '../support/postgres.ts'
import { askRedis, type Redis, redisConfig, startRedis } from '../support/redis.ts'

const deps = { keyRings: keyRingsOf('a secret of the tests'), clock: systemClock, logger: silentLogger }
const opened: Store[] = []
let redis: Redis
let postgres: Postgres | undefined
beforeAll(async () => {
  redis = await startRedis()
  if (hasPostgres) postgres = await startPostgres()
})
afterAll(async () => {
  for (const store of opened) await store.close()
  await redis.close()
  await postgres?.close()
})

function kept(store: Store): Owe {
  opened.push(store)
  return store.owe ?? (() => Promise.reject(new Error('it has no debts')))
}

function contract(name: string, open: () => Promise<readonly [Owe, Owe]>): void {
  describe(name, () => {
    test('what two processes add is owed together, each debt for itself', async () => {
      const [one, other] = await open()
      const more = 600_000
      const most = 10_000_000
      await one([{ key: 'a', more, most }])
      const [b, a] = await other([
        { key: 'b', more: 1000, most },
        { key: 'a', more, most },
      ])
      expect(a).toBeLessThanOrEqual(2 * more)
      expect(a).toBeGreaterThan(2 * more - 60_000)
      expect(b).toBeGreaterThan(0)
      expect(b).toBeLessThanOrEqual(1000)
    })

    test('of many who add at once none is lost', async () => {
      const [one, other] = await open()
      const add = { key: 'a', more: 100_000, most: 100_000_000 }
      const spare = { key: 'z', more: 1, most: 1000 }
      await Promise.all(Array.from({ length: 40 }, (_, i) => (i % 2 ? one([add, spare]) : other([spare, add]))))
      const [owed] = await one([{ ...add, more: 0 }])
      expect(owed).toBeLessThanOrEqual(4_000_000)
      expect(owed).toBeGreaterThan(3_940_000)
    })

    test('time pays, and no more is owed than the most', async () => {
      const [one] = await open()
      expect((await one([{ key: 'a', more: 10_000, most: 80 }]))[0]).toBeLessThanOrEqual(80)
      await expect
        .poll(async () => {
          await wait(20)
          return (await one([{ key: 'a', more: 0, most: 80 }]))[0]
        })
        .toBeLessThanOrEqual(1)
      expect((await one([{ key: 'a', more: 30, most: 80 }]))[0]).toBeLessThanOrEqual(31)
    })

    test('nothing is nothing', async () => {
      expect(await (await open())[0]([])).toEqual([])
    })
  })
}

contract('the memory of a primary', async () => {
  const debts = createDebts({ clock: systemClock })
  return [debts, debts]
})

contract('Redis', async () => {
  const config = redisConfig(redis.port)
  return [kept(await openRedisStore({ ...deps, config })), kept(await openRedisStore({ ...deps, config }))]
})

test('Redis holds nothing by which an address could be known, and nothing that is paid', async () => {
  const config = redisConfig(redis.port)
  const owe = kept(await openRedisStore({ ...deps, config }))
  await owe([{ key: 'client 192.0.2.7', more: 60_000, most: 60_000 }])
  const keys = await askRedis(redis.port, 'KEYS', `{${config.prefix}}d:*`)
  expect(keys).toMatch(/d:[\w-]{43}\r\n/)
  expect(keys).not.toContain('192.0.2.7')
  await owe([{ key: 'client 192.0.2.8', more: 1, most: 60_000 }])
  await expect.poll(() => askRedis(redis.port, 'KEYS', `{${config.prefix}}d:*`)).toMatch(/^\*1\r\n/)
})

describe.skipIf(!hasPostgres)('with PostgreSQL (apt-get install postgresql)', () => {
  contract('PostgreSQL', async () => {
    const config = postgresConfig(postgres?.port ?? 0)
    return [kept(await openPostgresStore({ ...deps, config })), kept(await openPostgresStore({ ...deps, config }))]
  })
})

test('a memory that is full forgets who asked the longest ago', async () => {
  const owe = createDebts({ clock: systemClock, capacity: 2 })
  const add = (key: string) => ({ key, more: 600_000, most: 10_000_000 })
  await owe([add('a'), add('b')])
  await owe([add('a')])
  await owe([add('c')])
  const [a, b] = await owe([add('a'), add('b')])
  expect(a).toBeGreaterThan(1_700_000)
  expect(b).toBeLessThanOrEqual(600_000)
})
