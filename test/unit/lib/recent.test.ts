import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { createRecent } from '../../../src/lib/recent.ts'

test('get gives the last value set; the most recent half of the capacity is always kept', () => {
  const key = fc.nat(12).map(String)
  const operation = fc.oneof(
    fc.record({ do: fc.constant('set' as const), key, value: fc.nat() }),
    fc.record({ do: fc.constantFrom('get' as const, 'delete' as const), key }),
  )
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
      const recent = createRecent<string, number>(8)
      const values = new Map<string, number>()
      /** What was used last and not deleted since; what once fell out of it may be gone, and a deletion brings nothing back. */
      let lately: readonly string[] = []
      for (const op of operations) {
        lately = lately.filter((each) => each !== op.key)
        if (op.do === 'delete') recent.delete(op.key)
        else if (op.do === 'set') {
          recent.set(op.key, op.value)
          recent.set(op.key, op.value)
          values.set(op.key, op.value)
        }
        const found = recent.get(op.key)
        if (op.do === 'delete') expect(found).toBeUndefined()
        if (op.do === 'set') expect(found).toBe(op.value)
        if (found !== undefined) {
          expect(found).toBe(values.get(op.key))
          lately = [...lately, op.key].slice(-4)
        }
        for (const held of lately) expect(recent.get(held)).toBe(values.get(held))
      }
    }),
  )
})

test('keeps no more than its capacity', () => {
  const recent = createRecent<number, number>(100)
  for (let i = 1; i <= 20_000; i++) recent.set(Math.ceil(i / 2), Math.ceil(i / 2))
  const held = Array.from({ length: 10_000 }, (_, i) => i + 1).filter((i) => recent.get(i) !== undefined)
  expect(held.length).toBeGreaterThanOrEqual(50)
  expect(held.length).toBeLessThanOrEqual(100)
})

test('keeps nothing after clear', () => {
  const recent = createRecent<string, number>(2)
  for (const key of ['a', 'b', 'c']) recent.set(key, 1)
  recent.clear()
  expect(['a', 'b', 'c'].map((key) => recent.get(key))).toEqual([undefined, undefined, undefined])
})

test('does not keep a key that is used once, or again much later', () => {
  const recent = createRecent<string, number>(100)
  recent.set('a', 1)
  expect(recent.get('a')).toBeUndefined()
  recent.set('a', 2)
  expect(recent.get('a')).toBe(2)
  recent.set('b', 1)
  recent.turn()
  recent.set('b', 2)
  expect(recent.get('b')).toBeUndefined()
  recent.delete('b')
  recent.set('b', 3)
  expect(recent.get('b')).toBeUndefined()
})

test('forgets a key that is not used between two turns', () => {
  const recent = createRecent<string, number>(100)
  for (const key of ['used', 'idle', 'used', 'idle']) recent.set(key, 1)
  recent.turn()
  expect(recent.get('used')).toBe(1)
  recent.turn()
  expect(recent.get('used')).toBe(1)
  expect(recent.get('idle')).toBeUndefined()
})
