/**
 * Request and response headers on their way through the proxy. To the upstream: first remove hop-by-hop headers, identity
 * and client-address headers of other proxies, our cookies, and what the route removes or replaces. Then add the route's
 * headers, the forwarded headers (unless the route removes or sets them), the request id and the loop mark. Identity
 * headers come last. Names that the client lists in `Connection` are removed before ours are added, so it cannot strip
 * those.
 */
import type { ResponseHead } from '../http/exchange.ts'
import { field, type HeaderLines, type HeaderName, linesOf, listOf } from '../http/header-lines.ts'
import { withoutCookies } from '../lib/cookie.ts'
import { detached } from '../lib/detached.ts'
import { isWithheld } from '../routing/consumed.ts'
import { publicLocation, type Sent } from '../routing/location.ts'
import { destinationPath, hasDestination } from '../routing/destination.ts'
import { rewrittenPath } from '../routing/rewrite.ts'
import { authorityOf, rewrittenHost } from '../routing/host-rewrite.ts'
import { defaultPort } from '../routing/host.ts'
import { UNKNOWN_CLIENT } from '../routing/trust.ts'
import { isForeign, isOfTrace, isOfTrustedHops } from '../lib/foreign-headers.ts'
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
  /** Does this `Set-Cookie` of an upstream plant a cookie of ours? */
  readonly plantsOurs: SetCookieGuard
  /** `Strict-Transport-Security` of https hosts whose application sends none; '' and `off`: none either. */
  readonly transportSecurity: string
  readonly naming: Pick<Naming, 'assertionHeader'>
  readonly identityHeaders: Live['identityHeaders']
  /** Bounded by `MAX_NAMES`. */
  readonly treatments: Map<HeaderName, Treatment>
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

/** What becomes of a request header. */
type Treatment = 'keep' | 'drop' | 'foreign' | 'cookie' | 'connection' | 'forwarded-for' | 'authorization' | 'hop'

/** The headers that one route sets, removes and allows, precomputed. */
interface HeaderPlan {
  /** Is a header of this normalised name neither removed nor replaced by the route? */
  readonly keeps: (normal: string) => boolean
  /** Headers of other proxies that the route believes, lower case. */
  readonly allows: ReadonlySet<string>
  /** Lines. */
  readonly set: string
  /** Lines about the address that people use; '': the route sets or removes them. */
  readonly proto: string
  readonly port: string
  /** The part of the path that a rewrite removes; `''`: none. */
  readonly prefix: string
  readonly hop: HopMark
  /** The loop mark for a request that has passed no other route. */
  readonly firstHop: string
}

const MAX_NAMES = 1024

export function createHeaderContext({ logger, ...options }: HeaderContextOptions): HeaderContext {
  return {
    ...options,
    plantsOurs: createSetCookieGuard(options.cookieNames, logger),
    treatments: new Map(),
    plans: new WeakMap(),
  }
}

/** What an upstream is sent. */
export interface UpstreamHead {
  /** undefined: host and port of the upstream's address. */
  readonly host: string | undefined
  /** Lines (http/header-lines.ts), all tidy, without Host and framing, which are left to whoever writes the request. */
  readonly headers: string
}

/**
 * The headers of the request to the upstream: runs of the client's lines as they came, then ours.
 * @param identity lines of the identity headers; '' when none are passed.
 * @param peer address of the client's connection, canonical.
 * @param trace lines of our own trace, which counts instead of the client's; '': there is none.
 * Throws ERR_LOOP for a request that this route has forwarded before.
 */
export function upstreamHeaders(
  grant: Grant<Forward>,
  lines: HeaderLines,
  identity: string,
  context: HeaderContext,
  peer: string,
  trace = '',
): UpstreamHead {
  const { route, request } = grant
  const plan = planOf(route, context)
  const { keeps, prefix } = plan
  const { text, count } = lines
  let nominated: Set<string> | undefined
  let chain = ''
  let hops = ''
  let outerPrefix = ''
  let headers = ''
  /** Start of the current run of unchanged lines; −1: there is none. */
  let run = -1
  for (let i = 0; i < count; i++) {
    const name = lines.name(i)
    const treatment = treatmentOf(name, context)
    let kept = treatment === 'keep' && keeps(name.normal)
    /** Written instead of the line. */
    let instead = ''
    switch (treatment) {
      case 'keep':
      case 'drop':
        break
      case 'connection':
        nominated = nominatedBy(lines.value(i), nominated)
        break
      case 'forwarded-for':
        chain = chain === '' ? lines.value(i) : `${chain},${lines.value(i)}`
        break
      case 'hop':
        hops = hops === '' ? lines.value(i) : `${hops},${lines.value(i)}`
        break
      case 'cookie': {
        if (!keeps('cookie')) break
        const value = lines.value(i)
        const cookies = withoutCookies(value, context.cookieNames)
        if (cookies === value) kept = cookies !== ''
        else if (cookies !== '') instead = field(name.spelling, cookies)
        break
      }
      case 'authorization':
        kept = keeps('authorization') && !isWithheld(lines.value(i), request, route)
        break
      case 'foreign':
        // Another spelling of an allowed name would be a second copy to some applications.
        if (!keeps(name.normal) || (trace !== '' && isOfTrace(name.lower))) break
        if (plan.allows.has(name.lower) || (request.hop && isOfTrustedHops(name.lower)))
          if (prefix !== '' && name.lower === 'x-forwarded-prefix') outerPrefix = lines.value(i)
          else kept = true
    }
    if (kept && !lines.isTidy(i)) {
      kept = false
      instead = field(name.spelling, lines.value(i))
    }
    if (kept) {
      if (run === -1) run = lines.start(i)
    } else {
      if (run !== -1) headers += text.slice(run, lines.start(i))
      headers += instead
      run = -1
    }
  }
  if (run !== -1) headers += text.slice(run, lines.end(count - 1))
  if (nominated) headers = withoutNominated(headers, nominated)

  headers += plan.set
  if (keeps('x-forwarded-for')) headers += field('x-forwarded-for', forwardedFor(chain, request.clientIp, peer))
  headers += plan.proto
  if (keeps('x-forwarded-host')) headers += field('x-forwarded-host', authorityOf(request))
  headers += plan.port
  if (prefix !== '' && keeps('x-forwarded-prefix'))
    headers += field('x-forwarded-prefix', outerPrefix.replace(/\/$/, '') + prefix)
  if (trace !== '' && keeps('traceparent')) headers += trace
  headers += field('x-request-id', request.id)
  headers += (hops === '' ? plan.firstHop : field(HOP_HEADER, plan.hop.next(hops))) + identity
  const host = rewrittenHost(route.action.rewrite.host, request, headers)
  if (hasDestination(request.method)) headers = withDestination(headers, grant, host)
  return { host, headers }
}

/** `Destination` as it was judged, with the upstream's own scheme and host: servers compare them with theirs. */
function withDestination(headers: string, { route, request }: Grant<Forward>, host: string | undefined): string {
  const { upstreams, rewrite } = route.action
  const list = listOf(headers)
  const at = list.findIndex((name, i) => i % 2 === 0 && name.toLowerCase() === 'destination')
  const path = at === -1 ? undefined : destinationPath(list[at + 1] as string, request)
  if (path === undefined) return headers
  const { protocol, host: own } = new URL(upstreams[0].origin)
  const authority = host ?? (upstreams.length === 1 ? own : '')
  const scheme = protocol === 'https:' ? 'https' : 'http'
  list[at + 1] = (authority === '' ? '' : `${scheme}://${authority}`) + rewrittenPath(rewrite.path, path)
  return linesOf(list)
}

/**
 * The headers of the upstream's answer: hop-by-hop and nominated ones and cookies with a name of ours removed, addresses of
 * the upstream put back (routing/location.ts), other lines as they came, those of the route instead of the application's,
 * `X-Request-Id` ours, `Strict-Transport-Security` (RFC 6797) unless the application or the route says it.
 */
export function clientHeaders(
  lines: HeaderLines,
  status: number,
  { route, request }: Pick<Grant<Forward>, 'route' | 'request'>,
  { plantsOurs, transportSecurity }: Pick<HeaderContext, 'plantsOurs' | 'transportSecurity'>,
  sent: Sent,
): Pick<ResponseHead, 'headers' | 'length' | 'dated'> {
  const { responseHeaders: rewrites } = route.action.rewrite
  const { setResponseHeaders: set } = route
  const { text, count } = lines
  let secure = route.from.scheme !== 'https' || transportSecurity === '' || transportSecurity === 'off'
  let nominated: Set<string> | undefined
  let length: number | undefined
  let dated = false
  let headers = ''
  let run = -1
  for (let i = 0; i < count; i++) {
    const { kind, lower, spelling } = lines.name(i)
    const rewritten = rewrites && rewrittenHeader(rewrites, lower, lines.value(i))
    let kept = false
    let instead = rewritten
    switch (kind) {
      case 'connection':
        nominated = nominatedBy(lines.value(i), nominated)
        break
      case 'content-length':
        // RFC 9110 §8.6: 1xx and 204 have no Content-Length.
        if (status !== 204 && status !== 101) length = Number(lines.value(i))
        break
      case 'set-cookie':
        kept = !plantsOurs(rewritten ?? lines.value(i), route)
        break
      case 'location':
      case 'content-location':
        kept = true
        instead ??= publicLocation(lines.value(i), route, request, sent)
        break
      default:
        kept = !HOP_BY_HOP.has(lower) && kind !== 'x-request-id'
    }
    if (kept && set?.has(lower)) kept = false
    if (kept && kind === 'strict-transport-security') secure = true
    if (kept && kind === 'date') dated = true
    if (kept && instead === undefined && !lines.isTidy(i)) instead = lines.value(i)
    if (kept && instead === undefined) {
      if (run === -1) run = lines.start(i)
    } else {
      if (run !== -1) headers += text.slice(run, lines.start(i))
      if (kept && instead !== undefined) headers += field(spelling, instead)
      run = -1
    }
  }
  if (run !== -1) headers += text.slice(run, lines.end(count - 1))
  if (nominated) headers = withoutNominated(headers, nominated)
  if (set) for (const [name, value] of set) headers += field(name, value)
  if (!secure && !set?.has('strict-transport-security'))
    headers += field('strict-transport-security', transportSecurity)
  headers += field('x-request-id', request.id)
  return { headers, length, dated: dated && !nominated?.has('date') }
}

/** undefined: as it is. */
function rewrittenHeader(rewrites: readonly HeaderRewrite[], lower: string, value: string): string | undefined {
  const fits = rewrites.find(({ header, prefix }) => header === lower && value.startsWith(prefix))
  return fits && fits.value !== fits.prefix ? fits.value + value.slice(fits.prefix.length) : undefined
}

function treatmentOf(name: HeaderName, context: HeaderContext): Treatment {
  const known = context.treatments.get(name)
  if (known) return known
  const treatment = treat(name, context)
  if (context.treatments.size >= MAX_NAMES) context.treatments.clear()
  context.treatments.set(name, treatment)
  return treatment
}

function treat({ kind, lower, normal }: HeaderName, context: HeaderContext): Treatment {
  if (kind === 'connection' || kind === 'cookie' || kind === 'authorization') return kind
  if (lower === HOP_HEADER) return 'hop'
  if (kind === 'x-forwarded-for') return 'forwarded-for'
  if (reservedHeader(normal, context.identityHeaders) !== undefined) return 'drop'
  return isForeign(normal) ? 'foreign' : 'keep'
}

function planOf(route: Route<Forward>, context: HeaderContext): HeaderPlan {
  const known = context.plans.get(route)
  if (known) return known
  // A second identity header must never come from the route. The schema refuses it; this is for routes made otherwise.
  const own = identityHeaders(context.naming, route.action.identity.claimHeaders.keys())
  const set = [...route.action.setRequestHeaders].filter(([name]) => !reservedHeader(normalName(name), own))
  const { identity, removeRequestHeaders } = route.action
  const { path } = route.action.rewrite
  const written = [...set.map(([name]) => name), ...(identity.templates?.keys() ?? [])]
  // `Impersonate-…` of a client never passes: it is a foreign header, and such a route may not allow it.
  if (identity.kubernetesToken) written.push('authorization')
  const gone = new Set([...removeRequestHeaders, ...written].map(normalName))
  const keeps = gone.size === 0 ? () => true : (normal: string) => !gone.has(normal)
  // From the configuration: when a hop in front ends TLS, our socket speaks http although everybody uses https.
  const port = String(route.from.port ?? defaultPort(route.from.scheme))
  const hop = context.hopMark(route.id)
  const plan: HeaderPlan = {
    keeps,
    allows: new Set(route.action.allowRequestHeaders),
    // In one piece: what is put together of pieces is put together again with each request that it is written into.
    set: detached(linesOf(set.flat())),
    proto: keeps('x-forwarded-proto') ? detached(field('x-forwarded-proto', route.from.scheme)) : '',
    port: keeps('x-forwarded-port') ? detached(field('x-forwarded-port', port)) : '',
    prefix: path?.kind === 'prefix' ? path.prefix.replace(/\/$/, '') : '',
    hop,
    firstHop: detached(field(HOP_HEADER, hop.next(''))),
  }
  context.plans.set(route, plan)
  return plan
}

function withoutNominated(headers: string, nominated: ReadonlySet<string>): string {
  const list = listOf(headers)
  return linesOf(list.filter((_, i) => !nominated.has((list[i - (i % 2)] as string).toLowerCase())))
}

/** With a trusted hop: the chain that it vouches for, from the client's address on, then the hop itself. */
function forwardedFor(chain: string, clientIp: string, peer: string): string {
  if (clientIp === peer) return peer
  if (clientIp === UNKNOWN_CLIENT) return `${UNKNOWN_CLIENT}, ${peer}`
  const hops = chain.split(',').map((hop) => hop.trim())
  const client = hops.lastIndexOf(clientIp)
  return [...(client === -1 ? [clientIp] : hops.slice(client)), peer].join(', ')
}
