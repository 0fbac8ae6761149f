import type { Generation, Reply } from '../http/exchange.ts'
import type { RequestFacts } from '../http/request.ts'

/** An answer of ours with `Strict-Transport-Security` (RFC 6797) on https hosts; an application's get it in upstream/headers.ts. */
export function secured(
  reply: Reply,
  { host, port }: Pick<RequestFacts, 'host' | 'port'>,
  { live, routes }: Pick<Generation, 'live' | 'routes'>,
): Reply {
  const { strictTransportSecurity: value } = live
  if (!value || value === 'off' || !routes.isHttps(host, port)) return reply
  if (reply.headers.some(([name]) => name === 'strict-transport-security')) return reply
  return { ...reply, headers: [...reply.headers, ['strict-transport-security', value]] }
}
