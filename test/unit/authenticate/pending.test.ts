import { keyRingsOf } from '../../support/key-rings.ts'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { expect, test } from 'vitest'
import { createPendingSeal, type Pending } from '../../../src/authenticate/pending.ts'
import { hasOurForm } from '../../../src/lib/cookie-form.ts'
import { deriveKey } from '../../../src/lib/crypto.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { wallTime } from '../../../src/lib/time.ts'

const [OLD, NEW] = [new Secret('one'.repeat(11)), new Secret('two'.repeat(11))]
const NOW = wallTime(1_000_000)
const HEADER = { alg: 'dir', enc: 'A256GCM', typ: 'postern-sign-in' }
const pending: Pending = {
  state: 'state',
  nonce: 'nonce',
  codeVerifier: 'verifier',
  returnTo: 'https://app.corp.example/ä?q=1',
  provider: 'default',
  expiresAt: wallTime(1_000_001),
}
const seal = createPendingSeal(keyRingsOf(OLD))
const keyOf = (secret: Secret): Buffer => deriveKey(secret.reveal(), 'pending-sign-in')
const byJose = (header: object, value: unknown = pending, key: Uint8Array = keyOf(OLD)): Promise<string> =>
  new CompactEncrypt(new TextEncoder().encode(JSON.stringify(value)))
    .setProtectedHeader(header as typeof HEADER)
    .encrypt(key)

test('what is sealed is a JWE that jose opens, of our form, and never twice the same', async () => {
  const sealed = seal.seal(pending)
  const { plaintext, protectedHeader } = await compactDecrypt(sealed, keyOf(OLD))
  expect(JSON.parse(new TextDecoder().decode(plaintext))).toEqual(pending)
  expect(protectedHeader).toEqual(HEADER)
  expect(hasOurForm(sealed)).toBe(true)
  expect(seal.seal(pending)).not.toBe(sealed)
})

test('a JWE of jose with our header and key is opened, until the sign-in has expired', async () => {
  const sealed = await byJose(HEADER)
  expect(seal.open(sealed, NOW)).toEqual(pending)
  expect(seal.open(sealed, pending.expiresAt)).toBeUndefined()
})

test('a key before the first opens, and does not seal', async () => {
  const rotated = createPendingSeal(keyRingsOf(NEW, OLD))
  expect(rotated.open(seal.seal(pending), NOW)).toEqual(pending)
  expect(seal.open(rotated.seal(pending), NOW)).toBeUndefined()
})

test('a change of any character is noticed', () => {
  const sealed = seal.seal(pending)
  for (let at = 0; at < sealed.length; at++) {
    // The last character of a part may have bits that stand for nothing.
    const isLast = at + 1 === sealed.length || sealed[at + 1] === '.'
    const other = sealed[at] === '.' || isLast ? '*' : sealed[at] === 'A' ? 'B' : 'A'
    expect(seal.open(sealed.slice(0, at) + other + sealed.slice(at + 1), NOW)).toBeUndefined()
  }
})

test.each([
  ['a shorter tag', (parts: string[]) => [...parts.slice(0, 4), Buffer.alloc(4).toString('base64url')]],
  ['no tag', (parts: string[]) => parts.slice(0, 4)],
  [
    'a longer nonce',
    ([h = '', k = '', , ...rest]: string[]) => [h, k, Buffer.alloc(16).toString('base64url'), ...rest],
  ],
  ['an encrypted key', ([h = '', , ...rest]: string[]) => [h, 'AAAA', ...rest]],
  ['one part more', (parts: string[]) => [...parts, 'AAAA']],
])('%s is not opened', (_, change) => {
  expect(seal.open(change(seal.seal(pending).split('.')).join('.'), NOW)).toBeUndefined()
})

test('nothing but what we seal is opened, whatever its header asks for', async () => {
  expect(seal.open(await byJose({ alg: 'dir', enc: 'A256GCM' }), NOW)).toBeUndefined()
  expect(seal.open(await byJose({ ...HEADER, zip: undefined, kid: 'x' }), NOW)).toBeUndefined()
  expect(seal.open(await byJose(HEADER, { ...pending, provider: 1 }), NOW)).toBeUndefined()
  expect(seal.open(await byJose(HEADER, pending, keyOf(NEW)), NOW)).toBeUndefined()
  expect(seal.open('', NOW)).toBeUndefined()
})
