import type { TokenIssuer } from '../../config/model.ts'
import { AppError, messageOf } from '../../errors.ts'
import { createSend, type Send } from '../../lib/outbound.ts'
import type { Clock, Span } from '../../types.ts'
import { boundedFetch } from '../bounded-fetch.ts'
import { createJwsVerifier } from '../jws.ts'
import { createKeySet, fetchKeySet, type KeySet } from '../key-set.ts'
import type { Issuer } from './reader.ts'

const TIMEOUT: Span = 10_000

/** The issuers of `token_issuers`, each with the keys that it publishes. Nothing is read before a token of theirs comes. */
export function createTokenIssuers(configs: readonly TokenIssuer[], clock: Clock): readonly Issuer[] {
  return configs.map((config) => {
    const keys = createKeySet({ clock, read: keyReader(config) })
    return { config, ...createJwsVerifier({ keys, algorithms: config.algorithms }) }
  })
}

/** One reading of the keys of each; which of them cannot be read, for `check --online`. Never rejects. */
export function inspectTokenIssuers(
  configs: readonly TokenIssuer[],
): Promise<readonly { readonly name: string; readonly keys: number; readonly problem?: string }[]> {
  return Promise.all(
    configs.map(async (config) => {
      const { name } = config
      try {
        return { name, keys: (await keyReader(config)()).keys.length }
      } catch (error) {
        return { name, keys: 0, problem: messageOf(error) }
      }
    }),
  )
}

function keyReader({ issuer, jwksUrl, outbound }: TokenIssuer): () => Promise<KeySet> {
  const send = createSend(outbound, TIMEOUT)
  return async () => fetchKeySet(jwksUrl ?? (await discover(issuer, send)), { send, timeout: TIMEOUT })
}

/** `jwks_uri` of the issuer's metadata (OpenID Connect Discovery §4). Rejects ERR_IDP_UNREACHABLE. */
async function discover(issuer: string, send: Send): Promise<string> {
  const url = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const init = { method: 'GET', headers: { accept: 'application/json' }, redirect: 'manual' } as const
  const response = await boundedFetch(url, init, AbortSignal.timeout(TIMEOUT), send)
  if (response.status !== 200) throw unusable(url, `it answered ${response.status}`)
  const found: unknown = await response.json().catch(() => undefined)
  const { issuer: named, jwks_uri: keys } = (found ?? {}) as Readonly<Record<string, unknown>>
  if (named !== issuer) throw unusable(url, 'it does not call itself so')
  // Who can change it on the way can sign anything.
  const secure =
    typeof keys === 'string' && URL.canParse(keys) && (keys.startsWith('https:') || issuer.startsWith('http:'))
  if (!secure) throw unusable(url, 'it has no jwks_uri by https')
  return keys
}

function unusable(url: string, reason: string): AppError {
  return new AppError('ERR_IDP_UNREACHABLE', `GET ${url}: ${reason}`)
}
