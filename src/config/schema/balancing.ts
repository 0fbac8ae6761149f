import { z } from 'zod'
import { duration, integer, oneOf, path, text } from './fields.ts'

const POLICIES = ['ROUND_ROBIN', 'LEAST_REQUEST', 'RING_HASH', 'MAGLEV', 'RANDOM'] as const
const POLICY = `one of ${POLICIES.join(', ')}`

/** `LB_ROUND_ROBIN` and `round_robin` are the same. */
export const balancingPolicy = z
  .string({ error: POLICY })
  .regex(new RegExp(`^(?:(?:LB_)?(?:${POLICIES.join('|')})|${POLICIES.join('|').toLowerCase()})$`), { error: POLICY })

const RETRIES = 'a map such as {attempts: 2, on: [connect-failure, reset]}'

export const retries = z.strictObject(
  {
    attempts: integer(1, 10).default(1).describe('Attempts beyond the first.'),
    on: z
      .array(oneOf('connect-failure', 'reset', 'gateway-error'), {
        error: 'a list of connect-failure, reset, gateway-error',
      })
      .min(1, { error: 'at least one of connect-failure, reset, gateway-error' })
      .describe(
        '`connect-failure`: no connection, any method. `reset`: closed before an answer, and `gateway-error`: 502, 503 or 504; both for idempotent methods without a body.',
      ),
  },
  { error: RETRIES },
)

/** Keys of Envoy that change when something is found out, and not what. */
function ignored<const K extends string>(...names: readonly K[]): { [N in K]: z.ZodOptional<z.ZodUnknown> } {
  const keys = names.map((name) => [name, z.unknown().optional().describe("Envoy's key, ignored.")])
  // The names are exactly those of the return type.
  return Object.fromEntries(keys) as { [N in K]: z.ZodOptional<z.ZodUnknown> }
}

export const IGNORED_OF_CHECKS = [
  'no_traffic_interval',
  'no_traffic_healthy_interval',
  'unhealthy_interval',
  'unhealthy_edge_interval',
  'healthy_edge_interval',
  'reuse_connection',
  'always_log_health_check_failures',
  'always_log_health_check_success',
] as const

export const IGNORED_OF_OUTLIERS = [
  'interval',
  'max_ejection_time_jitter',
  'split_external_local_origin_errors',
  'consecutive_local_origin_failure',
  'enforcing_consecutive_local_origin_failure',
  'enforcing_local_origin_success_rate',
  'enforcing_success_rate',
  'success_rate_minimum_hosts',
  'success_rate_request_volume',
  'success_rate_stdev_factor',
  'failure_percentage_threshold',
  'enforcing_failure_percentage',
  'enforcing_failure_percentage_local_origin',
  'failure_percentage_minimum_hosts',
  'failure_percentage_request_volume',
] as const

const hex = z.string({ error: 'bytes in hex' }).regex(/^(?:[0-9a-fA-F]{2})+$/, { error: 'bytes in hex' })
const payload = z.strictObject({ text: hex }, { error: 'a map such as {text: "50494e47"}, bytes in hex' })

const httpCheck = z.strictObject(
  {
    path: path.describe('Path, perhaps with a query.'),
    host: text.optional().describe("Host header. Default: the upstream's own."),
    expected_statuses: z
      .array(
        z.strictObject(
          { start: integer(100, 599), end: integer(101, 600).describe('Not included.') },
          { error: 'a range such as {start: 200, end: 300}' },
        ),
        { error: 'a list of ranges such as {start: 200, end: 300}' },
      )
      .default([{ start: 200, end: 201 }])
      .describe('Statuses that are healthy, `end` not included. Default: 200.'),
  },
  { error: 'a map such as {path: /healthz}' },
)
const tcpCheck = z.strictObject(
  {
    send: payload.optional().describe('What is sent once connected. Default: nothing.'),
    receive: z
      .array(payload, { error: 'a list such as [{text: "504f4e47"}]' })
      .default([])
      .describe('What must come, in this order. Default: a connection is enough.'),
  },
  { error: 'a map, {} for a mere connection' },
)
const grpcCheck = z.strictObject(
  {
    service_name: z
      .string({ error: 'text' })
      .max(100, { error: 'at most 100 characters' })
      .default('')
      .describe('Service to ask for.'),
    authority: text.optional().describe("Authority of the call. Default: the upstream's own."),
  },
  { error: 'a map such as {service_name: my.Service}' },
)

export const healthChecks = z.array(
  z.strictObject(
    {
      timeout: duration.prefault('5s').describe('Timeout of one check.'),
      interval: duration.prefault('10s').describe('Time between two checks.'),
      initial_jitter: duration.prefault('1s').describe('The first check comes at a random time within this.'),
      interval_jitter: duration.prefault('1s').describe('At most this much is added to each interval.'),
      unhealthy_threshold: integer(1, 1000).default(2).describe('Failures in a row until it is unhealthy.'),
      healthy_threshold: integer(1, 1000).default(1).describe('Successes in a row until it is healthy again.'),
      http_health_check: httpCheck.optional().describe('A GET request.'),
      tcp_health_check: tcpCheck.optional().describe('A connection, and bytes.'),
      ...ignored(...IGNORED_OF_CHECKS),
      grpc_health_check: grpcCheck
        .optional()
        .describe("gRPC's own health check; the upstream is `https://` or `h2c://`."),
    },
    { error: 'a map such as {interval: 10s, http_health_check: {path: /healthz}}' },
  ),
  { error: 'a list of health checks' },
)

const percent = integer(0, 100)
export const panicThreshold = percent

export const outlierDetection = z.strictObject(
  {
    consecutive_5xx: integer(0, 10_000)
      .default(5)
      .describe('Errors in a row; failed connections are errors. 0: never.'),
    consecutive_gateway_failure: integer(0, 10_000)
      .default(0)
      .describe('Answers of 502, 503 and 504 in a row. 0: never.'),
    enforcing_consecutive_5xx: percent.default(100).describe('0: `consecutive_5xx` ejects nobody.'),
    enforcing_consecutive_gateway_failure: percent
      .default(100)
      .describe('0: `consecutive_gateway_failure` ejects nobody.'),
    ...ignored(...IGNORED_OF_OUTLIERS),
    base_ejection_time: duration
      .prefault('30s')
      .describe('Length of an ejection, times the number of ejections in a row.'),
    max_ejection_time: duration.prefault('5m').describe('Longest ejection.'),
    max_ejection_percent: percent
      .default(10)
      .describe('Share of the upstreams that may be ejected; one always, and never all.'),
  },
  { error: 'a map such as {consecutive_5xx: 5, base_ejection_time: 30s}' },
)

export const circuitBreaker = z.strictObject(
  {
    max_connections: integer(1, 65_535).optional().describe("Pomerium's name of `upstream_max_connections`."),
    max_pending_requests: integer(0, 1_000_000).optional().describe("Pomerium's name of `upstream_max_pending`."),
    max_requests: integer(1, 65_535)
      .optional()
      .describe('Requests to one upstream at the same time; the lower of this and `max_connections` counts.'),
    max_retries: integer(0, 65_535).optional().describe('Retries of one route at the same time. Default: no limit.'),
  },
  { error: 'a map such as {max_connections: 1024, max_pending_requests: 1024}' },
)

export type CircuitBreakerInput = z.output<typeof circuitBreaker>
