import {
  createECDH,
  createHash,
  createPrivateKey,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  sign as signBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import { AppError } from '../errors.ts'
import type { Keys } from '../config/model.ts'
import { deriveKey } from '../lib/crypto.ts'
import { createHandover } from '../lib/handover.ts'
import type { Secret } from '../lib/secret.ts'
import type { Clock, Json, JsonObject, Span, Unsubscribe } from '../types.ts'

/** Life of one assertion; Pomerium's is the same. */
export const ASSERTION_LIFETIME: Span = 300_000

/** Signs what we tell upstreams about a person. Verifiers find the keys at `<wellKnown>/jwks.json` of the route's host. */
export interface AssertionSigner {
  /** A compact JWS: ES256, or RS256 with an RSA key. Claims as given, `iat` and `exp` included. */
  sign(claims: JsonObject): Promise<string>
  /**
   * Public members only (RFC 7517): every key of the configuration, and configured ones that have signed within the last
   * `2 * ASSERTION_LIFETIME`, for assertions that are under way, also from replicas that change later.
   */
  jwks(): Promise<Json>
  /** Other keys. Throws ERR_CONFIG_INVALID when one is of no use. The answer puts them into force. */
  prepare(next: Keys): () => void
  close(): void
}

export interface AssertionSignerDeps {
  readonly keys: Keys
  /** Which of the shared secrets signs until then, where a process starts amid a change; only of keys that derive from them. */
  readonly beginWith?: number
  /** How long a new first key is published before it signs. */
  readonly settling: Span
  readonly clock: Pick<Clock, 'after'>
}

interface SigningKey {
  readonly key: KeyObject
  readonly alg: 'ES256' | 'RS256'
  /** RFC 7638 thumbprint. */
  readonly kid: string
  /** Of a JWS, encoded. */
  readonly header: string
  /** From a shared secret. */
  readonly derived: boolean
  readonly jwk: Readonly<Record<string, string>>
}

/** Throws ERR_CONFIG_INVALID when a signing key is none, or of a kind that cannot sign. */
export function createAssertionSigner({ keys, beginWith = 0, settling, clock }: AssertionSignerDeps): AssertionSigner {
  const first = signingKeysOf(keys)
  const retired = new Map<SigningKey, Unsubscribe>()
  const handover = createHandover({
    first,
    isSame: (left, right) => left.kid === right.kid,
    delay: settling,
    clock,
    changed(before) {
      // A key that was derived from a shared secret is not published any more once the secret is taken out.
      if (before.derived) return
      retired.set(
        before,
        clock.after(2 * ASSERTION_LIFETIME, () => retired.delete(before)),
      )
    },
  })
  const acting = first[beginWith]
  if (acting?.derived) handover.resume(acting)
  return {
    async sign(claims) {
      const [signing] = handover.current()
      const input = `${signing.header}.${base64url(claims)}`
      return `${input}.${(await signatureOf(Buffer.from(input), signing)).toString('base64url')}`
    },
    async jwks() {
      const published = new Map([...retired.keys(), ...handover.current()].map((key) => [key.kid, key]))
      return { keys: [...published.values()].map(({ jwk, kid, alg }) => ({ ...jwk, kid, alg, use: 'sig' })) }
    },
    prepare(next) {
      const prepared = signingKeysOf(next)
      return () => handover.replace(prepared)
    },
    close() {
      handover.close()
      for (const stop of retired.values()) stop()
    },
  }
}

function signingKeysOf({ signingKeys, sharedSecrets }: Keys): readonly [SigningKey, ...SigningKey[]] {
  const [first, ...others] =
    signingKeys.length > 0
      ? signingKeys.flatMap((secret, i) => pemBlocks(secret, i).map((pem) => readKey(pem, i)))
      : sharedSecrets.map((secret) => describeKey(derivedKey(secret), true))
  if (!first) throw new AppError('ERR_CONFIG_INVALID', 'signing_key: no private key')
  return [first, ...others]
}

/** RFC 7515 §3.1. */
function base64url(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

const signElsewhere = promisify(signBytes)

/** P-256 takes less time than the way to another thread and back (50 µs against 300); RSA takes a millisecond, in which others have their turn. */
function signatureOf(input: Buffer, { key, alg }: SigningKey): Buffer | Promise<Buffer> {
  // RFC 7518 §3.4: R and S, not their DER.
  return alg === 'ES256'
    ? signBytes('sha256', input, { key, dsaEncoding: 'ieee-p1363' })
    : signElsewhere('sha256', input, key)
}

function pemBlocks(secret: Secret, index: number): readonly string[] {
  const text = secret.reveal().trim()
  const pem = text.startsWith('-----') ? text : Buffer.from(text, 'base64').toString('latin1')
  const blocks = pem.match(/-----BEGIN ((?:EC |RSA )?PRIVATE KEY)-----[^-]+-----END \1-----/g)
  if (!blocks) throw notUsable(index, 'expected an unencrypted PEM private key, plain or base64')
  return blocks
}

function readKey(pem: string, index: number): SigningKey {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch {
    // OpenSSL's message may quote the key's bytes; ours says what was expected.
    throw notUsable(index, 'the PEM block cannot be read as a private key')
  }
  const { namedCurve, modulusLength = 0 } = key.asymmetricKeyDetails ?? {}
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return describeKey(key)
  // RFC 7518 §3.3: 2048 bits or more.
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return describeKey(key)
  throw notUsable(index, 'expected EC P-256, or RSA of at least 2048 bits')
}

function notUsable(index: number, expected: string): AppError {
  return new AppError('ERR_CONFIG_INVALID', `signing_key: key ${index + 1}: ${expected}`)
}

function describeKey(key: KeyObject, derived = false): SigningKey {
  const {
    kty = '',
    crv = '',
    x = '',
    y = '',
    n = '',
    e = '',
  }: JsonWebKey = createPublicKey(key).export({ format: 'jwk' })
  // RFC 7638 §3.2: required members only, in lexicographic order, no white space.
  const jwk: Record<string, string> = kty === 'RSA' ? { e, kty, n } : { crv, kty, x, y }
  const kid = createHash('sha256').update(JSON.stringify(jwk)).digest('base64url')
  const alg = kty === 'RSA' ? 'RS256' : 'ES256'
  return { key, alg, kid, header: base64url({ alg, kid, typ: 'JWT' }), derived, jwk }
}

/** The same secret gives the same key in every process and after every restart. */
function derivedKey(secret: Secret): KeyObject {
  for (let attempt = 0; ; attempt++) {
    const d = deriveKey(secret.reveal(), `assertion signing key ${attempt}`)
    const ecdh = createECDH('prime256v1')
    try {
      ecdh.setPrivateKey(d)
    } catch {
      // Zero or beyond the curve's order: about one secret in 2^32.
      continue
    }
    const point = ecdh.getPublicKey()
    const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((part) => part.toString('base64url')) as [
      string,
      string,
    ]
    return createPrivateKey({ key: { kty: 'EC', crv: 'P-256', d: d.toString('base64url'), x, y }, format: 'jwk' })
  }
}
