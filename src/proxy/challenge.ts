/** How to come in, for programs: the `WWW-Authenticate` that every 401 has (RFC 9110 §15.5.2), and what it points at. */
import type { Fixed, Live } from '../config/model.ts'
import type { RequestFacts } from '../http/request.ts'
import type { BadToken } from '../policy/model.ts'
import { isOfHost } from '../routing/table.ts'
import type { Json } from '../types.ts'

type Challenge = readonly [name: 'www-authenticate', value: string]

/** Of the host that was asked. */
export interface Asking {
  readonly facts: Pick<RequestFacts, 'browser'>
  /** External, from configuration. */
  readonly origin: string
  readonly controlPrefix: string
}

/**
 * `Bearer` (RFC 6750 §3), without an error when nothing was sent. `resource_metadata` (RFC 9728 §5.1) is a path of ours,
 * so that an application keeps its `/.well-known`. On a route that takes service tokens the realm is where container
 * clients get one for a password (proxy/token.ts), and `Basic` is for programs that ask a credential helper; never for a
 * browser, which would open a password box, for images and fetches, too. `more`: parameters
 * of the error; without quotes in them.
 */
export function challenges(
  { facts, origin, controlPrefix }: Asking,
  takesServiceTokens: boolean,
  error?: BadToken['error'] | 'insufficient_user_authentication',
  more: Readonly<Record<string, string | number>> = {},
): readonly Challenge[] {
  let bearer = `Bearer realm="${takesServiceTokens ? `${origin}${controlPrefix}/token` : origin}"`
  if (error !== undefined) bearer += `, error="${error}"`
  for (const [name, value] of Object.entries(more)) bearer += `, ${name}="${value}"`
  bearer += `, resource_metadata="${origin}${controlPrefix}/oauth-protected-resource"`
  const all: Challenge[] = [['www-authenticate', bearer]]
  if (takesServiceTokens && !facts.browser) all.push(['www-authenticate', `Basic realm="${origin}", charset="UTF-8"`])
  return all
}

/**
 * RFC 9728 §3.2, for anybody. Whose access tokens are taken is told where a route of the host takes any: a client can ask
 * there for one.
 */
export function protectedResource(
  origin: string,
  { fixed, live }: { readonly fixed: Pick<Fixed, 'idps'>; readonly live: Pick<Live, 'routes'> },
): Json {
  const { hostname: host } = new URL(origin)
  const taking = live.routes.filter(({ from, bearer }) => bearer?.kind === 'access-token' && isOfHost(from, host))
  const issuers = fixed.idps.filter(({ name }) =>
    taking.some(({ demand }) => demand?.providers === undefined || demand.providers.includes(name)),
  )
  return {
    resource: origin,
    ...(issuers.length > 0 && { authorization_servers: issuers.map(({ issuer }) => issuer) }),
    bearer_methods_supported: ['header'],
  }
}
