import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import { expect, test } from 'vitest'
import { Secret } from '../../../src/lib/secret.ts'
import { createAssertionSigner } from '../../../src/upstream/assertion.ts'

const SHARED = [new Secret('one'.repeat(11))] as const
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
const pem = (key: KeyObject, type: 'pkcs8' | 'sec1' | 'pkcs1'): string =>
  key.export({ type, format: 'pem' } as never).toString()
const signerOf = (...keys: string[]) =>
  createAssertionSigner({ signingKeys: keys.map((key) => new Secret(key)), sharedSecrets: [...SHARED] })

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
    ((await createAssertionSigner({ signingKeys: [], sharedSecrets: secrets }).jwks()) as unknown as JSONWebKeySet).keys
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
