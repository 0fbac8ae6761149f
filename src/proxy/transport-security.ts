import type { Generation, Reply } from '../http/exchange.ts'
import type { RequestFacts } from '../http/request.ts'

/** An answer of ours with `Strict-Transport-Security` (RFC 6797) on https hosts; an application's get it in upstream/headers.ts. */
export function secured(
  reply: Reply,
  { host, port }: Pick<RequestFacts, 'host' | 'port'>,
  { fixed, live, routes }: Pick<Generation, 'fixed' | 'live' | 'routes'>,
): Reply {
  const { strictTransportSecurity: value } = live
  if (!value || value === 'off') return reply
  const { hostname, origin: authenticate } = fixed.authenticateServiceUrl
  const origin = host === hostname ? authenticate : routes.originOf(host, port)
  return origin?.startsWith('https:')
    ? { ...reply, headers: [...reply.headers, ['strict-transport-security', value]] }
    : reply
}
