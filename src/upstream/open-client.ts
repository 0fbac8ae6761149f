import type { Deadlines } from '../lib/deadlines.ts'
import type { Clock } from '../types.ts'
import { isTls } from './address.ts'
import type { UpstreamClient } from './client.ts'
import { handshakeOptions, type UpstreamConnection } from './connection.ts'
import { H1Pool } from './h1-pool.ts'
import { H2Pool } from './h2-pool.ts'
import { TlsClient } from './tls-client.ts'

/** Opens nothing yet. How many connections there are at a time is for whoever dispatches. */
export function openClient(
  connection: UpstreamConnection,
  { clock, deadlines }: { readonly clock: Clock; readonly deadlines: Deadlines },
): UpstreamClient {
  const { upstream, address, target, connectTimeout, only } = connection
  const { origin } = upstream
  const parts = { origin, authority: new URL(address.url).host, target, connectTimeout, clock, deadlines }
  if (!isTls(origin)) return address.http2 ? new H2Pool(parts) : new H1Pool(parts)
  const secure = { ...parts, tls: handshakeOptions(connection) }
  const http2 = new H2Pool(secure)
  if (only === 'http2') return http2
  return new TlsClient({ http1: new H1Pool(secure), http2, handshake: only === 'http1' ? undefined : secure })
}
