import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import type { Keys } from '../../../src/config/model.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Clock } from '../../../src/types.ts'
import { type AssertionSigner, createAssertionSigner } from '../../../src/upstream/assertion.ts'
import { manualClock } from '../../support/clock.ts'

const SHARED = [new Secret('one'.repeat(11))] as const
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' | 'pkcs1'): string =>
  key.export({ type, format: 'pem' } as never).toString()
const create = (keys: Keys, clock: Pick<Clock, 'after'> = manualClock()) =>
  createAssertionSigner({ keys, settling: 600_000, clock })
const signerOf = (...keys: string[]) =>
  create({ signingKeys: keys.map((key) => new Secret(key)), sharedSecrets: [...SHARED] })

test.each([
  ['EC, PKCS8', pem(ec, 'pkcs8'), 'ES256'],
  ['EC, SEC1', pem(ec, 'sec1'), 'ES256'],
  ['RSA, PKCS8', pem(rsa, 'pkcs8'), 'RS256'],
  ['RSA, PKCS1', pem(rsa, 'pkcs1'), 'RS256'],
  ['base64 of a PEM', Buffer.from(pem(ec, 'pkcs8')).toString('base64'), 'ES256'],
  [
    'with text around it',
    `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${pem(ec, 'sec1')}`,
    'ES256',
  ],
])('%s signs what the published key verifies', async (_, key, alg) => {
  const signer = signerOf(key)
  const jwks = (await signer.jwks()) as unknown as JSONWebKeySet
  const { payload, protectedHeader } = await jwtVerify(await signer.sign({ sub: 'x' }), createLocalJWKSet(jwks))
  expect(payload).toEqual({ sub: 'x' })
  expect(protectedHeader).toEqual({ alg, typ: 'JWT', kid: jwks.keys[0]?.kid })
})

test('of several keys the first signs and all are published, none with a private member', async () => {
  const signer = signerOf(
    `${pem(ec, 'pkcs8')}${pem(rsa, 'pkcs8')}`,
    pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'sec1'),
  )
  const { keys } = (await signer.jwks()) as unknown as JSONWebKeySet
  expect(keys.map(({ kty, alg, use }) => [kty, alg, use])).toEqual([
    ['EC', 'ES256', 'sig'],
    ['RSA', 'RS256', 'sig'],
    ['EC', 'ES256', 'sig'],
  ])
  for (const key of keys) {
    expect(Object.keys(key).filter((member) => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k'].includes(member))).toEqual([])
    expect(key.kid).toBe(await calculateJwkThumbprint(key))
  }
  const [header = ''] = (await signer.sign({})).split('.')
  expect(JSON.parse(Buffer.from(header, 'base64url').toString())).toMatchObject({ kid: keys[0]?.kid })
})

test('without a key the shared secret gives one, the same in every process, another for every secret', async () => {
  const [first, second] = [new Secret('one'.repeat(11)), new Secret('two'.repeat(11))] as const
  const derived = async (...secrets: [Secret, ...Secret[]]) =>
    ((await create({ signingKeys: [], sharedSecrets: secrets }).jwks()) as unknown as JSONWebKeySet).keys
  expect(await derived(first)).toEqual(await derived(first))
  expect(await derived(second, first)).toEqual([...(await derived(second)), ...(await derived(first))])
  const [key] = await derived(first)
  expect(key).toMatchObject({ kty: 'EC', crv: 'P-256', kid: 'uHlI0SBuwOPgNE8oH3vm0qTb3h53W1V25CrbFbRpJ5U' })
  expect(() => createPublicKey({ key: key as never, format: 'jwk' })).not.toThrow()
})

test.each([
  ['not a key', 'hello', 'signing_key: key 1: expected an unencrypted PEM private key, plain or base64'],
  [
    'a broken PEM',
    '-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----',
    'signing_key: key 1: the PEM block cannot be read as a private key',
  ],
  [
    'another curve',
    pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey, 'pkcs8'),
    'signing_key: key 1: expected EC P-256, or RSA of at least 2048 bits',
  ],
  [
    'a short RSA key',
    pem(generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey, 'pkcs8'),
    'signing_key: key 1: expected EC P-256, or RSA of at least 2048 bits',
  ],
  [
    'Ed25519',
    pem(generateKeyPairSync('ed25519').privateKey, 'pkcs8'),
    'signing_key: key 1: expected EC P-256, or RSA of at least 2048 bits',
  ],
])('%s is an error of the configuration', (_, key, message) => {
  expect(() => signerOf(key)).toThrow(expect.objectContaining({ code: 'ERR_CONFIG_INVALID', message }))
})

const MINUTE = 60_000
const kidsOf = async (signer: AssertionSigner) =>
  ((await signer.jwks()) as unknown as JSONWebKeySet).keys.map(({ kid }) => kid)
const signingKid = async (signer: AssertionSigner) => decodeProtectedHeader(await signer.sign({})).kid
const keysOf = (...signingKeys: string[]): Keys => ({
  signingKeys: signingKeys.map((key) => new Secret(key)),
  sharedSecrets: SHARED,
})
const [a, b, c] = [1, 2, 3].map(() => pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, 'pkcs8')) as [
  string,
  string,
  string,
]

test('a new first key is published at once, and signs when it has been seen', async () => {
  const clock = manualClock()
  const signer = create(keysOf(a), clock)
  const [old] = await kidsOf(signer)
  signer.prepare(keysOf(b, a))()
  expect(await signingKid(signer)).toBe(old)
  expect(await kidsOf(signer)).toHaveLength(2)
  clock.advance(10 * MINUTE)
  const next = await signingKid(signer)
  expect(next).not.toBe(old)
  expect(new Set(await kidsOf(signer))).toEqual(new Set([old, next]))
  // Taken out soon: what it has signed lives on.
  signer.prepare(keysOf(b))()
  clock.advance(6 * MINUTE)
  expect(await kidsOf(signer)).toContain(old)
  clock.advance(4 * MINUTE)
  expect(await kidsOf(signer)).toEqual([next])
})

test('keys that are replaced without overlap sign no more at once, and are published until what they signed has ended', async () => {
  const clock = manualClock()
  const signer = create(keysOf(a), clock)
  const signed = await signer.sign({ sub: 'x' })
  const [first] = await kidsOf(signer)
  signer.prepare(keysOf(b))()
  const second = await signingKid(signer)
  expect(second).not.toBe(first)
  clock.advance(4 * MINUTE)
  signer.prepare(keysOf(c))()
  clock.advance(MINUTE)
  await jwtVerify(signed, createLocalJWKSet((await signer.jwks()) as unknown as JSONWebKeySet))
  const third = await signingKid(signer)
  expect(new Set(await kidsOf(signer))).toEqual(new Set([first, second, third]))
  clock.advance(5 * MINUTE)
  expect(new Set(await kidsOf(signer))).toEqual(new Set([second, third]))
  clock.advance(4 * MINUTE)
  expect(await kidsOf(signer)).toEqual([third])
})

test('the key of a shared secret that is taken out has ended at once', async () => {
  const signer = create(keysOf(), manualClock())
  const sharedSecrets = [new Secret('two'.repeat(11)), ...SHARED] as const
  signer.prepare({ signingKeys: [], sharedSecrets })()
  expect(await kidsOf(signer)).toHaveLength(2)
  signer.prepare({ signingKeys: [], sharedSecrets: [sharedSecrets[0]] })()
  expect(await kidsOf(signer)).toEqual([await signingKid(signer)])
})

test('a key of no use is refused before anything changes', async () => {
  const signer = create(keysOf(a), manualClock())
  const [kid] = await kidsOf(signer)
  expect(() => signer.prepare(keysOf('hello'))).toThrow('signing_key: key 1')
  expect(await kidsOf(signer)).toEqual([kid])
})
