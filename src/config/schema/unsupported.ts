/**
 * Keys that Pomerium knows and Postern does not carry out. Each is an error: ignoring a key that somebody
 * relies on (mTLS, a redirect) would be worse than not starting. The value, when there is one, says what to do instead.
 */
const NOTHING = ''
const ONE_PROCESS = 'Postern is one process, remove it'

const names = (keys: string, advice = NOTHING): readonly (readonly [string, string])[] =>
  keys
    .split(/\s+/)
    .filter(Boolean)
    .map((key) => [key, advice])

export const unsupportedGlobals: ReadonlyMap<string, string> = new Map([
  ...names(
    `
    grpc_address grpc_insecure grpc_client_timeout grpc_client_dns_roundrobin authenticate_internal_service_url
    authorize_service_url authorize_service_urls authorize_internal_service_url databroker_service_url
    databroker_service_urls databroker_internal_service_url databroker_cluster_leader_id databroker_cluster_node_id
    databroker_cluster_nodes databroker_raft_bind_address certificate_authority certificate_authority_file
    override_certificate_name tls_derive envoy_admin_address envoy_admin_access_log_path envoy_admin_profile_path
    envoy_bind_config_source_address envoy_bind_config_freebind envoy_dynamic_extensions auto_apply_changesets`,
    ONE_PROCESS,
  ),
  ...names(`
    http_redirect_addr installation_id proxy_log_level access_log_fields authorize_log_fields debug_address
    health_check_systemd_disabled runtime_flags circuit_breaker_thresholds timeout_write certificates
    downstream_mtls use_proxy_protocol skip_xff_append codec_type allow_upgrades merge_slashes normalize_path
    headers_with_underscores_action path_with_escaped_slashes_action dns_lookup_family dns_failure_refresh_rate
    dns_refresh_rate dns_query_timeout dns_query_tries dns_udp_max_queries dns_use_tcp dns_resolvers
    idp_access_token_allowed_audiences bearer_token_format identity_providers programmatic_redirect_domain_whitelist
    jwt_groups_filter jwt_issuer_format set_response_headers google_cloud_serverless_authentication_service_account
    databroker_storage_connection_string_file metrics_basic_auth metrics_certificate
    metrics_certificate_file metrics_certificate_key metrics_certificate_key_file metrics_client_ca metrics_client_ca_file
    ssh_address ssh_host_key_files ssh_host_keys ssh_user_ca_key ssh_user_ca_key_file ssh_rls_enabled
    ssh_rls_additional_entries session_recording_concurrency blob_storage mcp_allowed_client_id_domains
    mcp_allowed_as_metadata_domains`),
  ...names(
    'autocert autocert_ca autocert_email autocert_use_staging autocert_must_staple autocert_eab_key_id autocert_eab_mac_key autocert_dir autocert_trusted_ca autocert_trusted_ca_file',
    'use `certificate_file` and `certificate_key_file`',
  ),
  ...names(
    'otel_traces_exporter otel_traces_sampler_arg otel_resource_attributes otel_log_level otel_attribute_value_length_limit otel_exporter_otlp_endpoint otel_exporter_otlp_protocol otel_exporter_otlp_headers otel_exporter_otlp_timeout otel_bsp_schedule_delay otel_bsp_max_export_batch_size',
  ),
  ['cookie_domain', 'each host has its own cookie'],
  ['cookie_secure', 'the cookie is always Secure on https'],
  ['policy_file', 'write `routes:`'],
  ['client_ca', NOTHING],
  ['client_ca_file', NOTHING],
  ['headers', NOTHING],
])

export const unsupportedRouteKeys: ReadonlyMap<string, string> = new Map([
  ...names(`
    description logo_url regex_priority_order load_balancing_policy health_checks healthy_panic_threshold
    outlier_detection circuit_breaker_thresholds idle_timeout allow_spdy allow_upgrades tls_downstream_server_name
    tls_downstream_client_ca
    tls_downstream_client_ca_file tls_upstream_allow_renegotiation upstream_tunnel mcp sub_policies
    regex_rewrite_pattern regex_rewrite_substitution host_rewrite host_rewrite_header host_path_regex_rewrite_pattern
    host_path_regex_rewrite_substitution redirect response set_response_headers rewrite_response_headers
    kubernetes_service_account_token kubernetes_service_account_token_file enable_google_cloud_serverless_authentication
    cors_allow_preflight idp_client_id idp_client_secret idp_access_token_allowed_audiences identity_providers
    bearer_token_format jwt_groups_filter jwt_issuer_format depends_on`),
  ['show_error_details', 'the 403 page always says why'],
  ['set_authorization_header', 'use `pass_identity_headers`'],
])

/** `not supported yet: use …`; undefined for a key that is none of Pomerium's. */
export function unsupportedKey(key: string, where: 'global' | 'route'): string | undefined {
  const advice = (where === 'global' ? unsupportedGlobals : unsupportedRouteKeys).get(key)
  if (advice === undefined) return undefined
  return `"${key}" is a key of Pomerium that is not supported yet${advice && `: ${advice}`}`
}
