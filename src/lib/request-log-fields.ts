/** Names by which `access_log_fields` and `authorize_log_fields` choose what the line of a request says: ours, and Pomerium's. */
import type { LogFields } from './log-fields.ts'

type Name = keyof LogFields

/** In the line unless `access_log_fields` chooses. */
export const ACCESS_FIELDS = [
  'request_id',
  'trace_id',
  'client_ip',
  'method',
  'host',
  'path',
  'protocol',
  'user_agent',
  'forward_auth',
  'client_certificate_fault',
  'status',
  'bytes_out',
  'duration_ms',
  'upstream',
  'upstream_ms',
  'bytes_in',
  'hint',
] as const satisfies readonly Name[]

/** In the line unless `authorize_log_fields` chooses. */
export const AUTHORIZE_FIELDS = [
  'route',
  'route_id',
  'auth',
  'by_token',
  'user_id',
  'email',
  'session',
  'service_account',
  'token',
  'certificate',
  'issuer',
] as const satisfies readonly Name[]

/** In the line only where one of the two keys asks for them. */
export const ASKED_FIELDS = [
  'query',
  'referer',
  'forwarded_for',
  'client_certificate',
] as const satisfies readonly Name[]

/** Pomerium's names of the same, of both of its lists. */
export const POMERIUM_FIELDS = {
  authority: 'host',
  'client-certificate': 'client_certificate',
  'cluster-stat-name': 'route',
  duration: 'duration_ms',
  'forwarded-for': 'forwarded_for',
  ip: 'client_ip',
  'request-id': 'request_id',
  'check-request-id': 'request_id',
  'response-code': 'status',
  size: 'bytes_out',
  'upstream-cluster': 'upstream',
  'user-agent': 'user_agent',
  'route-id': 'route_id',
  'envoy-route-id': 'route_id',
  'service-account-id': 'service_account',
  'session-id': 'session',
  user: 'user_id',
} as const satisfies Readonly<Record<string, Name>>

/** What Pomerium has and Postern has not, or always says. */
export const POMERIUM_OTHERS = {
  'response-code-details': 'detail, limit, cut and error are in every line that has them',
  'route-checksum': 'see route_id',
  'envoy-route-checksum': 'see route_id',
  'removed-groups-count': 'no groups are removed',
  'impersonate-email': 'nobody is impersonated',
  'impersonate-session-id': 'nobody is impersonated',
  'impersonate-user-id': 'nobody is impersonated',
  'mcp-method': 'bodies are not looked at',
  'mcp-tool': 'bodies are not looked at',
  'mcp-tool-parameters': 'bodies are not looked at',
  body: 'bodies are not looked at',
  headers: 'cookies and tokens are among them: name the ones that you need, as headers.X-Name',
  'id-token': 'tokens are never logged',
  'id-token-claims': 'see user_id and email',
} as const satisfies Readonly<Record<string, string>>

/** `headers.X-Name`. */
export const HEADER_FIELD = /^headers\.([!#$%&'*+.^_`|~0-9A-Za-z-]{1,100})$/
