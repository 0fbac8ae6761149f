import { createHash, createHmac, randomBytes } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { deriveKey, mac, randomId, sha256 } from '../../../src/lib/crypto.ts'

const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }), fc.string({ minLength: 200, maxLength: 3000 }))

describe('mac', () => {
  test('is HMAC-SHA256 (RFC 2104) over its parts with their lengths, as node:crypto makes it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 64 }), fc.array(text, { maxLength: 5 }), (key, parts) => {
        const hmac = createHmac('sha256', key)
        for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part)
        const expected = hmac.digest('base64url')
        // With what was prepared for the key and with what was prepared before.
        expect([mac(key, ...parts), mac(key, ...parts)]).toEqual([expected, expected])
      }),
      { numRuns: 500 },
    )
  })

  test('takes no two lists of parts for one, and no key for another', () => {
    const [key, other] = [deriveKey('secret', 'a'), deriveKey('secret', 'b')]
    const all = [mac(key, 'a', 'b'), mac(key, 'ab'), mac(key, 'ab', ''), mac(key, '', 'ab'), mac(other, 'ab'), mac(key)]
    expect(new Set(all).size).toBe(all.length)
  })

  test('refuses a key that HMAC would shorten first', () => {
    expect(() => mac(randomBytes(65), 'a')).toThrow(TypeError)
  })
})

test('sha256 is the digest of the bytes of a text, or of bytes', () => {
  fc.assert(
    fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 200 })), (input) => {
      expect(sha256(input)).toBe(createHash('sha256').update(input).digest('base64url'))
    }),
  )
})

test.each([64, 128, 192, 256])('ids of %i bits are never given twice, more of them than are drawn ahead', (bits) => {
  const ids = Array.from({ length: 2000 }, () => randomId(bits))
  expect(new Set(ids).size).toBe(2000)
  const bytes = ids.map((id) => Buffer.from(id, 'base64url'))
  expect(bytes.every(({ length }) => length === bits / 8)).toBe(true)
  // No byte of any of them is erased memory: each position has all kinds of values.
  for (let at = 0; at < bits / 8; at++) expect(new Set(bytes.map((id) => id[at])).size).toBeGreaterThan(200)
})
