import { keyRingsOf } from '../support/key-rings.ts'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, beforeAll, describe } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { openLmdbStore } from '../../src/store/lmdb.ts'
import { createMemoryStore } from '../../src/store/memory.ts'
import { openPostgresStore } from '../../src/store/postgres.ts'
import { openRedisStore } from '../../src/store/redis.ts'
import { hasPostgres, type Postgres, postgresConfig, startPostgres } from '../support/postgres.ts'
import { type Redis, redisConfig, startRedis } from '../support/redis.ts'
import { storeContract } from './store.ts'

let redis: Redis
let postgres: Postgres | undefined
beforeAll(async () => {
  redis = await startRedis()
  if (hasPostgres) postgres = await startPostgres()
})
afterAll(async () => {
  await redis.close()
  await postgres?.close()
})

storeContract('the memory store', (clock) => {
  const store = createMemoryStore({ clock })
  return { store, peer: store, tidy() {} }
})

storeContract('the lmdb store', (clock) => {
  const path = mkdtempSync(join(tmpdir(), 'postern-store-'))
  const open = () => openLmdbStore({ path, clock, logger: silentLogger })
  return { store: open(), peer: open(), tidy: () => rmSync(path, { recursive: true }) }
})

storeContract('the Redis store', async (clock) => {
  const config = redisConfig(redis.port)
  const keyRings = keyRingsOf('a secret of the tests')
  // The other end is real: waiting takes real time.
  const deps = { config, keyRings, clock: { ...systemClock, now: () => clock.now() }, logger: silentLogger }
  return { store: await openRedisStore(deps), peer: await openRedisStore(deps), pass: (by) => wait(by), tidy() {} }
})

describe.skipIf(!hasPostgres)('with PostgreSQL (apt-get install postgresql)', () => {
  storeContract('the PostgreSQL store', async (clock) => {
    const config = postgresConfig(postgres?.port ?? 0)
    const keyRings = keyRingsOf('a secret of the tests')
    const deps = { config, keyRings, clock: { ...systemClock, now: () => clock.now() }, logger: silentLogger }
    return {
      store: await openPostgresStore(deps),
      peer: await openPostgresStore(deps),
      pass: (by) => wait(by),
      tidy() {},
    }
  })
})
