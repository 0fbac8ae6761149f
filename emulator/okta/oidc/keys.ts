import { createHash, generateKeyPair, type JsonWebKey, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import type { JsonObject } from '../../../src/types.ts'

export interface SigningKey {
  readonly kid: string
  readonly privateKey: KeyObject
  /** As published: `{alg, e, n, kid, kty, use}`. */
  readonly jwk: JsonWebKey & { readonly kid: string }
}

/** The signing keys of one authorization server. The next key is published before it signs (okta-api.md#keys). */
export interface Keys {
  current(): Promise<SigningKey>
  /** What `/keys` shows. */
  published(): Promise<readonly SigningKey[]>
  /** Every key this server ever signed with: an expired id_token_hint stays recognisable. */
  all(): Promise<readonly SigningKey[]>
  /** The next key signs from now on. `emergency`: a key that nobody has seen, and the old one is gone. */
  rotate(emergency?: boolean): void
}

const generate = promisify(generateKeyPair)

export function createKeys(): Keys {
  // Made when first used: many tests need no key.
  const made: Promise<SigningKey>[] = []
  let current = 0
  let oldest = 0
  const key = (index: number): Promise<SigningKey> => (made[index] ??= createSigningKey())
  return {
    current: () => key(current),
    published: () => Promise.all(range(oldest, current + 1).map(key)),
    all: () => Promise.all(made.filter((entry) => entry !== undefined)),
    rotate(emergency = false) {
      if (emergency) {
        current = Math.max(current + 2, made.length)
        oldest = current
      } else {
        current += 1
        oldest = current - 1
      }
    },
  }
}

export async function createSigningKey(): Promise<SigningKey> {
  const { privateKey, publicKey } = await generate('rsa', { modulusLength: 2048 })
  const { e = '', n = '', kty = 'RSA' } = publicKey.export({ format: 'jwk' })
  const kid = createHash('sha256').update(n).digest('base64url')
  return { kid, privateKey, jwk: { alg: 'RS256', e, n, kid, kty, use: 'sig' } }
}

/** A compact JWS with Okta's header: `kid` and `alg`, no `typ`. */
export function signJwt(key: SigningKey, claims: JsonObject): string {
  const input = `${encode({ kid: key.kid, alg: 'RS256' })}.${encode(claims)}`
  return `${input}.${sign('RSA-SHA256', Buffer.from(input), key.privateKey).toString('base64url')}`
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}
