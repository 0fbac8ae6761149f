/** Signatures of an issuer: which tokens a key speaks for, and when keys are read again. */
import { createSign, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { CompactEncrypt, CompactSign, SignJWT, exportJWK } from 'jose'
import { describe, expect, test, vi } from 'vitest'
import { createJwsVerifier, MAX_JWS_LENGTH } from '../../../src/identity/jws.ts'
import { createKeySet, type KeySet, RENEWAL_FLOOR } from '../../../src/identity/key-set.ts'
import { isFor, timeProblem } from '../../../src/identity/token-times.ts'
import { wallTime } from '../../../src/lib/time.ts'
import { manualClock } from '../../support/clock.ts'

interface Pair {
  readonly kid: string
  readonly alg: string
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

const rsa = (kid: string, alg = 'RS256', modulusLength = 2048): Pair => ({
  kid,
  alg,
  ...generateKeyPairSync('rsa', { modulusLength }),
})
const first = rsa('first')
const second = rsa('second')
const ec: Pair = { kid: 'ec', alg: 'ES256', ...generateKeyPairSync('ec', { namedCurve: 'prime256v1' }) }
const ed: Pair = { kid: 'ed', alg: 'EdDSA', ...generateKeyPairSync('ed25519') }

async function jwks(...pairs: readonly Pair[]): Promise<KeySet> {
  const keys = await Promise.all(
    pairs.map(async ({ kid, publicKey }) => ({ ...(await exportJWK(publicKey)), kid, use: 'sig' })),
  )
  return { keys }
}

function sign({ kid, alg, privateKey }: Pair, claims: object = { sub: 'alice' }, header: object = {}): Promise<string> {
  return new SignJWT({ ...claims }).setProtectedHeader({ alg, kid, ...header }).sign(privateKey)
}

const base64url = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

function issuer(read: () => Promise<KeySet>, clock = manualClock()) {
  const asked = vi.fn(read)
  return { asked, clock, verifier: createJwsVerifier({ keys: createKeySet({ read: asked, clock }) }) }
}

describe('a signature', () => {
  test.each([first, ec, ed, rsa('pss', 'PS256')])('of the issuer is good: $alg', async (pair) => {
    const { verifier } = issuer(() => jwks(pair))
    expect(await verifier.verify(await sign(pair, { sub: 'alice' }, { typ: 'application/Logout+JWT' }))).toEqual({
      alg: pair.alg,
      typ: 'logout+jwt',
      claims: { sub: 'alice' },
    })
  })

  test('by a token without `kid` is good when one of the keys fits', async () => {
    const { verifier } = issuer(() => jwks(second, first))
    const token = await new SignJWT({ sub: 'alice' }).setProtectedHeader({ alg: 'RS256' }).sign(first.privateKey)
    expect(await verifier.verify(token)).toEqual({ alg: 'RS256', claims: { sub: 'alice' } })
  })

  const evil = rsa('first')
  const publicPem = first.publicKey.export({ format: 'pem', type: 'spki' }) as string
  const unsigned = (alg: string): string => `${base64url({ alg, kid: 'first' })}.${base64url({ sub: 'alice' })}.`
  const hostile: readonly (readonly [what: string, token: () => string | Promise<string>, refused: string])[] = [
    ['alg none', () => unsigned('none'), 'malformed'],
    ['alg None with a signature', () => `${unsigned('None')}AAAA`, 'algorithm'],
    ['no alg', () => `${base64url({ kid: 'first' })}.e30.AAAA`, 'malformed'],
    [
      'HS256 with the public key',
      () =>
        new SignJWT({ sub: 'alice' }).setProtectedHeader({ alg: 'HS256', kid: 'first' }).sign(Buffer.from(publicPem)),
      'algorithm',
    ],
    ['PS256 by a key whose set says RS256', () => sign({ ...first, alg: 'PS256' }), 'unknown key'],
    ['ES256 with the `kid` of an RSA key', () => sign({ ...ec, kid: 'first' }), 'unknown key'],
    ['another key under the same `kid`', () => sign(evil), 'signature'],
    ['an unknown `kid`', () => sign(second), 'unknown key'],
    [
      'a key that it brings along',
      async () =>
        sign(evil, {}, { kid: 'mine', jwk: await exportJWK(evil.publicKey), jku: 'https://evil.example/jwks' }),
      'unknown key',
    ],
    [
      'a critical header',
      () => `${base64url({ alg: 'RS256', kid: 'first', crit: ['b64'], b64: false })}.e30.AAAA`,
      'critical header',
    ],
    [
      'a JWE',
      () =>
        new CompactEncrypt(Buffer.alloc(64))
          .setProtectedHeader({ alg: 'RSA-OAEP', enc: 'A256GCM' })
          .encrypt(first.publicKey),
      'encrypted',
    ],
    [
      'a changed claim',
      async () => (await sign(first)).replace(/\.[^.]+\./, `.${base64url({ sub: 'bob' })}.`),
      'signature',
    ],
    ['a cut signature', async () => (await sign(first)).slice(0, -4), 'signature'],
    ['padding', async () => `${await sign(first)}==`, 'malformed'],
    ['a claim set that is a list', () => compact('[]'), 'malformed'],
    ['a claim set that is no JSON', () => compact('sub=alice'), 'malformed'],
    ['a claim set that is not UTF-8', () => compact(Buffer.from([0x7b, 0xff, 0x7d])), 'malformed'],
    ['a claim that stands twice', () => compact('{"sub":"alice","sub":"bob"}'), 'malformed'],
    [
      'a header with `alg` twice',
      async () => {
        const [, payload, signature] = (await sign(first)).split('.')
        const header = '{"alg":"RS256","kid":"first","alg":"RS256"}'
        return `${Buffer.from(header).toString('base64url')}.${payload}.${signature}`
      },
      'malformed',
    ],
    ['a header that is no JSON', () => 'AAAA.e30.AAAA', 'malformed'],
    ['a `kid` that is a number', () => `${base64url({ alg: 'RS256', kid: 1 })}.e30.AAAA`, 'malformed'],
    ['two parts', () => 'e30.e30', 'malformed'],
    ['nothing', () => '', 'malformed'],
    ['more than 16 KiB', () => `${base64url({ alg: 'RS256' })}.${'A'.repeat(MAX_JWS_LENGTH)}.AAAA`, 'too long'],
    ['a megabyte of dots', () => '.'.repeat(1 << 20), 'too long'],
  ]
  function compact(payload: string | Uint8Array): Promise<string> {
    return new CompactSign(typeof payload === 'string' ? Buffer.from(payload) : payload)
      .setProtectedHeader({ alg: 'RS256', kid: 'first' })
      .sign(first.privateKey)
  }
  test.each(hostile)('is refused: %s', async (_what, token, refused) => {
    const { verifier } = issuer(async () => {
      const { keys } = await jwks(first)
      return { keys: keys.map((key) => ({ ...key, alg: 'RS256' })) }
    })
    expect(await verifier.verify(await token())).toEqual({ refused })
  })

  test('by an RSA key that is too short is refused', async () => {
    const short = rsa('short', 'RS256', 1024)
    const { verifier } = issuer(() => jwks(short))
    const signingInput = `${base64url({ alg: 'RS256', kid: 'short' })}.${base64url({ sub: 'alice' })}`
    const signature = createSign('RSA-SHA256').update(signingInput).sign(short.privateKey)
    expect(await verifier.verify(`${signingInput}.${signature.toString('base64url')}`)).toEqual({
      refused: 'signature',
    })
  })

  test('with an algorithm that the caller does not take is refused', async () => {
    const { clock } = issuer(() => jwks(ec))
    const keys = createKeySet({ read: () => jwks(ec), clock })
    expect(await createJwsVerifier({ keys, algorithms: ['RS256'] }).verify(await sign(ec))).toEqual({
      refused: 'algorithm',
    })
  })
})

describe('keys', () => {
  test('a new key is found at once, a withdrawn one ends with the next reading', async () => {
    let published = await jwks(first)
    const { asked, clock, verifier } = issuer(async () => published)
    expect(await verifier.verify(await sign(first))).toHaveProperty('claims')
    published = await jwks(second)
    clock.advance(RENEWAL_FLOOR)
    expect(await verifier.verify(await sign(second))).toHaveProperty('claims')
    expect(await verifier.verify(await sign(first))).toEqual({ refused: 'unknown key' })
    expect(asked).toHaveBeenCalledTimes(2)
  })

  test('a `kid` that comes back with another key is read again', async () => {
    const other = rsa('first')
    let published = await jwks(first)
    const { clock, verifier } = issuer(async () => published)
    await verifier.verify(await sign(first))
    published = await jwks(other)
    clock.advance(RENEWAL_FLOOR)
    expect(await verifier.verify(await sign(other))).toHaveProperty('claims')
  })

  test('a flood of unknown kids asks the issuer once', async () => {
    const { asked, clock, verifier } = issuer(() => jwks(first))
    await verifier.verify(await sign(first))
    clock.advance(RENEWAL_FLOOR)
    const flood = Array.from({ length: 50 }, (_, i) => `${base64url({ alg: 'RS256', kid: `k${i}` })}.e30.AAAA`)
    const outcomes = await Promise.all(flood.map((token) => verifier.verify(token)))
    for (const outcome of outcomes) expect(outcome).toEqual({ refused: 'unknown key' })
    expect(asked).toHaveBeenCalledTimes(2)
  })

  test('a set of many keys is not tried to the end for a token without `kid`', async () => {
    const many = Array.from(
      { length: 8 },
      (_, i): Pair => ({ ...ec, kid: `k${i}`, ...generateKeyPairSync('ec', { namedCurve: 'prime256v1' }) }),
    )
    const { verifier } = issuer(() => jwks(...many, ec))
    const token = await new SignJWT({}).setProtectedHeader({ alg: 'ES256' }).sign(ec.privateKey)
    expect(await verifier.verify(token)).toEqual({ refused: 'signature' })
  })

  test('an issuer that cannot be asked goes on with the keys that are known', async () => {
    let isDown = false
    const { clock, verifier } = issuer(async () => {
      if (isDown) throw new Error('down')
      return jwks(first)
    })
    await verifier.verify(await sign(first))
    isDown = true
    clock.advance(RENEWAL_FLOOR)
    expect(await verifier.verify(await sign(second))).toEqual({ refused: 'unknown key' })
    expect(await verifier.verify(await sign(first))).toHaveProperty('claims')
  })

  test('an issuer that could never be asked is a fault, not a refusal', async () => {
    const { verifier } = issuer(() => Promise.reject(new Error('down')))
    await expect(verifier.verify(await sign(first))).rejects.toThrow('down')
  })
})

describe('the instants of a token', () => {
  const now = wallTime(1_800_000_000_000)
  const at = 1_800_000_000
  test.each([
    [{ exp: at + 60, iat: at }, undefined],
    [{ exp: at - 59, iat: at }, undefined],
    [{ exp: at - 60, iat: at }, 'exp is past'],
    [{ iat: at }, 'exp is missing'],
    [{ exp: '1800000060', iat: at }, 'exp is not a whole number of seconds'],
    [{ exp: 1e300, iat: at }, 'exp is not a whole number of seconds'],
    [{ exp: at + 60.5, iat: at }, 'exp is not a whole number of seconds'],
    [{ exp: at + 60, iat: at, nbf: at + 61 }, 'nbf is in the future'],
    [{ exp: at + 60, iat: at + 61 }, 'iat is in the future'],
    [{ exp: at + 60, iat: at - 301 }, 'iat is too old'],
    [{ exp: at + 60 }, 'iat is missing'],
    [{ exp: null, iat: at }, 'exp is not a whole number of seconds'],
  ])('%j: %s', (claims, problem) => {
    expect(timeProblem(claims, now, { exp: 'required', maxAge: 300_000 })).toBe(problem)
  })

  test('`exp` may be left out where the kind of token has none', () => {
    expect(timeProblem({ iat: at }, now, { exp: 'optional' })).toBeUndefined()
  })
})

test.each([
  ['https://us', true],
  [['https://them', 'https://us'], true],
  ['https://us/', false],
  [[['https://us']], false],
  [undefined, false],
])('an audience of %j', (aud, expected) => {
  expect(isFor(aud === undefined ? {} : { aud }, 'https://us')).toBe(expected)
})
