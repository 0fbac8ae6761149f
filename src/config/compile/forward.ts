import { fingerprint } from '../../lib/fingerprint.ts'
import { identityHeaders } from '../../lib/header-names.ts'
import { shared } from '../../lib/shared.ts'
import type { Policy } from '../../policy/model.ts'
import type { RoutePolicies } from './access.ts'
import type { Path, Report } from '../issues.ts'
import type { DownstreamMtls, Naming } from '../model.ts'
import type { Conditions, Forward, PathMatch, RouteFrom } from '../route-model.ts'
import type { CircuitBreakerInput } from '../schema/balancing.ts'
import type { RouteInput } from '../schema/route.ts'
import type { compileBearer } from './bearer.ts'
import { compileBalancing } from './balancing.ts'
import { compileRouteHeaders } from './headers.ts'
import { compileIdentity, type IdentityDefaults, reportUntold } from './identity.ts'
import { compileKubernetes } from './kubernetes.ts'
import type { PathDefaults } from './paths.ts'
import type { ResponseHeaders } from './response-headers.ts'
import { compileRewrite, type RewriteDefaults } from './rewrite.ts'
import { compileTimeouts, type TimeoutDefaults } from './timeouts.ts'
import { compileUpstreamTls } from './upstream-tls.ts'
import type { CompiledProvider } from './provider-settings.ts'
import type { parseFrom } from '../../routing/host.ts'
import { compileUpstreams } from './upstreams.ts'
import { ANY_SCHEME, parseOrigin } from './urls.ts'

/** What routes inherit. */
export interface RouteDefaults extends RewriteDefaults {
  readonly timeouts: TimeoutDefaults
  readonly circuitBreaker: CircuitBreakerInput
  readonly allowHttp: boolean
  readonly showErrorDetails: boolean
  readonly naming: Naming
  readonly identity: IdentityDefaults
  readonly policies: RoutePolicies
  readonly downstreamMtls: DownstreamMtls | undefined
  readonly providers: readonly CompiledProvider[]
  readonly responseHeaders: ResponseHeaders
  readonly paths: PathDefaults
  readonly tokens: Parameters<typeof compileBearer>[3]
  /** One for all routes that forward alike: what is asked of thousands of routes in turn stays near the processor. */
  readonly forwards: Map<string, Forward>
  /** By how they are written. */
  readonly froms: Map<string, ReturnType<typeof parseFrom>>
}

/** What of a route does not depend on its action; undefined: it was complained of. */
export interface RouteParts {
  readonly from: RouteFrom | undefined
  readonly match: PathMatch | undefined
  readonly conditions: Conditions | undefined
  readonly policy: Policy | undefined
}

export interface RouteIdentity {
  readonly claimHeaders: ReadonlyMap<string, string>
  /** Normal names of the headers that say who is signed in, on any route. */
  readonly all: ReadonlySet<string>
}

/** What a route with `to` does. */
export function compileForward(
  input: RouteInput,
  { from, match, policy }: RouteParts,
  { claimHeaders, all }: RouteIdentity,
  path: Path,
  defaults: RouteDefaults,
  report: Report,
): Forward | undefined {
  const target = input.to === undefined ? undefined : compileUpstreams(input.to, [...path, 'to'], report)
  const rewrite = match && target && compileRewrite(input, match, target, path, defaults, report)
  const own = identityHeaders(defaults.naming, claimHeaders.keys())
  const headers = compileRouteHeaders(input, path, { own, all }, report)
  const origins = input.allow_origins.map(
    (text, i) => parseOrigin(text, ANY_SCHEME, [...path, 'allow_origins', i], report)?.origin,
  )
  const balancing = compileBalancing(input, target?.upstreams ?? [], defaults.circuitBreaker, path, report)
  const tls = compileUpstreamTls(input, target?.upstreams ?? [], path, report)
  const kubernetes = compileKubernetes(input, path, policy, claimHeaders.keys(), target?.upstreams ?? [], report)
  if (!from || !policy || !target || !rewrite || !headers) return undefined

  const identity = compileIdentity(input, claimHeaders, headers.templates, kubernetes, from, policy, defaults.identity)
  reportUntold(input, identity, policy, path, report)
  const action: Forward = {
    kind: 'forward',
    upstreams: target.upstreams,
    rewrite,
    ...headers.headers,
    timeouts: compileTimeouts(input, defaults.timeouts),
    identity,
    allowWebsockets: input.allow_websockets,
    allowUpgrades: compileUpgrades(input, path, report),
    allowOrigins: origins.filter((origin) => origin !== undefined),
    balancing,
    tls,
  }
  // Retries are counted by what is done: where they are limited, each route has its own.
  return balancing.maxRetries === Infinity ? shared(defaults.forwards, fingerprint(action), () => action) : action
}

function compileUpgrades(input: RouteInput, path: Path, report: Report): readonly string[] {
  for (const [i, text] of input.allow_upgrades.entries()) {
    const problem = upgradeProblem(text.toLowerCase())
    if (problem !== undefined) report.error([...path, 'allow_upgrades', i], problem)
  }
  const named = input.allow_upgrades.map((text) => text.toLowerCase())
  return [...new Set([...named, ...(input.allow_spdy ? ['spdy/3.1'] : [])])]
}

function upgradeProblem(protocol: string): string | undefined {
  if (protocol === 'websocket') return 'write `allow_websockets: true`'
  if (protocol === 'h2c') return 'requests of HTTP/2 in a tunnel would pass unjudged'
  return /^[a-z0-9._-]{1,40}(?:\/[a-z0-9.]{1,10})?$/.test(protocol)
    ? undefined
    : 'expected the name of a protocol as clients write it into `Upgrade`, such as `spdy/3.1`'
}
