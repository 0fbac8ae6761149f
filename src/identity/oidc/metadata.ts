import * as oidc from 'openid-client'
import { discoveryUrl, placed, unsafeEndpoint } from '../../config/provider-endpoints.ts'
import { AppError } from '../../errors.ts'
import type { FaultLog } from '../../lib/fault-tally.ts'
import type { Send } from '../../lib/outbound.ts'
import type { Logger, Trouble } from '../../types.ts'
import { boundedFetch } from '../bounded-fetch.ts'
import { SIGNING_ALGORITHMS } from '../jws.ts'
import { appErrorIn, messages } from './faults.ts'
import type { OidcSettings } from './settings.ts'

/** What the provider says of itself, checked (OpenID Connect Discovery §4). Rejects ERR_IDP_UNREACHABLE, ERR_IDP_TLS or ERR_IDP_ISSUER. */
export async function readMetadata(
  idp: OidcSettings,
  {
    send,
    trouble,
    logger,
    tell,
  }: {
    readonly send: Send
    readonly trouble: () => Trouble | undefined
    readonly logger: Logger
    readonly tell: FaultLog
  },
): Promise<oidc.ServerMetadata> {
  try {
    const value = await discover(idp, send)
    logger.info({ issuer: value.issuer }, 'identity provider discovered')
    return value
  } catch (error) {
    const fault = discoveryFault(idp, error)
    // An outage has been told of.
    if (!trouble()) tell(fault, 'identity provider unusable', { issuer: idp.issuer })
    throw fault
  }
}

async function discover(idp: OidcSettings, send: Send): Promise<oidc.ServerMetadata> {
  const url = discoveryUrl(idp)
  let status = 200
  // Named in full: given an issuer, the library compares parsed URLs, for which a trailing slash is nothing.
  const config = await oidc
    .discovery(new URL(url), idp.clientId, undefined, oidc.None(), {
      timeout: idp.timeout / 1000,
      [oidc.customFetch]: async (asked, init) => {
        const response = await boundedFetch(asked, init, AbortSignal.timeout(idp.timeout), send)
        status = response.status
        return response
      },
      execute: isHttp(url) ? [oidc.allowInsecureRequests] : [],
    })
    .catch((error: unknown) => {
      // The library does not say which.
      throw status === 200 ? error : new TypeError(`GET ${url} answered ${status}`)
    })
  const found = placed(config.serverMetadata(), idp)
  // Configuration cuts a trailing slash, which belongs to the issuer of some providers (never of Okta).
  const expected = idp.provider === 'okta' ? [idp.issuer] : [idp.issuer, `${idp.issuer}/`]
  if (!expected.includes(found.issuer)) throw new TypeError(`it calls itself ${JSON.stringify(found.issuer)}`)
  for (const name of ['authorization_endpoint', 'token_endpoint', 'jwks_uri'] as const) {
    if (!found[name]) throw new TypeError(`its metadata has no ${name}`)
  }
  const unsafe = unsafeEndpoint(found, idp)
  if (unsafe !== undefined) throw new TypeError(unsafe)
  return {
    ...(found as oidc.ServerMetadata),
    id_token_signing_alg_values_supported: [...SIGNING_ALGORITHMS],
    userinfo_signing_alg_values_supported: [...SIGNING_ALGORITHMS],
  }
}

/** No answer may be one in a moment; another answer than an issuer gives stays what it is. */
function discoveryFault(idp: OidcSettings, error: unknown): AppError {
  const own = appErrorIn(error)
  if (own) return new AppError(own.code, `discovery of ${idp.issuer} failed: ${own.message}`)
  const advice = 'waiting does not help: see idp_provider_url'
  return new AppError('ERR_IDP_ISSUER', `discovery of ${idp.issuer} failed: ${messages(error)}; ${advice}`)
}

/** To be reached without TLS, as configuration allows it. */
export function isHttp(url: string): boolean {
  return url.startsWith('http:')
}
