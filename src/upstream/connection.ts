import { isIP } from 'node:net'
import { checkServerIdentity, type ConnectionOptions } from 'node:tls'
import type { Forward, Upstream, UpstreamTls } from '../config/route-model.ts'
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
  readonly target: { readonly host: string; readonly port: number } | { readonly path: string }
  /** The name, or the address, that the upstream's certificate must carry. */
  readonly servername: string
  readonly tls: TlsOptions
  /** See `UpstreamTls`. */
  readonly only: UpstreamTls['only']
  readonly connectTimeout: Span
}

/** `authorities`: see `tlsOptions`. */
export function connectionTo(
  { tls }: Pick<Forward, 'tls'>,
  upstream: Upstream,
  connectTimeout: Span,
  authorities?: string,
): UpstreamConnection {
  const address = addressOf(upstream.origin)
  const { hostname, port } = new URL(address.url)
  const secure = isTls(upstream.origin)
  const host = hostname.replaceAll(/^\[|\]$/g, '')
  return {
    upstream,
    address,
    target:
      address.socketPath === undefined
        ? { host, port: Number(port || (secure ? 443 : 80)) }
        : { path: address.socketPath },
    servername: tlsName(tls, hostname) || host,
    tls: tlsOptions(tls, secure ? authorities : undefined),
    only: tls.only,
    connectTimeout,
  }
}

/** For `tls.connect`. */
export function handshakeOptions({ tls, servername }: UpstreamConnection): ConnectionOptions {
  return { ...tls, ...verifiedName(servername) }
}

/** An address is verified as such, and is no server name (RFC 6066 §3): Node would verify the host that we connect to. */
export function verifiedName(name: string): ConnectionOptions {
  if (isIP(name) === 0) return { servername: name }
  return { servername: '', checkServerIdentity: (_, shown) => checkServerIdentity(name, shown) }
}
