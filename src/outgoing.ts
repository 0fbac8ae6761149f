/** What a forwarded request looks like to the upstream, for the command line: by the functions that write the real one. */
import { ownCookieNames } from './config/cookie-names.ts'
import type { Config } from './config/model.ts'
import type { Forward } from './config/route-model.ts'
import { type HeaderLines, listOf } from './http/header-lines.ts'
import { isForwardGrant } from './policy/engine.ts'
import { rewrittenPath } from './routing/rewrite.ts'
import type { Grant } from './policy/verdict.ts'
import type { Clock, Logger } from './types.ts'
import { addressOf } from './upstream/address.ts'
import { createHeaderContext, upstreamHeaders } from './upstream/headers.ts'
import { createIdentityHeaders } from './upstream/identity.ts'

export interface Outgoing {
  /** `GET /path?query HTTP/1.1`. */
  readonly requestLine: string
  /** Origins, one of which gets it. */
  readonly upstreams: readonly string[]
  /** In the order in which they are sent, Host first. Values that may be secret are hidden. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}

const HIDDEN = '[hidden]'

/** @param lines headers of the request. undefined: nothing is sent upstream. */
export async function describeOutgoing(
  { live }: Config,
  grant: Grant,
  lines: HeaderLines,
  { clock, logger }: { readonly clock: Clock; readonly logger: Logger },
): Promise<Outgoing | undefined> {
  if (!isForwardGrant(grant)) return undefined
  const { action } = grant.route
  const { naming } = live
  const context = createHeaderContext({
    naming,
    identityHeaders: live.identityHeaders,
    cookieNames: ownCookieNames(live),
    transportSecurity: live.strictTransportSecurity,
    hopMark: () => ({ next: () => '[mark of the route]' }),
    logger,
  })
  const signer = { sign: () => Promise.resolve('[signed assertion]') }
  const identity = await createIdentityHeaders({ naming, signer, clock, logger })(grant)
  const { host, headers } = upstreamHeaders(grant, lines, identity, context, grant.request.clientIp)
  const flat = listOf(headers)
  const pairs = flat.flatMap((name, i) => (i % 2 === 0 ? [[name, flat[i + 1] ?? ''] as const] : []))
  return {
    requestLine: `${grant.request.method} ${rewrittenPath(action.rewrite.path, grant.request.path)}${grant.request.query} HTTP/1.1`,
    upstreams: action.upstreams.map(({ origin }) => origin),
    headers: [
      ['host', host ?? hostOf(action)],
      ...pairs.map(([name, value]) => [name, isSecret(name, action) ? HIDDEN : value] as const),
    ],
  }
}

/** Every upstream gets its own name. */
function hostOf({ upstreams: [first, ...others] }: Forward): string {
  return others.length > 0 ? '[that of the upstream]' : new URL(addressOf(first.origin).url).host
}

function isSecret(name: string, { setRequestHeaders }: Forward): boolean {
  const lower = name.toLowerCase()
  return setRequestHeaders.has(lower) || lower === 'authorization' || lower === 'cookie'
}
