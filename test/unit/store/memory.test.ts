import { expect, test } from 'vitest'
import { createMemoryStore } from '../../../src/store/memory.ts'
import type { Table } from '../../../src/types.ts'
import { manualClock } from '../../support/clock.ts'

const words: Table<string> = { name: 'words', parse: (value) => (typeof value === 'string' ? value : undefined) }

test('a full memory store refuses new records, keeps the old ones and takes what expiry frees', async () => {
  const clock = manualClock()
  const store = createMemoryStore({ clock, capacity: 2 })
  await store.put(words, 'a', 'one', { expiresAt: clock.now() + 10 })
  await store.put(words, 'b', 'two')
  const full = { code: 'ERR_STORE_UNAVAILABLE', message: 'store: it is full (2 records)' }
  await expect(store.put(words, 'c', 'three')).rejects.toMatchObject(full)
  expect(await store.put(words, 'b', 'changed')).toBe(true)
  expect((await store.get(words, 'a'))?.value).toBe('one')
  clock.advance(10)
  expect(await store.put(words, 'c', 'three')).toBe(true)
  await expect(store.put(words, 'd', 'four')).rejects.toMatchObject(full)
  await store.close()
})
