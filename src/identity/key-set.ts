import type { JSONWebKeySet } from 'jose'
import { AppError } from '../errors.ts'
import type { Send } from '../lib/outbound.ts'
import type { Clock, Span } from '../types.ts'
import { boundedFetch } from './bounded-fetch.ts'
import { createStale, type Stale } from './stale.ts'

/** An issuer's public keys (RFC 7517). */
export type KeySet = JSONWebKeySet

/** Keys that were withdrawn end here, even when the issuer cannot be asked. */
const AGES = { maxAge: 300_000, maxStale: 86_400_000, pause: 3000 }
/** Tokens come from anybody: their unknown `kid`s make us ask the issuer no more often than this. */
export const RENEWAL_FLOOR: Span = 10_000

/** The keys of one issuer: read when first needed, again when old, and early (`renew`, RENEWAL_FLOOR) for a key that is new. */
export function createKeySet(deps: { readonly read: () => Promise<KeySet>; readonly clock: Clock }): Stale<KeySet> {
  return createStale({ ...AGES, ...deps })
}

/** One reading of a `jwks_uri`. Rejects ERR_IDP_UNREACHABLE when there is no answer, and when the answer is no key set. */
export async function fetchKeySet(
  url: string,
  { send, timeout }: { readonly send: Send; readonly timeout: Span },
): Promise<KeySet> {
  const init = { method: 'GET', headers: { accept: 'application/json' }, redirect: 'manual' } as const
  const response = await boundedFetch(url, init, AbortSignal.timeout(timeout), send)
  const body: unknown = response.status === 200 ? parse(await response.text()) : undefined
  if (!isKeySet(body)) throw new AppError('ERR_IDP_UNREACHABLE', `${url} answered ${response.status} and no key set`)
  return body
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Said by the caller: no key set.
    return undefined
  }
}

function isKeySet(value: unknown): value is KeySet {
  const keys: unknown = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : undefined
  return Array.isArray(keys) && keys.every((key) => typeof key === 'object' && key !== null && !Array.isArray(key))
}
