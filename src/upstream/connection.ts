import { buildConnector } from 'undici'
import type { Forward, Upstream } from '../config/route-model.ts'
import type { Span } from '../types.ts'
import { addressOf, isTls, type UpstreamAddress } from './address.ts'
import { tlsName, type TlsOptions, tlsOptions } from './tls.ts'

/** How connections to one upstream are made, under the TLS settings of a route. */
export interface UpstreamConnection {
  readonly upstream: Upstream
  readonly address: UpstreamAddress
  /** Goes into the options of each dispatch: a constant, or undici would open another connection for every Host it sees. */
  readonly servername: string
  readonly tls: TlsOptions
  readonly connect: buildConnector.connector
}

/** `authorities`: see `tlsOptions`. */
export function connectionTo(
  { tls }: Pick<Forward, 'tls'>,
  upstream: Upstream,
  timeout: Span,
  authorities?: string,
): UpstreamConnection {
  const address = addressOf(upstream.origin)
  const { hostname } = new URL(address.url)
  const servername = tlsName(tls, hostname)
  const options = tlsOptions(tls, isTls(upstream.origin) ? authorities : undefined)
  const connect = buildConnector({
    timeout,
    ...options,
    ...(address.socketPath !== undefined && { socketPath: address.socketPath }),
    // undici then speaks HTTP/2 on a connection without ALPN.
    ...(address.http2 && { useH2c: true }),
  })
  return {
    upstream,
    address,
    servername: servername || hostname,
    tls: options,
    // undici takes the name to verify from the Host header, which a client may choose; ours is from configuration.
    connect: (options, callback) => connect({ ...options, servername }, callback),
  }
}
