/** The one place where a signature of somebody else is checked. What each kind of token must say besides is its validator's. */
import { compactVerify, createLocalJWKSet, type CryptoKey, errors } from 'jose'
import { AppError } from '../errors.ts'
import { parseStrictJson, utf8Text } from '../lib/strict-json.ts'
import type { JsonObject } from '../types.ts'
import { type KeySet, RENEWAL_FLOOR } from './key-set.ts'
import type { Stale } from './stale.ts'

/** Asymmetric, and what providers sign with; an issuer's own list is not asked (RFC 8725 §3.1). */
export const SIGNING_ALGORITHMS: readonly string[] = ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA', 'Ed25519']
/** Measured before anything is parsed. A thousand groups fit. */
export const MAX_JWS_LENGTH = 16_384
/** Keys that are tried for a token that names none. */
const MOST_KEYS = 8
const BASE64URL = /^[A-Za-z0-9_-]+$/

/** What an issuer signed. Nothing is known of its claims but that they are an object. */
export interface Signed {
  readonly alg: string
  /** Of the header; lower case, without `application/` (RFC 7515 §4.1.9). */
  readonly typ?: string
  readonly claims: JsonObject
}

/** For logs: constant, and nothing of the token. */
export interface Refused {
  readonly refused:
    | 'too long'
    | 'malformed'
    | 'encrypted'
    | 'algorithm'
    | 'critical header'
    | 'unknown key'
    | 'signature'
}

export interface JwsVerifier {
  /** `token`: a compact JWS (RFC 7515 §7.1), of anybody. Rejects what reading the keys rejects, e.g. ERR_IDP_UNREACHABLE. */
  verify(token: string): Promise<Signed | Refused>
}

/**
 * Signatures of one issuer, by the keys that it publishes and never by one that a token brings along (`jwk`, `jku`, `x5u`).
 * A token that no known key fits has them read again, within bounds: keys rotate, and a `kid` may come back with another key.
 */
export function createJwsVerifier(deps: {
  readonly keys: Pick<Stale<KeySet>, 'get' | 'renew'>
  readonly algorithms?: readonly string[]
}): JwsVerifier {
  const { keys, algorithms = SIGNING_ALGORITHMS } = deps
  let compiled: { readonly from: KeySet; readonly find: KeyFinder } | undefined

  /** Importing a key costs more than checking a signature: it is done once for each reading. */
  function finderOf(from: KeySet): KeyFinder {
    if (compiled?.from !== from) compiled = { from, find: compile(from) }
    return compiled.find
  }

  return {
    async verify(token) {
      const header = readHeader(token)
      if ('refused' in header) return header
      if (!algorithms.includes(header.alg)) return { refused: 'algorithm' }
      const known = await keys.get()
      const outcome = await check(token, header, finderOf(known))
      if (!('refused' in outcome) || outcome.refused === 'malformed') return outcome
      const renewed = await keys.renew(RENEWAL_FLOOR)
      return renewed === known ? outcome : check(token, header, finderOf(renewed))
    },
  }
}

type KeyFinder = ReturnType<typeof createLocalJWKSet>

function compile(keys: KeySet): KeyFinder {
  try {
    return createLocalJWKSet(keys)
  } catch (error) {
    throw new AppError('ERR_IDP_UNREACHABLE', 'the key set of the issuer cannot be used', { cause: error })
  }
}

interface Header {
  readonly alg: string
  readonly kid?: string
  readonly typ?: string
}

/** Judged before any key is looked for. */
function readHeader(token: string): Header | Refused {
  if (token.length > MAX_JWS_LENGTH) return { refused: 'too long' }
  const parts = token.split('.')
  if (parts.length === 5) return { refused: 'encrypted' }
  const [first = ''] = parts
  const isJws = parts.length === 3 && parts.every((part) => BASE64URL.test(part))
  const header = isJws ? parseObject(Buffer.from(first, 'base64url')) : undefined
  if (!header) return { refused: 'malformed' }
  const { alg, kid, typ, crit } = header
  // We understand no extension, and an unencoded payload (`b64`, RFC 7797) is one.
  if (crit !== undefined) return { refused: 'critical header' }
  if (typeof alg !== 'string' || !isTextOrAbsent(kid) || !isTextOrAbsent(typ)) return { refused: 'malformed' }
  return {
    alg,
    ...(kid !== undefined && { kid }),
    ...(typ !== undefined && { typ: typ.toLowerCase().replace(/^application\//, '') }),
  }
}

async function check(token: string, header: Header, find: KeyFinder): Promise<Signed | Refused> {
  const candidates = await keysFor(header, find)
  if (candidates.length === 0) return { refused: 'unknown key' }
  for (const key of candidates) {
    const payload = await payloadOf(token, header.alg, key)
    if (payload === undefined) continue
    const claims = parseObject(payload)
    if (!claims) return { refused: 'malformed' }
    return { alg: header.alg, ...(header.typ !== undefined && { typ: header.typ }), claims }
  }
  return { refused: 'signature' }
}

/** By `kid`, `alg`, key type and use; several only for a token without `kid`, or for a set that uses one twice. */
async function keysFor({ alg, kid }: Header, find: KeyFinder): Promise<readonly CryptoKey[]> {
  try {
    return [await find({ alg, ...(kid !== undefined && { kid }) })]
  } catch (error) {
    const keys: CryptoKey[] = []
    // Anything else is a key that cannot be used: too short, malformed, private.
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return keys
    for await (const key of error) {
      keys.push(key)
      if (keys.length === MOST_KEYS) break
    }
    return keys
  }
}

/** undefined: not signed by this key. */
async function payloadOf(token: string, alg: string, key: CryptoKey): Promise<Uint8Array | undefined> {
  try {
    return (await compactVerify(token, key, { algorithms: [alg] })).payload
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined
    throw error
  }
}

/** undefined: no JSON object, or one that can be read in two ways (RFC 7515 §4, RFC 7519 §4). */
function parseObject(bytes: Uint8Array): JsonObject | undefined {
  const value = parseStrictJson(utf8Text(bytes) ?? '')
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
}

function isTextOrAbsent(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}
