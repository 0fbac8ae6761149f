import { keyRingsOf } from '../../support/key-rings.ts'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger as logger } from '../../../src/lib/log.ts'
import { createKeyRings, type KeyRings } from '../../../src/lib/key-ring.ts'
import { later } from '../../../src/lib/time.ts'
import { fingerprint } from '../../../src/store/record.ts'
import type { Store, Table } from '../../../src/types.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { checkStoreKey, rememberStoreKey } from '../../../src/store/key-check.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { openRedisStore } from '../../../src/store/redis.ts'
import { manualClock } from '../../support/clock.ts'
import { askRedis, type Redis, redisConfig, startRedis } from '../../support/redis.ts'

const old = new Secret('old secret, 32 characters or more')
const next = new Secret('next secret, 32 characters or more')
const differs = {
  code: 'ERR_CONFIG_INVALID',
  message: expect.stringContaining('shared_secret differs from the one that wrote this store'),
}

test('the secret that wrote the store opens it again, another does not', async () => {
  const store = createMemoryStore({ clock: manualClock() })
  await checkStoreKey(store, keyRingsOf(old))
  await checkStoreKey(store, keyRingsOf(old))
  await expect(checkStoreKey(store, keyRingsOf(next))).rejects.toMatchObject(differs)
  await checkStoreKey(store, keyRingsOf(old, next))
  await store.close()
})

test('a rotation is followed: new before old, then new alone', async () => {
  const store = createMemoryStore({ clock: manualClock() })
  await checkStoreKey(store, keyRingsOf(old))
  expect(await checkStoreKey(store, keyRingsOf(next, old))).toBe(1)
  await rememberStoreKey(store, keyRingsOf(next, old))
  expect(await checkStoreKey(store, keyRingsOf(next))).toBe(0)
  await expect(checkStoreKey(store, keyRingsOf(old))).rejects.toMatchObject(differs)
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
    const join = async (...secrets: [Secret, ...Secret[]]) => {
      const keyRings = keyRingsOf(...secrets)
      const store = await openRedisStore({ config, keyRings, clock: systemClock, logger })
      try {
        await checkStoreKey(store, keyRings)
      } finally {
        await store.close()
      }
    }
    await join(old)
    await expect(join(next)).rejects.toMatchObject(differs)
    await join(old, next)
    await join(next, old)
    const store = await openRedisStore({ config, keyRings: keyRingsOf(next, old), clock: systemClock, logger })
    await rememberStoreKey(store, keyRingsOf(next, old))
    await store.close()
    await join(next)
    await expect(join(old)).rejects.toMatchObject(differs)
  })

  test('what an older secret sealed is sealed anew, as it was', async () => {
    const config = { ...redisConfig(redis.port), prefix: 'anew' }
    const people: Table<{ readonly team: string; readonly more: string }> = {
      name: 'people',
      parse: (value) => ({ team: 'none', more: '', ...(value as object) }),
      format: ({ team }) => ({ team }),
      index: ({ team }) => team,
    }
    // As a newer version would have written it.
    const newer: typeof people = { ...people, format: (value) => value }
    async function listed(from: Store, index?: string) {
      const found = []
      for await (const each of from.list(people, index)) found.push(each)
      return found
    }
    let secrets: readonly [Secret, ...Secret[]] = [old]
    const open = (keyRings: KeyRings) => openRedisStore({ config, keyRings, clock: systemClock, logger })
    const store = await open(createKeyRings(() => secrets))
    const expiresAt = later(systemClock.now(), 3_600_000)
    await store.put(newer, 'ann', { team: 'red', more: 'kept' }, { expiresAt })
    await store.put(newer, 'bob', { team: 'red', more: 'kept' })
    secrets = [next, old]
    await store.put(people, 'cyd', { team: 'blue', more: '' })
    const versions = async () => (await listed(store)).map(([key, { version }]) => [key, version])
    const [before] = (await versions()).filter(([key]) => key === 'cyd')
    await store.sealAnew?.(people)
    expect(await versions()).toContainEqual(before)
    const settled = await versions()
    await store.sealAnew?.(people)
    expect(await versions()).toEqual(settled)
    await store.close()

    const alone = await open(keyRingsOf(next))
    const red = (await listed(alone, 'red')).map(([key, { value }]) => [key, value])
    expect(new Map(red as [string, object][])).toEqual(
      new Map([
        ['ann', { team: 'red', more: 'kept' }],
        ['bob', { team: 'red', more: 'kept' }],
      ]),
    )
    const ttl = await askRedis(redis.port, 'PTTL', `{anew}r:people:${fingerprint('ann')}`)
    expect(Number(/:(\d+)/.exec(ttl)?.[1])).toBeGreaterThan(3_500_000)
    await alone.close()
  })
})
