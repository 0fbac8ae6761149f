import type { IdpConfig } from '../../config/model.ts'
import { unsafeEndpoint } from '../../config/provider-endpoints.ts'
import { AppError } from '../../errors.ts'
import { createSend } from '../../lib/outbound.ts'
import { isSameIssuer } from '../../lib/person.ts'
import type { Clock, JsonObject } from '../../types.ts'
import { boundedFetch } from '../bounded-fetch.ts'
import { createKeySet, fetchKeySet, type KeySet } from '../key-set.ts'
import type { Stale } from '../stale.ts'

/** Keys of a transmitter, by its metadata (SSF 1.0 §7.2: the well-known part comes before the path of the issuer). */
export function createTransmitterKeys(
  issuer: string,
  { outbound, timeout }: Pick<IdpConfig, 'outbound' | 'timeout'>,
  clock: Clock,
): Stale<KeySet> {
  const send = createSend(outbound ?? {}, timeout)
  const { origin, pathname } = new URL(issuer)
  const url = `${origin}/.well-known/ssf-configuration${pathname === '/' ? '' : pathname}`

  async function read(): Promise<KeySet> {
    const init = { method: 'GET', headers: { accept: 'application/json' }, redirect: 'manual' } as const
    const response = await boundedFetch(url, init, AbortSignal.timeout(timeout), send)
    const metadata = response.status === 200 ? await jsonOf(response) : undefined
    const keys = metadata?.['jwks_uri']
    const named = metadata?.['issuer']
    if (typeof keys !== 'string' || typeof named !== 'string' || !isSameIssuer(named, issuer)) {
      throw new AppError('ERR_IDP_UNREACHABLE', `${url} answered ${response.status} and no metadata of ${issuer}`)
    }
    const unsafe = unsafeEndpoint({ jwks_uri: keys }, { issuer })
    if (unsafe !== undefined) throw new AppError('ERR_IDP_UNREACHABLE', `${url}: ${unsafe}`)
    return fetchKeySet(keys, { send, timeout })
  }

  return createKeySet({ read, clock })
}

async function jsonOf(response: Response): Promise<JsonObject | undefined> {
  try {
    const value: unknown = await response.json()
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined
  } catch {
    return undefined
  }
}
