import { expect, test } from 'vitest'
import { Secret } from '../../../src/lib/secret.ts'
import { checkStoreKey } from '../../../src/store/key-check.ts'
import { createMemoryStore } from '../../../src/store/memory.ts'
import { manualClock } from '../../support/clock.ts'

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
