import type { Live } from '../model.ts'
import type { Balancing, BalancingPolicy, HealthCheck, OutlierDetection, Upstream } from '../route-model.ts'
import type { Span } from '../../types.ts'
import type { Path, Report } from '../issues.ts'
import { type CircuitBreakerInput, IGNORED_OF_CHECKS, IGNORED_OF_OUTLIERS } from '../schema/balancing.ts'
import type { RouteInput } from '../schema/route.ts'

/** Below this share of healthy upstreams all get requests; Envoy's default is the same. */
const PANIC_THRESHOLD = 50

/** How requests are shared among the upstreams of a route. */
export function compileBalancing(
  input: RouteInput,
  upstreams: readonly Upstream[],
  global: CircuitBreakerInput,
  path: Path,
  report: Report,
): Balancing {
  const { load_balancing_policy: written, lb_policy: alias, retries } = input
  if (written !== undefined && alias !== undefined) {
    report.error([...path, 'lb_policy'], 'load_balancing_policy is set too; set one of them')
  }
  const policy = (written ?? alias ?? 'ROUND_ROBIN').toUpperCase().replace(/^LB_/, '')
  const single = upstreams.length === 1
  if (policy !== 'ROUND_ROBIN' && single) {
    report.warning([...path, written === undefined ? 'lb_policy' : 'load_balancing_policy'], NOTHING_TO_CHOOSE)
  }
  if (input.outlier_detection && single) report.warning([...path, 'outlier_detection'], NOTHING_TO_CHOOSE)
  const checks = input.health_checks.map((check, i) =>
    compileCheck(check, upstreams, [...path, 'health_checks', i], report),
  )
  const breaker = { ...global, ...input.circuit_breaker_thresholds }
  return {
    policy: POLICIES[policy as keyof typeof POLICIES],
    retries: retries ?? { attempts: 0, on: [] },
    maxRetries: breaker.max_retries ?? Number.POSITIVE_INFINITY,
    checks: checks.filter((check) => check !== undefined),
    ...(input.outlier_detection && {
      outlier: compileOutlier(input.outlier_detection, [...path, 'outlier_detection'], report),
    }),
    panicThreshold: input.healthy_panic_threshold ?? PANIC_THRESHOLD,
    limits: compileLimits(input.circuit_breaker_thresholds ?? {}),
  }
}

const NOTHING_TO_CHOOSE = 'no effect with a single upstream'

const POLICIES = {
  ROUND_ROBIN: 'round-robin',
  LEAST_REQUEST: 'least-request',
  RANDOM: 'random',
  RING_HASH: 'hash',
  MAGLEV: 'hash',
} as const satisfies Record<string, BalancingPolicy>

/** `circuit_breaker_thresholds` as our limits. With HTTP/1.1 a request has a connection of its own. */
export function compileLimits({
  max_connections: connections,
  max_requests: requests,
  max_pending_requests: pending,
}: CircuitBreakerInput): Partial<Pick<Live, 'upstreamMaxConnections' | 'upstreamMaxPending'>> {
  const most = Math.min(connections ?? Number.POSITIVE_INFINITY, requests ?? Number.POSITIVE_INFINITY)
  return {
    ...(Number.isFinite(most) && { upstreamMaxConnections: most }),
    ...(pending !== undefined && { upstreamMaxPending: pending }),
  }
}

type CheckInput = RouteInput['health_checks'][number]

function compileCheck(
  input: CheckInput,
  upstreams: readonly Upstream[],
  path: Path,
  report: Report,
): HealthCheck | undefined {
  const written = PROBES.filter((key) => input[key] !== undefined)
  const [, second] = written
  if (written.length !== 1) {
    const found = second === undefined ? '' : `, found ${written.join(' and ')}`
    report.error(second === undefined ? path : [...path, second], `expected one of ${PROBES.join(', ')}${found}`)
    return undefined
  }
  warnOfIgnored(input, IGNORED_OF_CHECKS, path, report)
  if (input.timeout === 0) report.error([...path, 'timeout'], 'expected a duration above 0')
  if (input.interval < MIN_INTERVAL) report.error([...path, 'interval'], 'expected at least 100ms')
  const probe = compileProbe(input, upstreams, path, report)
  return (
    probe && {
      timeout: input.timeout,
      interval: input.interval,
      initialJitter: input.initial_jitter,
      intervalJitter: input.interval_jitter,
      unhealthyThreshold: input.unhealthy_threshold,
      healthyThreshold: input.healthy_threshold,
      probe,
    }
  )
}

/** More often is a load of its own. */
const MIN_INTERVAL: Span = 100
const PROBES = ['http_health_check', 'tcp_health_check', 'grpc_health_check'] as const

function compileProbe(
  { http_health_check: http, tcp_health_check: tcp, grpc_health_check: grpc }: CheckInput,
  upstreams: readonly Upstream[],
  path: Path,
  report: Report,
): HealthCheck['probe'] | undefined {
  if (http) {
    const at = [...path, 'http_health_check']
    if (!/^\/[\x21-\x7e]*$/.test(http.path)) report.error([...at, 'path'], 'expected a path without spaces')
    for (const [i, { start, end }] of http.expected_statuses.entries()) {
      if (end <= start)
        report.error([...at, 'expected_statuses', i], `expected an end above ${start}; it is not included`)
    }
    return {
      kind: 'http',
      path: http.path,
      expected: http.expected_statuses,
      ...(http.host !== undefined && { host: http.host }),
    }
  }
  if (grpc) {
    if (upstreams.some(({ origin }) => !/^(?:h2c|https)/.test(origin))) {
      report.error([...path, 'grpc_health_check'], 'gRPC needs HTTP/2: upstreams with https:// or h2c://')
      return undefined
    }
    const { service_name: service, authority } = grpc
    return { kind: 'grpc', service, ...(authority !== undefined && { authority }) }
  }
  const bytes = (written: { readonly text: string }): Buffer => Buffer.from(written.text, 'hex')
  return { kind: 'tcp', send: tcp?.send ? bytes(tcp.send) : Buffer.alloc(0), receive: (tcp?.receive ?? []).map(bytes) }
}

function compileOutlier(
  input: NonNullable<RouteInput['outlier_detection']>,
  path: Path,
  report: Report,
): OutlierDetection {
  warnOfIgnored(input, IGNORED_OF_OUTLIERS, path, report)
  if (input.base_ejection_time === 0) report.error([...path, 'base_ejection_time'], 'expected a duration above 0')
  return {
    consecutive5xx: input.enforcing_consecutive_5xx === 0 ? 0 : input.consecutive_5xx,
    consecutiveGatewayFailure:
      input.enforcing_consecutive_gateway_failure === 0 ? 0 : input.consecutive_gateway_failure,
    baseEjectionTime: input.base_ejection_time,
    maxEjectionTime: input.max_ejection_time,
    maxEjectionPercent: input.max_ejection_percent,
  }
}

function warnOfIgnored<K extends string>(
  input: Readonly<Partial<Record<K, unknown>>>,
  names: readonly K[],
  path: Path,
  report: Report,
): void {
  for (const name of names) {
    if (input[name] !== undefined) report.warning([...path, name], 'a key of Envoy that is ignored here')
  }
}
