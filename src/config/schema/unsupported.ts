/**
 * Keys that Pomerium knows and Postern does not carry out. What nobody can miss is ignored, with a warning. Whatever
 * somebody may rely on (mTLS, a redirect) is an error: ignoring it would be worse than not starting.
 */
type Advice = readonly (readonly [key: string, advice: string])[]

const names = (keys: string, advice: string): Advice =>
  keys
    .split(/\s+/)
    .filter(Boolean)
    .map((key) => [key, advice])

const ignoredGlobals: ReadonlyMap<string, string> = new Map([
  ...names(
    `
    grpc_address grpc_insecure grpc_client_timeout grpc_client_dns_roundrobin authenticate_internal_service_url
    authorize_service_url authorize_service_urls authorize_internal_service_url databroker_service_url
    databroker_service_urls databroker_internal_service_url cache_service_url databroker_cluster_leader_id
    databroker_cluster_node_id databroker_cluster_nodes databroker_raft_bind_address override_certificate_name
    tls_derive auto_apply_changesets session_recording_concurrency`,
    'Postern is one process',
  ),
  ...names(
    `
    envoy_admin_address envoy_admin_access_log_path envoy_admin_profile_path envoy_bind_config_source_address
    envoy_bind_config_freebind envoy_dynamic_extensions runtime_flags debug_address health_check_systemd_disabled`,
    'it concerns the inside of Pomerium',
  ),
  ...names(
    `
    dns_lookup_family dns_failure_refresh_rate dns_refresh_rate dns_query_timeout dns_query_tries
    dns_udp_max_queries dns_use_tcp dns_resolvers`,
    'names are looked up by the operating system',
  ),
  ...names('proxy_log_level pomerium_debug', 'there is one log, whose level is `log_level`'),
  ...names(
    `
    tracing_provider tracing_sample_rate tracing_jaeger_collector_endpoint tracing_jaeger_agent_endpoint
    tracing_zipkin_endpoint tracing_datadog_address`,
    'traces are sent by OTLP, see otel_traces_exporter',
  ),
  ['otel_log_level', 'there is one log, whose level is `log_level`'],
  ['installation_id', 'metrics have no such label'],
  ['cookie_domain', 'each host has a cookie of its own, and one sign-in serves them all'],
  ['autocert_dir', 'certificates are kept in the store, sealed'],
  ['autocert_must_staple', 'authorities have given up OCSP (https://letsencrypt.org/2024/12/05/ending-ocsp/)'],
  ['cookie_secure', 'the cookie is always Secure on https'],
])

const ignoredRouteKeys: ReadonlyMap<string, string> = new Map([
  ['depends_on', 'each host has a cookie of its own, and one sign-in serves them all'],
  ...names('least_request_lb_config ring_hash_lb_config maglev_lb_config', 'there is nothing to tune'),
  ['regex_priority_order', 'routes are tried in the order of the file'],
  ['tls_upstream_allow_renegotiation', 'TLS 1.3 has no renegotiation, and Postern never asks for one'],
])

const OTHER_PROTOCOLS = 'Postern proxies HTTP only; it is safe to remove when the routes that use it go, too'
const METRICS = 'everybody who reaches metrics_address may read the metrics; bind it to 127.0.0.1 before you remove it'

const unsupportedGlobals: ReadonlyMap<string, string> = new Map([
  ...names('client_ca client_ca_file client_crl client_crl_file', 'write `downstream_mtls: {ca_file: …, crl_file: …}`'),
  ...names(
    `
    ssh_address ssh_host_key_files ssh_host_keys ssh_user_ca_key ssh_user_ca_key_file ssh_rls_enabled
    ssh_rls_additional_entries mcp_allowed_client_id_domains mcp_allowed_as_metadata_domains`,
    OTHER_PROTOCOLS,
  ),
  ['bearer_token_format', 'write it on each route that takes tokens'],
  ['idp_access_token_allowed_audiences', 'write `bearer_token_audience` on each route that takes tokens'],
  ...names(
    `
    metrics_basic_auth metrics_certificate metrics_certificate_file metrics_certificate_key
    metrics_certificate_key_file metrics_client_ca metrics_client_ca_file`,
    METRICS,
  ),
  ['skip_xff_append', 'X-Forwarded-For always names the client; remove it unless an upstream must not see that'],
  ['allow_upgrades', 'write it on each route; WebSockets are allowed unless `allow_websockets: false`'],
  ['timeout_write', 'answers have no total limit; see client_write_timeout and default_upstream_timeout'],
  ['blob_storage', 'no session is recorded; remove it only if nobody has to keep records'],
  [
    'headers_with_underscores_action',
    'headers that say who somebody is are removed in every spelling, others pass; remove it if that will do',
  ],
  ['google_cloud_serverless_authentication_service_account', 'no Google token is added; see set_request_headers'],
  ['policy_file', 'write `routes:`'],
  ['headers', 'write `set_response_headers`'],
  [
    'forward_auth_url',
    'forward-auth needs no key: a proxy of trusted_proxies asks by its own path (docs/forward-auth.md)',
  ],
])

const unsupportedRouteKeys: ReadonlyMap<string, string> = new Map([
  ...names(
    'tls_downstream_client_ca tls_downstream_client_ca_file',
    'write `downstream_mtls: {ca_file: …, enforcement: policy}`, and a rule with `client_certificate` on this route',
  ),
  ...names('mcp mcp_tool upstream_tunnel', OTHER_PROTOCOLS),
  ['idp_access_token_allowed_audiences', 'write `bearer_token_audience`'],
  ['identity_providers', 'write `bearer_token_issuers`, with names of `token_issuers`'],
  ...names(
    'idp_client_id idp_client_secret',
    'write the client into `identity_providers`, with the same url, and its name into `identity_provider` of the route',
  ),
  ['enable_google_cloud_serverless_authentication', 'no Google token is added; see set_request_headers'],
  ['tls_downstream_server_name', 'the certificate is chosen by the host; it is safe to remove'],
  ['session_recording', 'no session is recorded; remove it only if nobody has to keep records'],
  ['sub_policies', 'write their rules into `policy`; without them nobody is let in by them'],
  [
    'set_authorization_header',
    'tokens of the provider stay sealed in the session; write `set_request_headers: {Authorization: Bearer ${pomerium.jwt}}`',
  ],
])

/** What each of these does unless it is written; the default of any other key is to do nothing. */
const DEFAULTS: Readonly<Record<string, string | boolean>> = {
  headers_with_underscores_action: 'reject_request',
  bearer_token_format: 'default',
  set_authorization_header: 'pass_through',
}

/** What to say about a key of Pomerium that Postern does not have; undefined for a key that is none of Pomerium's. */
export function describeForeignKey(
  key: string,
  value: unknown,
  where: 'global' | 'route',
): { readonly severity: 'error' | 'warning'; readonly message: string } | undefined {
  const [ignored, unsupported] =
    where === 'global' ? [ignoredGlobals, unsupportedGlobals] : [ignoredRouteKeys, unsupportedRouteKeys]
  const reason = ignored.get(key)
  const name = `"${key}" is a key of Pomerium that`
  if (reason !== undefined) return { severity: 'warning', message: `${name} is ignored here: ${reason}` }
  const advice = unsupported.get(key)
  if (advice === undefined) return undefined
  if (doesNothing(key, value))
    return { severity: 'warning', message: `${name} does nothing with this value; remove it` }
  return { severity: 'error', message: `${name} is not supported yet: ${advice}` }
}

/** Every such key, for those who look for a name. */
export function foreignKeys(where: 'global' | 'route'): readonly string[] {
  const maps = where === 'global' ? [ignoredGlobals, unsupportedGlobals] : [ignoredRouteKeys, unsupportedRouteKeys]
  return maps.flatMap((keys) => [...keys.keys()])
}

function doesNothing(key: string, value: unknown): boolean {
  const fallback = DEFAULTS[key]
  if (fallback !== undefined) return value === fallback || value === String(fallback)
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0
  return [undefined, null, '', 0, false, 'false', '0s'].includes(value as null)
}
