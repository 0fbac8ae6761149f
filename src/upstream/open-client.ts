import { isIP } from 'node:net'
import type { Deadlines } from '../lib/deadlines.ts'
import type { Clock } from '../types.ts'
import { isTls } from './address.ts'
import type { UpstreamClient } from './client.ts'
import type { UpstreamConnection } from './connection.ts'
import { H1Pool } from './h1-pool.ts'
import { H2Pool } from './h2-pool.ts'
import { TlsClient } from './tls-client.ts'
import { UndiciPool } from './undici-pool.ts'

/** Opens nothing yet. @param connections at the same time; whoever dispatches sees to it that there are not more requests. */
export function openClient(
  connection: UpstreamConnection,
  connections: number,
  { clock, deadlines }: { readonly clock: Clock; readonly deadlines: Deadlines },
): UpstreamClient {
  const { upstream, address, connectTimeout, servername, tls, only } = connection
  const { host: authority, hostname, port } = new URL(address.url)
  const target =
    address.socketPath === undefined
      ? { host: hostname.replaceAll(/^\[|\]$/g, ''), port: Number(port || (isTls(upstream.origin) ? 443 : 80)) }
      : { path: address.socketPath }
  const parts = { origin: upstream.origin, authority, target, connectTimeout, clock, deadlines }
  if (isTls(upstream.origin)) {
    // An address is verified as such, and is no server name (RFC 6066 §3).
    const named = { ...tls, ...(isIP(servername) === 0 && { servername }) }
    const http2 = new H2Pool({ ...parts, tls: named })
    if (only === 'http2') return http2
    const http1 = new UndiciPool(connection, connections, deadlines)
    return new TlsClient({ http1, http2, handshake: only === 'http1' ? undefined : { ...parts, tls: named } })
  }
  return address.http2 ? new H2Pool(parts) : new H1Pool(parts)
}
