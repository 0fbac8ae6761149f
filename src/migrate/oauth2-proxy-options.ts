/**
 * The options of oauth2-proxy that `oauth2-proxy.ts` does not carry over, by their names in its cfg file.
 * `restricts`: without it more people would be let in, so that nobody is let in until somebody has written a rule.
 */
export type Fate = { readonly kind: 'lost' | 'unneeded' | 'restricts'; readonly message: string }

const fates = (kind: Fate['kind'], message: string, names: string): readonly (readonly [string, Fate])[] =>
  names
    .split(/\s+/)
    .filter(Boolean)
    .map((name) => [name, { kind, message }])

export const FATES: ReadonlyMap<string, Fate> = new Map([
  ...fates(
    'restricts',
    'it says who may sign in',
    'github_org github_team github_repo github_users bitbucket_team bitbucket_repository gitlab_projects google_use_organization_id entra_id_allowed_tenants allowed_roles keycloak_roles hosted_domain',
  ),
  ...fates(
    'lost',
    'Postern reads no accounts of Google, GitHub and others by their APIs',
    'github_token google_admin_email google_service_account_json google_target_principal google_use_application_default_credentials google_admin_api_user_scope azure_graph_group_field',
  ),
  ...fates('lost', 'a file of passwords signs nobody in', 'htpasswd_file htpasswd_user_groups display_htpasswd_form'),
  ...fates(
    'lost',
    'tokens are taken by routes that say so: see bearer_token_format, bearer_token_audience and token_issuers',
    'skip_jwt_bearer_tokens bearer_token_login_fallback extra_jwt_issuers oidc_extra_audiences oidc_audience_claims',
  ),
  ...fates(
    'lost',
    'endpoints and keys come from the discovery document of the issuer',
    'skip_oidc_discovery login_url redeem_url profile_url validate_url oidc_jwks_url oidc_public_key_files skip_claims_from_profile_url insecure_oidc_skip_issuer_verification pubjwk_url jwt_key jwt_key_file entra_id_federated_token_auth',
  ),
  ...fates(
    'lost',
    'applications get a signed assertion and headers, no tokens and no password',
    'pass_access_token pass_authorization_header set_authorization_header basic_auth_password set_basic_auth signature_key',
  ),
  ...fates('lost', 'addresses come from X-Forwarded-For', 'real_client_ip_header'),
  ...fates(
    'lost',
    'a proxy that asks Postern (docs/forward-auth.md) gets the headers of jwt_claims_headers: name X-Auth-Request-Email there',
    'set_xauthrequest',
  ),
  ...fates('lost', 'read the file and write its addresses into allowed_users', 'authenticated_emails_file'),
  ...fates(
    'lost',
    'see metrics_address, which speaks http',
    'metrics_secure_address metrics_tls_cert_file metrics_tls_key_file',
  ),
  ...fates('lost', 'sign-out ends at the end_session_endpoint of the provider', 'backend_logout_url'),
  ...fates('lost', 'people are known by their subject', 'user_id_claim oidc_email_claim prefer_email_to_user'),
  ...fates('lost', 'Postern has no such protocol', 'gcp_healthchecks'),
  ...fates('lost', 'it weakens TLS to the provider; see certificate_authority_file', 'ssl_insecure_skip_verify'),
  ...fates('lost', 'X-Request-Id is the header', 'request_id_header'),
  ...fates(
    'lost',
    'the log goes to stdout',
    'logging_filename logging_max_size logging_max_age logging_max_backups logging_compress',
  ),
  ...fates('lost', 'the addresses of Postern begin with /.postern', 'proxy_prefix'),
  ...fates(
    'unneeded',
    'each host has a cookie of its own, Secure and HttpOnly on https, with 128 random bits in it',
    'cookie_name cookie_secret cookie_secret_file cookie_domains cookie_path cookie_secure cookie_httponly cookie_csrf_per_request cookie_csrf_per_request_limit cookie_csrf_expire cookie_csrf_samesite session_cookie_minimal',
  ),
  ...fates(
    'unneeded',
    'a connection is asked twice a second, and made again when it is silent',
    'redis_connection_idle_timeout',
  ),
  ...fates('unneeded', 'groups are read again while a session lives', 'cookie_refresh'),
  ...fates(
    'unneeded',
    'each sign-in uses PKCE with S256, a state and a nonce',
    'code_challenge_method force_code_challenge_method insecure_oidc_skip_nonce encode_state',
  ),
  ...fates('unneeded', 'a sign-in returns to hosts of routes only', 'whitelist_domains relative_redirect_url'),
  ...fates(
    'unneeded',
    'programs get 401 and JSON, browsers a redirect',
    'skip_provider_button api_routes force_json_errors',
  ),
  ...fates(
    'unneeded',
    'it is how Postern works',
    'reverse_proxy ping_user_agent flush_interval disable_keep_alives skip_auth_strip_headers allow_query_semicolons pass_user_headers use_system_trust_store auth_request_response_mode',
  ),
  ...fates(
    'unneeded',
    'the log has one JSON line for each request',
    'auth_logging auth_logging_format request_logging request_logging_format standard_logging standard_logging_format errors_to_info_log exclude_logging_paths logging_local_time silence_ping_logging',
  ),
  ...fates(
    'unneeded',
    'pages are those of Postern',
    'banner footer custom_templates_dir custom_sign_in_logo provider_display_name show_debug_on_error',
  ),
  ...fates('unneeded', 'TLS 1.2 and 1.3 with the ciphers of the runtime', 'tls_cipher_suites tls_min_version'),
  ...fates('unneeded', 'an http listener answers with http_redirect_addr', 'force_https'),
  ...fates('unneeded', 'state needs no key of its own', 'resource config alpha_config version config_test'),
])
