import { createSecretKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { fingerprint } from '../../../src/lib/fingerprint.ts'
import { Secret } from '../../../src/lib/secret.ts'

test('differs for values that differ, however alike JSON writes them', () => {
  const values = [
    {},
    { at: null },
    { at: Number.NaN },
    { at: Number.POSITIVE_INFINITY },
    { at: Number.NEGATIVE_INFINITY },
    { at: 0 },
    { at: '0' },
    { at: [] },
    { at: new Map([['a', 1]]) },
    { at: new Map([['a', 2]]) },
    { at: new Set(['a']) },
    { at: new Secret('a') },
    { at: new Secret('b') },
    { at: '[secret]' },
    { at: Buffer.from('a') },
    { at: Buffer.from('b') },
    { at: new URL('http://a.test/') },
    { at: new URL('http://b.test/') },
    { at: new Date(0) },
    { at: { pattern: 'a', test: () => true } },
    { at: { pattern: 'b', test: () => true } },
  ]
  expect(new Set(values.map(fingerprint)).size).toBe(values.length)
  expect(fingerprint({ at: new Map([['a', new Secret('b')]]) })).toBe(
    fingerprint({ at: new Map([['a', new Secret('b')]]) }),
  )
})

test.each([
  ['an expression', /a/],
  ['bytes that are no Buffer', new Uint8Array(2)],
  ['a key', createSecretKey(Buffer.from('a'))],
  ['a weak map', new WeakMap()],
])('refuses %s, of which it sees nothing', (_, at) => {
  expect(() => fingerprint({ at: [at] })).toThrow(TypeError)
})
