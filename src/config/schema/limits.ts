import { z } from 'zod'
import { circuitBreaker } from './balancing.ts'
import { callTimeout, duration, integer } from './fields.ts'

const RATE = 'a number of requests a second above 0'
const rate = z.number({ error: RATE }).positive({ error: RATE }).max(1_000_000, { error: RATE })

/** How often somebody may ask (`rate_limit`), of all routes or of one. */
export const rateLimitSchema = z.strictObject(
  {
    per_client: rate
      .optional()
      .describe(
        'Requests a second of one client address (of IPv6: of its /64 network); beyond: 429. All processes of a store count together. Default: no limit.',
      ),
    per_person: rate
      .optional()
      .describe(
        'Requests a second of one person, or one program with a token, whatever their address; beyond: 429. Default: no limit.',
      ),
    burst: duration.prefault('5s').describe('What could have been sent in this time may be sent at once.'),
  },
  { error: 'a map with per_client, per_person, burst' },
)

export type RateLimitInput = z.output<typeof rateLimitSchema>

export const bodyLimit = integer(0, Number.MAX_SAFE_INTEGER)

/** How long upstreams are waited for, and how much of everything is taken; docs/time-limits.md. */
export const limitKeys = {
  default_upstream_timeout: duration.prefault('30s').describe('Timeout for the response header of upstreams; 0: none.'),
  upstream_connect_timeout: callTimeout.prefault('10s').describe('Connect timeout for upstreams.'),
  upstream_body_timeout: duration
    .prefault('5m')
    .describe('Idle timeout within a response body of upstreams; 0: none. Event streams have none.'),
  request_timeout: duration
    .prefault('0s')
    .describe(
      'Whole time of a request that is forwarded, from the end of its header to the end of its answer; beyond: 408 or 504, or the answer is cut. 0: none. WebSockets, event streams and gRPC that have begun to answer have none.',
    ),
  max_header_bytes: integer(1024, 32_768)
    .default(32_768)
    .describe('Most bytes of the header fields of a request; beyond: 431.'),
  max_headers: integer(16, 1000).default(1000).describe('Most header fields of a request; beyond: 431.'),
  max_url_length: integer(256, 32_768)
    .default(32_768)
    .describe(
      'Longest path and query of a request, in bytes; beyond: 414. The request line and the header fields have 32 KiB together.',
    ),
  max_request_body: bodyLimit
    .default(0)
    .describe('Most bytes of a request body; beyond: 413. 0: as many as come, because none is kept.'),
  rate_limit: rateLimitSchema
    .prefault({})
    .describe('How often one client, and one person, may ask, of all hosts together.'),
  upstream_max_connections: integer(1, 65_535)
    .default(512)
    .describe('Requests to one upstream at the same time, over HTTP/1.1 each on a connection of its own.'),
  upstream_max_pending: integer(0, 1_000_000)
    .default(1024)
    .describe('Requests that may wait for a connection to one upstream; beyond: 503.'),
  upstream_queue_timeout: duration
    .prefault('10s')
    .describe('Timeout for waiting for a connection to an upstream, then 503; 0: none.'),
  upstream_max_tunnels: integer(0, 1_000_000)
    .default(16_384)
    .describe('WebSockets to one upstream at the same time; beyond: 503.'),
  circuit_breaker_thresholds: circuitBreaker
    .prefault({})
    .describe("Pomerium's names of these limits; a route may have its own."),
}

/** How long clients are waited for. */
export const clientTimeoutKeys = {
  timeout_read: duration.prefault('10s').describe('Timeout for reading the header of a request.'),
  timeout_idle: duration.prefault('65s').describe('Idle timeout of client connections.'),
  client_body_timeout: duration
    .prefault('60s')
    .describe('Idle timeout within a request body: a client that sends nothing for this long gets 408; 0: none.'),
  client_body_min_rate: integer(0, 1_000_000)
    .default(240)
    .describe(
      'Slowest request body, in bytes a second: a slower one ends with 408, once the client has kept us waiting for its idle timeout in all. 0: no limit.',
    ),
  client_write_timeout: duration
    .prefault('60s')
    .describe('Write timeout of clients: one that reads nothing of its answer for this long is cut off; 0: none.'),
  tunnel_idle_timeout: duration.prefault('1h').describe('Idle timeout of WebSockets; 0: none.'),
  tunnel_max_lifetime: duration
    .prefault('0s')
    .describe(
      'Lifetime of WebSockets and other upgraded connections, however busy they are; then both ends are closed. 0: none.',
    ),
}
