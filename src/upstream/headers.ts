/**
 * Request and response headers on their way through the proxy. To the upstream: first remove hop-by-hop headers, identity
 * and client-address headers of other proxies, our cookies, and what the route removes or replaces. Then add the route's
 * headers, the forwarded headers (unless the route removes or sets them), the request id and the loop mark. Identity
 * headers come last. Names that the client lists in `Connection` are removed before ours are added, so it cannot strip
 * those.
 */
import { withoutCookies } from '../lib/cookie.ts'
import { isWithheld } from '../routing/consumed.ts'
import { publicLocation, type Sent } from '../routing/location.ts'
import { destinationPath, hasDestination } from '../routing/destination.ts'
import { rewrittenPath } from '../routing/rewrite.ts'
import { authorityOf, rewrittenHost } from '../routing/host-rewrite.ts'
import { defaultPort } from '../routing/host.ts'
import { UNKNOWN_CLIENT } from '../routing/trust.ts'
import { isForeign, isOfTrustedHops } from '../lib/foreign-headers.ts'
import {
  HOP_BY_HOP,
  HOP_HEADER,
  identityHeaders,
  nominatedBy,
  normalName,
  reservedHeader,
} from '../lib/header-names.ts'
import type { Grant } from '../policy/verdict.ts'
import type { Live, Naming } from '../config/model.ts'
import type { Forward, HeaderRewrite, Route } from '../config/route-model.ts'
import type { Logger } from '../types.ts'
import type { HopMark } from './loop.ts'
import { createSetCookieGuard, type SetCookieGuard } from './set-cookie.ts'

/** What one configuration says about headers. Build it once per configuration. */
export interface HeaderContext {
  /** Our cookies, whatever the scheme: none of them reaches an upstream. */
  readonly cookieNames: readonly string[]
  /** Which cookies of an upstream no browser gets to see. */
  readonly plantsOurs: SetCookieGuard
  /** `Strict-Transport-Security` of https hosts whose application sends none; '' and `off`: none either. */
  readonly transportSecurity: string
  readonly naming: Pick<Naming, 'assertionHeader'>
  readonly identityHeaders: Live['identityHeaders']
  /** Spelling → what happens to it. Bounded by `MAX_SPELLINGS`. */
  readonly treatments: Map<string, Treatment>
  readonly plans: WeakMap<Route<Forward>, HeaderPlan>
  readonly hopMark: (routeId: string) => HopMark
}

export interface HeaderContextOptions {
  readonly naming: Pick<Naming, 'assertionHeader'>
  readonly identityHeaders: Live['identityHeaders']
  readonly cookieNames: readonly string[]
  readonly transportSecurity: string
  /** See `createHopMarks`. */
  readonly hopMark: (routeId: string) => HopMark
  readonly logger: Logger
}

interface Treatment {
  readonly kind: 'keep' | 'drop' | 'foreign' | 'cookie' | 'connection' | 'forwarded-for' | 'authorization' | 'hop'
  readonly lower: string
  /** Lower case with every other character than letters and digits as `-`. */
  readonly normal: string
}

/** The headers that one route sets, removes and allows, precomputed. */
interface HeaderPlan {
  /** Is a header of this normalised name neither removed nor replaced by the route? */
  readonly keeps: (normal: string) => boolean
  /** Headers of other proxies that the route believes, lower case. */
  readonly allows: ReadonlySet<string>
  /** name, value, name, value. */
  readonly set: readonly string[]
  /** Of the address that people use. */
  readonly scheme: string
  readonly port: string
  /** What the upstream does not see of the path; `''`: nothing. */
  readonly prefix: string
  readonly hop: HopMark
}

const MAX_SPELLINGS = 1024

export function createHeaderContext({ logger, ...options }: HeaderContextOptions): HeaderContext {
  return {
    ...options,
    plantsOurs: createSetCookieGuard(options.cookieNames, logger),
    treatments: new Map(),
    plans: new WeakMap(),
  }
}

/**
 * The headers of the request to the upstream as a flat list (name, value, …). Framing (`Content-Length`,
 * `Transfer-Encoding`) is left to whoever writes the request, and so is a `Host` that names the upstream.
 * @param raw `rawHeaders` of the client's request.
 * @param identity flat list of identity headers; empty when none are passed.
 * @param peer address of the client's connection, canonical.
 * Throws ERR_LOOP for a request that this route has forwarded before.
 */
export function upstreamHeaders(
  grant: Grant<Forward>,
  raw: readonly string[],
  identity: readonly string[],
  context: HeaderContext,
  peer: string,
): string[] {
  const { route, request } = grant
  const plan = planOf(route, context)
  let nominated: Set<string> | undefined
  let chain = ''
  let hops = ''
  let outerPrefix = ''
  let headers: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = raw[i] as string
    const value = raw[i + 1] as string
    const treatment = treatmentOf(name, context)
    switch (treatment.kind) {
      case 'drop':
        break
      case 'connection':
        nominated = nominatedBy(value, nominated)
        break
      case 'forwarded-for':
        chain = chain === '' ? value : `${chain},${value}`
        break
      case 'hop':
        hops = hops === '' ? value : `${hops},${value}`
        break
      case 'cookie': {
        const cookies = withoutCookies(value, context.cookieNames)
        if (cookies !== '' && plan.keeps('cookie')) headers.push(name, cookies)
        break
      }
      case 'authorization':
        if (isWithheld(value, request, route)) break
        if (plan.keeps('authorization')) headers.push(name, value)
        break
      case 'foreign':
        // Another spelling of an allowed name would be a second copy to some applications.
        if (!plan.keeps(treatment.normal)) break
        if (plan.allows.has(treatment.lower) || (request.hop && isOfTrustedHops(treatment.lower)))
          if (plan.prefix !== '' && treatment.lower === 'x-forwarded-prefix') outerPrefix = value
          else headers.push(name, value)
        break
      case 'keep':
        if (plan.keeps(treatment.normal)) headers.push(name, value)
    }
  }
  if (nominated) headers = withoutNominated(headers, nominated)

  for (const part of plan.set) headers.push(part)
  const authority = authorityOf(request)
  const { keeps, prefix } = plan
  if (keeps('x-forwarded-for')) headers.push('x-forwarded-for', forwardedFor(chain, request.clientIp, peer))
  if (keeps('x-forwarded-proto')) headers.push('x-forwarded-proto', plan.scheme)
  if (keeps('x-forwarded-host')) headers.push('x-forwarded-host', authority)
  if (keeps('x-forwarded-port')) headers.push('x-forwarded-port', plan.port)
  if (prefix !== '' && keeps('x-forwarded-prefix'))
    headers.push('x-forwarded-prefix', outerPrefix.replace(/\/$/, '') + prefix)
  headers.push('x-request-id', request.id, HOP_HEADER, plan.hop.next(hops))
  for (const part of identity) headers.push(part)
  const host = rewrittenHost(route.action.rewrite.host, request, headers)
  if (hasDestination(request.method)) rewriteDestination(headers, grant, host)
  if (host !== undefined) headers.push('host', host)
  return headers
}

/** The destination as it was judged, under the address that the upstream has: servers compare scheme and host with theirs. */
function rewriteDestination(headers: string[], { route, request }: Grant<Forward>, host: string | undefined): void {
  const { upstreams, rewrite } = route.action
  const at = headers.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'destination')
  const path = at === -1 ? undefined : destinationPath(headers[at + 1] as string, request)
  if (path === undefined) return
  const { protocol, host: own } = new URL(upstreams[0].origin)
  const authority = host ?? (upstreams.length === 1 ? own : '')
  const scheme = protocol === 'https:' ? 'https' : 'http'
  headers[at + 1] = (authority === '' ? '' : `${scheme}://${authority}`) + rewrittenPath(rewrite.path, path)
}

/**
 * The headers of the upstream's answer as a flat list: hop-by-hop and nominated ones and cookies with a name of ours
 * removed, addresses of the upstream put back (routing/location.ts), other values byte for byte, repeated names repeated,
 * those of the route instead of the application's, `X-Request-Id` ours, `Strict-Transport-Security` (RFC 6797) unless the
 * application or the route says it.
 */
export function clientHeaders(
  raw: readonly Buffer[],
  status: number,
  { route, request }: Pick<Grant<Forward>, 'route' | 'request'>,
  { plantsOurs, transportSecurity }: Pick<HeaderContext, 'plantsOurs' | 'transportSecurity'>,
  sent: Sent,
): string[] {
  const { responseHeaders: rewrites } = route.action.rewrite
  const { setResponseHeaders: set } = route
  let secure = route.from.scheme !== 'https' || transportSecurity === '' || transportSecurity === 'off'
  let nominated: Set<string> | undefined
  let headers: string[] = []
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = (raw[i] as Buffer).toString('latin1')
    const received = (raw[i + 1] as Buffer).toString('latin1')
    const lower = name.toLowerCase()
    const value = rewrites ? rewrittenHeader(rewrites, lower, received) : received
    if (lower === 'connection') nominated = nominatedBy(value, nominated)
    else if (HOP_BY_HOP.has(lower) || lower === 'x-request-id') continue
    else if (lower === 'set-cookie' && plantsOurs(value, route)) continue
    else if (set?.has(lower)) continue
    // RFC 9110 §8.6: 1xx and 204 have no Content-Length.
    else if ((status === 204 || status === 101) && lower === 'content-length') continue
    else {
      if (lower === 'strict-transport-security') secure = true
      const address = (lower === 'location' || lower === 'content-location') && value === received
      headers.push(name, address ? publicLocation(value, route, request, sent) : value)
    }
  }
  if (nominated) headers = withoutNominated(headers, nominated)
  if (set) for (const [name, value] of set) headers.push(name, value)
  if (!secure && !set?.has('strict-transport-security')) headers.push('strict-transport-security', transportSecurity)
  headers.push('x-request-id', request.id)
  return headers
}

function rewrittenHeader(rewrites: readonly HeaderRewrite[], lower: string, value: string): string {
  const fits = rewrites.find(({ header, prefix }) => header === lower && value.startsWith(prefix))
  return fits ? fits.value + value.slice(fits.prefix.length) : value
}

function treatmentOf(name: string, context: HeaderContext): Treatment {
  const known = context.treatments.get(name)
  if (known) return known
  const lower = name.toLowerCase()
  const normal = normalName(name)
  const treatment = { kind: kindOf(lower, normal, context), lower, normal }
  // A client that invents spellings costs us the cache for a moment, never memory.
  if (context.treatments.size >= MAX_SPELLINGS) context.treatments.clear()
  context.treatments.set(name, treatment)
  return treatment
}

function kindOf(lower: string, normal: string, context: HeaderContext): Treatment['kind'] {
  if (lower === 'connection' || lower === 'cookie' || lower === 'authorization') return lower
  if (lower === HOP_HEADER) return 'hop'
  if (lower === 'x-forwarded-for') return 'forwarded-for'
  if (reservedHeader(normal, context.identityHeaders) !== undefined) return 'drop'
  return isForeign(normal) ? 'foreign' : 'keep'
}

function planOf(route: Route<Forward>, context: HeaderContext): HeaderPlan {
  const known = context.plans.get(route)
  if (known) return known
  // There would be two of them. A configuration that sets one is refused, so this is for what is made otherwise.
  const own = identityHeaders(context.naming, route.action.identity.claimHeaders.keys())
  const set = [...route.action.setRequestHeaders].filter(([name]) => !reservedHeader(normalName(name), own))
  const { identity, removeRequestHeaders } = route.action
  const { path } = route.action.rewrite
  const written = [...set.map(([name]) => name), ...(identity.templates?.keys() ?? [])]
  // Impersonate-… of a client never pass: they are foreign, and such a route may not allow them.
  if (identity.kubernetesToken) written.push('authorization')
  const gone = new Set([...removeRequestHeaders, ...written].map(normalName))
  const plan: HeaderPlan = {
    keeps: gone.size === 0 ? () => true : (normal) => !gone.has(normal),
    allows: new Set(route.action.allowRequestHeaders),
    set: set.flat(),
    // From the configuration: when a hop in front ends TLS, our socket speaks http although everybody uses https.
    scheme: route.from.scheme,
    port: String(route.from.port ?? defaultPort(route.from.scheme)),
    prefix: path?.kind === 'prefix' ? path.prefix.replace(/\/$/, '') : '',
    hop: context.hopMark(route.id),
  }
  context.plans.set(route, plan)
  return plan
}

function withoutNominated(headers: readonly string[], nominated: ReadonlySet<string>): string[] {
  return headers.filter((_, i) => !nominated.has((headers[i - (i % 2)] as string).toLowerCase()))
}

/** A trusted hop spoke for the client: what it vouches for, from the client's address on, then the hop itself. */
function forwardedFor(chain: string, clientIp: string, peer: string): string {
  if (clientIp === peer) return peer
  if (clientIp === UNKNOWN_CLIENT) return `${UNKNOWN_CLIENT}, ${peer}`
  const hops = chain.split(',').map((hop) => hop.trim())
  const client = hops.lastIndexOf(clientIp)
  return [...(client === -1 ? [clientIp] : hops.slice(client)), peer].join(', ')
}
