import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger as logger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { checkStoreKey } from '../../../src/store/key-check.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { openRedisStore } from '../../../src/store/redis.ts'
import { manualClock } from '../../support/clock.ts'
import { type Redis, redisConfig, startRedis } from '../../support/redis.ts'

const old = new Secret('old secret, 32 characters or more')
const next = new Secret('next secret, 32 characters or more')
const differs = {
  code: 'ERR_CONFIG_INVALID',
  message: expect.stringContaining('shared_secret differs from the one that wrote this store'),
}

test('the secret that wrote the store opens it again, another does not', async () => {
  const store = createMemoryStore({ clock: manualClock() })
  await checkStoreKey(store, [old])
  await checkStoreKey(store, [old])
  await expect(checkStoreKey(store, [next])).rejects.toMatchObject(differs)
  await checkStoreKey(store, [old, next])
  await store.close()
})

test('a rotation is followed: new before old, then new alone', async () => {
  const store = createMemoryStore({ clock: manualClock() })
  await checkStoreKey(store, [old])
  await checkStoreKey(store, [next, old])
  await checkStoreKey(store, [next])
  await expect(checkStoreKey(store, [old])).rejects.toMatchObject(differs)
  await store.close()
})

describe('in Redis, where another secret opens no record', () => {
  let redis: Redis
  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(() => redis.close())

  test('a replica with another secret does not join, and a rotation is followed', async () => {
    const config = redisConfig(redis.port)
    const join = async (...sharedSecrets: [Secret, ...Secret[]]) => {
      const store = await openRedisStore({ config, sharedSecrets, clock: systemClock, logger })
      try {
        await checkStoreKey(store, sharedSecrets)
      } finally {
        await store.close()
      }
    }
    await join(old)
    await expect(join(next)).rejects.toMatchObject(differs)
    await join(old, next)
    await join(next, old)
    await join(next)
    await expect(join(old)).rejects.toMatchObject(differs)
  })
})
