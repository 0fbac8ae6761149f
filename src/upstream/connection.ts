import type { buildConnector } from 'undici'
import type { Forward, Upstream, UpstreamTls } from '../config/route-model.ts'
import { undici } from '../lib/undici.ts'
import type { Span } from '../types.ts'
import { addressOf, isTls, type UpstreamAddress } from './address.ts'
import { tlsName, type TlsOptions, tlsOptions } from './tls.ts'

/** Idle connections are given up before common servers do (Node: 5 s), so that few requests meet a closing one. */
export const KEEP_ALIVE: Span = 4000
/** Then it takes no more requests, and the next connection looks the name up again: addresses of upstreams change. */
export const MAX_CONNECTION_AGE: Span = 60_000

/** How connections to one upstream are made, under the TLS settings of a route. */
export interface UpstreamConnection {
  readonly upstream: Upstream
  readonly address: UpstreamAddress
  /** Goes into the options of each dispatch: a constant, or undici would open another connection for every Host it sees. */
  readonly servername: string
  readonly tls: TlsOptions
  /** See `UpstreamTls`. */
  readonly only: UpstreamTls['only']
  readonly connectTimeout: Span
  readonly connect: buildConnector.connector
}

/** `authorities`: see `tlsOptions`. */
export function connectionTo(
  { tls }: Pick<Forward, 'tls'>,
  upstream: Upstream,
  connectTimeout: Span,
  authorities?: string,
): UpstreamConnection {
  const address = addressOf(upstream.origin)
  const { hostname } = new URL(address.url)
  const servername = tlsName(tls, hostname)
  const options = tlsOptions(tls, isTls(upstream.origin) ? authorities : undefined)
  let connector: buildConnector.connector | undefined
  return {
    upstream,
    address,
    servername: servername || hostname,
    tls: options,
    only: tls.only,
    connectTimeout,
    connect: (to, callback) => {
      connector ??= undici().buildConnector({
        timeout: connectTimeout,
        ...options,
        ...(address.socketPath !== undefined && { socketPath: address.socketPath }),
      })
      // undici takes the name to verify from the Host header, which a client may choose; ours is from configuration.
      connector({ ...to, servername }, callback)
    },
  }
}
