/** Two values of every configuration key, and how to see which of them is in force. */
import { createHash, generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'
import {
  begunBy,
  challengeOf,
  controlStatus,
  framing,
  idleEnd,
  listed,
  nowhere,
  oldGroups,
  oldSignIn,
  preflight,
  refusedPage,
  seesStatus,
  shadowDecision,
  signInStatus,
  teamStatus,
  told,
} from './reload-answers.ts'
import {
  certificateOf,
  connectionsAtOnce,
  drains,
  drippedUpload,
  firstOctets,
  headerTime,
  keptIdle,
  stoppedUpload,
  unread,
  withCertificate,
} from './reload-connections.ts'
import {
  askedPath,
  connects,
  ejects,
  handshake,
  idleTunnel,
  inARow,
  large,
  queued,
  resets,
  turns,
  unhealthy,
  waitFor,
} from './reload-upstreams.ts'
import {
  APP,
  auditEvents,
  AUTH,
  logForm,
  type ReloadWorld,
  requestFields,
  type Running,
  type Settings,
} from './reload-world.ts'
import { shownToken, unsigned } from './reload-tokens.ts'

export interface Sample {
  /** Absent: the key is not written. */
  readonly a?: unknown
  readonly b: unknown
  /** Other keys of both; `undefined` removes one of the base. */
  readonly with?: Settings
  /** Of a key of a route: keys outside it, of both. */
  readonly global?: Settings
  /** Other keys of the second only, without which it would not be valid. */
  readonly andB?: Settings
  /** Instead of `behaviour`. */
  readonly observe?: (running: Running) => Promise<unknown>
}

/** `one`: the schema allows one value. `unused`: accepted for those who come from Pomerium, and without any effect. */
export type Samples = Readonly<Record<string, Sample | 'one' | 'unused'>>

const fixture = (name: string): string =>
  readFileSync(new URL(`../unit/config/fixtures/${name}`, import.meta.url), 'utf8')
const ecKey = (): string =>
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

/** With `Host` and `Connection`. */
const SEVENTEEN = Object.fromEntries(Array.from({ length: 15 }, (_, i) => [`x-${i}`, 'x']))

/** For every key outside routes but those that name a file: these have the samples of what is in the file. */
export function globalSamples({ base, upstreams, path, redisUrl, serviceKey }: ReloadWorld): Samples {
  const okta = { idp_service_account: DEMO.apiToken }
  const tlsStorage = { storage: { type: 'redis', url: 'rediss://redis.corp.example' } }
  const app = { client_id: 'app-a', private_key: serviceKey, key_id: 'key-a', url: String(base['idp_provider_url']) }
  const asApp = { with: { directory: { okta: app } }, observe: teamStatus }
  const https = {
    authenticate_service_url: 'https://authenticate.localhost',
    certificate: CERTIFICATE,
    certificate_key: KEY,
  }
  // The certificate covers every https host: nothing is ordered.
  const acme = {
    with: {
      ...https,
      authenticate_service_url: 'https://app.internal',
      autocert: true,
      http_redirect_addr: '127.0.0.1:0',
    },
    observe: certificateOf,
  }
  /** The client's certificate is of an authority below that of `ca`. */
  const mtls = (values: Pick<Sample, 'a' | 'b'>, more: Settings = {}): Sample => ({
    ...values,
    with: {
      ...https,
      downstream_mtls: { ca: fixture('mtls/ca.crt'), max_verify_depth: 2, ...more },
      routes: [
        {
          ...route,
          from: 'https://mtls.localhost',
          allow_any_authenticated_user: false,
          allow_public_unauthenticated_access: true,
        },
      ],
    },
    observe: (running) => withCertificate(running, fixture('mtls/client.crt'), fixture('mtls/client.key')),
  })
  const sent = {
    with: {
      otel_traces_exporter: 'otlp',
      otel_metrics_exporter: 'otlp',
      otel_exporter_otlp_endpoint: 'http://127.0.0.1:2',
    },
    // Applications see the id of a trace, which is never the same.
    observe: nowhere,
  }
  const eab = { autocert_eab_key_id: 'key-1', autocert_eab_mac_key: 'a2V5LTE' }
  const [route, ...routes] = base['routes'] as readonly Settings[]
  const mute = {
    routes: [
      {
        ...route,
        from: 'http://public.localhost',
        to: upstreams.mute,
        allow_any_authenticated_user: false,
        allow_public_unauthenticated_access: true,
      },
    ],
  }
  return {
    authenticate_service_url: { a: AUTH, b: 'http://sign-in.localhost' },
    authenticate_callback_path: { b: '/signed-in' },
    signout_redirect_url: { b: 'https://intranet.corp.example/bye' },
    idp_provider: { b: 'oidc' },
    idp_provider_url: { a: base['idp_provider_url'], b: 'https://dev-1.okta.com' },
    idp_internal_url: { b: base['idp_provider_url'] },
    idp_label: { b: 'Staff' },
    idp_ca: { b: CERTIFICATE },
    identity_providers: { b: { partners: { url: 'https://login.partner.example', client_id: 'postern' } } },
    idp_allow_http: { b: true, andB: { idp_provider_url: 'http://okta.internal' } },
    certificate_authority: { b: CERTIFICATE },
    https_proxy: { b: 'http://proxy.corp.example:3128' },
    no_proxy: { b: ['.corp.example'], with: { https_proxy: 'http://proxy.corp.example:3128' } },
    idp_client_id: { a: DEMO.clientId, b: 'another' },
    idp_client_secret: { a: 'another-secret-of-a-client', b: DEMO.clientSecret, observe: signInStatus },
    idp_client_auth: { a: 'none', b: 'post', observe: signInStatus },
    idp_scopes: { a: base['idp_scopes'], b: ['openid', 'email'] },
    idp_request_params: { b: { prompt: 'login' } },
    idp_pushed_requests: { b: false },
    idp_timeout: { b: '7s' },
    idp_allow_unverified_email: { b: true },
    idp_service_account: { a: 'not-the-token-of-the-org', b: DEMO.apiToken, observe: teamStatus },
    idp_refresh_directory_interval: { b: '30s' },
    idp_refresh_directory_timeout: { b: '3s', with: okta },
    idp_qps: 'unused',
    groups_claim: { b: 'roles' },
    groups_claim_absent: { b: 'none', with: { groups_claim: 'roles' } },
    'directory.refresh_interval': { b: '30s' },
    'directory.max_staleness': { b: '2h' },
    'directory.sign_in_timeout': { b: '2s' },
    'directory.sources': {
      a: ['okta', 'static'],
      b: ['static', 'okta'],
      with: { ...okta, directory: { static: { users: [] } } },
    },
    'shared_signals.issuer': {
      b: 'https://dev-2.okta.com',
      with: { shared_signals: { authorization: 'Bearer of-a-stream-to-us' } },
    },
    'shared_signals.audience': {
      b: 'https://sp.example.com/caep',
      with: { shared_signals: { authorization: 'Bearer of-a-stream-to-us' } },
    },
    'shared_signals.authorization': {
      a: 'Bearer of-an-older-stream',
      b: 'Bearer of-a-stream-to-us',
      observe: controlStatus('/.postern/ssf', 'Bearer of-a-stream-to-us'),
    },
    'directory.scim_token': {
      a: 'an-older-token-for-scim',
      b: 'a-token-for-scim-of-okta',
      observe: controlStatus('/.postern/scim/v2/Users', 'Bearer a-token-for-scim-of-okta'),
    },
    'directory.static': { b: { users: [{ id: '00u1', groups: ['Engineering'] }] } },
    'directory.okta.url': { b: 'https://dev-1.okta.com', with: okta },
    'directory.okta.api_token': { a: 'not-the-token-of-the-org', b: DEMO.apiToken, observe: teamStatus },
    'directory.okta.budget': { b: 0.3, with: okta },
    'directory.okta.timeout': { b: '3s', with: okta },
    'directory.okta.log_interval': { b: '7s', with: okta },
    'directory.okta.event_hook_secret': {
      a: 'what-it-showed-before',
      b: 'what-an-event-hook-shows',
      with: okta,
      observe: controlStatus('/.postern/hooks/okta', 'what-an-event-hook-shows'),
    },
    'directory.okta.client_id': { a: 'app-b', b: 'app-a', ...asApp },
    'directory.okta.private_key': { a: ecKey(), b: serviceKey, ...asApp },
    'directory.okta.key_id': { a: 'key-b', b: 'key-a', ...asApp },
    'directory.okta.scopes': {
      a: ['okta.apps.manage'],
      b: ['okta.users.read', 'okta.groups.read', 'okta.logs.read'],
      ...asApp,
    },
    address: { a: '127.0.0.1:0', b: '127.0.0.1:1' },
    insecure_server: { b: true, with: https, observe: certificateOf },
    certificate: {
      a: CERTIFICATE,
      b: fixture('tls.crt'),
      with: https,
      andB: { certificate_key: fixture('tls.key') },
      observe: certificateOf,
    },
    certificate_key: {
      a: KEY,
      b: fixture('tls.key'),
      with: https,
      andB: { certificate: fixture('tls.crt') },
      observe: certificateOf,
    },
    autocert: { ...acme, b: true, with: { ...acme.with, autocert: undefined } },
    autocert_ca: { ...acme, b: 'https://acme.corp.example/directory' },
    autocert_use_staging: { ...acme, b: true },
    autocert_email: { ...acme, b: 'ops@corp.example' },
    autocert_eab_key_id: { ...acme, a: 'key-1', b: 'key-2', with: { ...acme.with, ...eab } },
    autocert_eab_mac_key: { ...acme, a: 'a2V5LTE', b: 'a2V5LTI', with: { ...acme.with, ...eab } },
    autocert_trusted_ca: { ...acme, b: CERTIFICATE },
    certificates: {
      a: [{ cert: fixture('tls.crt'), key: fixture('tls.key') }],
      b: [{ cert: CERTIFICATE, key: KEY }],
      with: { authenticate_service_url: 'https://authenticate.localhost' },
      observe: certificateOf,
    },
    'downstream_mtls.ca': mtls({ a: fixture('mtls/ca.crt'), b: CERTIFICATE }),
    'downstream_mtls.crl': mtls({ b: fixture('mtls/ca.crl') }),
    'downstream_mtls.enforcement': mtls({ a: 'policy', b: 'policy_with_default_deny' }, { max_verify_depth: 1 }),
    'downstream_mtls.match_subject_alt_names': mtls({ b: [{ dns: 'another[.]corp[.]example' }] }),
    'downstream_mtls.max_verify_depth': mtls({ a: 2, b: 1 }),
    max_header_bytes: { b: 1024, observe: (running) => large(running, { headers: { 'x-long': 'x'.repeat(1100) } }) },
    max_headers: { b: 16, observe: (running) => large(running, { headers: SEVENTEEN }) },
    max_url_length: { b: 256, observe: (running) => large(running, { path: `/${'x'.repeat(300)}` }) },
    max_request_body: { b: 10, observe: (running) => large(running, { body: 'eleven bytes' }) },
    'rate_limit.per_client': { a: 1000, b: 0.1, observe: (running) => inARow(running, 'http://public.localhost/') },
    'rate_limit.per_person': { a: 1000, b: 0.1, observe: (running) => inARow(running, `${APP}/x`) },
    'rate_limit.burst': {
      a: '0s',
      b: '100s',
      with: { rate_limit: { per_client: 0.1 } },
      observe: (running) => inARow(running, 'http://public.localhost/'),
    },
    use_proxy_protocol: { b: true, with: { trusted_proxies: ['127.0.0.1'] } },
    trusted_proxies: { b: ['127.0.0.1'] },
    xff_num_trusted_hops: { b: 1 },
    strict_transport_security: {
      b: 'max-age=60',
      with: {
        authenticate_service_url: https.authenticate_service_url,
        insecure_server: true,
        routes: [{ from: 'https://public.localhost', to: route?.['to'], allow_public_unauthenticated_access: true }],
      },
      observe: async (running) =>
        (await running.browser().ask('http://public.localhost/')).headers['strict-transport-security'],
    },
    shared_secret: {
      a: base['shared_secret'],
      b: `${String(base['shared_secret'])}\n${createHash('sha256').update('another').digest('base64')}`,
    },
    cookie_secret: 'unused',
    signing_key: { b: ecKey() },
    token_issuers: { b: { ci: { issuer: 'https://ci.corp.example', audience: 'https://app.corp.example' } } },
    cookie_name: { b: 'gate' },
    cookie_expire: { b: '20m' },
    session_idle_timeout: { b: '10m', observe: idleEnd },
    cookie_same_site: { b: 'strict' },
    cookie_http_only: 'one',
    allow_device_login: {
      b: true,
      observe: async (running) =>
        (await running.browser().ask(`${APP}/.postern/api/v1/device`, { method: 'POST', headers: {} })).body.includes(
          'allow_device_login',
        ),
    },
    programmatic_redirect_domain_whitelist: {
      b: ['localhost'],
      observe: async (running) => {
        const query = `code_challenge=${'a'.repeat(43)}&code_challenge_method=S256&redirect_uri=http://localhost:1`
        return (await running.browser().ask(`${APP}/.postern/api/v1/login?${query}`)).status
      },
    },
    'storage.type': { a: 'memory', b: 'embedded', andB: { storage: { type: 'embedded', path: path() } } },
    'storage.path': { a: path(), b: path(), with: { storage: { type: 'embedded' } } },
    'storage.url': { a: redisUrl, b: `${redisUrl}/1`, with: { storage: { type: 'redis' } } },
    'storage.ca': { b: CERTIFICATE, with: { storage: { type: 'redis', url: redisUrl } }, andB: tlsStorage },
    'storage.client_cert': {
      b: CERTIFICATE,
      with: { storage: { type: 'redis', url: redisUrl } },
      andB: { storage: { ...tlsStorage.storage, client_key: KEY } },
    },
    'storage.client_key': {
      b: KEY,
      with: { storage: { type: 'redis', url: redisUrl } },
      andB: { storage: { ...tlsStorage.storage, client_cert: CERTIFICATE } },
    },
    'storage.prefix': { a: 'one', b: 'two', with: { storage: { type: 'redis', url: redisUrl } } },
    store_grace: { b: '1m' },
    databroker_storage_type: { a: 'memory', b: 'file', with: { storage: undefined } },
    databroker_storage_connection_string: {
      a: path(),
      b: path(),
      with: { storage: undefined, databroker_storage_type: 'file' },
    },
    jwt_claims_headers: { a: ['email'], b: { 'X-Person': 'sub' } },
    set_response_headers: { b: { 'X-Frame-Options': 'DENY' }, observe: framing },
    jwt_groups_filter: { b: ['Everyone'], with: { jwt_claims_headers: ['groups'] }, observe: told },
    jwt_issuer_format: { b: 'IssuerURI', observe: told },
    groups_format: { a: 'both', b: 'names', with: { ...okta, jwt_claims_headers: ['groups'] }, observe: told },
    pass_identity_headers: { a: true, b: false },
    path_with_escaped_slashes_action: { b: 'keep', observe: (running) => askedPath(running, '/x%2Fy') },
    merge_slashes: { b: false, observe: (running) => askedPath(running, '/x//y') },
    normalize_path: 'one',
    preserve_host_header: { a: true, b: false },
    default_upstream_timeout: { b: '90s', observe: (running) => waitFor('/never', running) },
    upstream_connect_timeout: { b: '100ms', with: mute, observe: connects },
    upstream_max_connections: { b: 1, with: { upstream_max_pending: 0 }, observe: (running) => queued(running) },
    upstream_max_pending: { b: 0, with: { upstream_max_connections: 1 }, observe: (running) => queued(running) },
    upstream_queue_timeout: {
      a: '20s',
      b: '60s',
      with: { upstream_max_connections: 1, default_upstream_timeout: 0 },
      observe: (running) => queued(running),
    },
    upstream_max_tunnels: { b: 0, observe: (running) => handshake(running) },
    client_body_timeout: { a: '60s', b: '180s', with: { client_body_min_rate: 0 }, observe: stoppedUpload },
    client_body_min_rate: { a: 240, b: 0, observe: drippedUpload },
    'circuit_breaker_thresholds.max_connections': {
      b: 1,
      with: { upstream_max_pending: 0 },
      observe: (running) => queued(running),
    },
    'circuit_breaker_thresholds.max_pending_requests': {
      b: 0,
      with: { upstream_max_connections: 1 },
      observe: (running) => queued(running),
    },
    'circuit_breaker_thresholds.max_requests': {
      b: 1,
      with: { upstream_max_pending: 0 },
      observe: (running) => queued(running),
    },
    'circuit_breaker_thresholds.max_retries': {
      b: 0,
      with: { routes: [{ ...route, retries: { attempts: 2, on: ['reset'] } }, ...routes] },
      observe: resets,
    },
    client_write_timeout: { a: '60s', b: '10m', observe: unread },
    tunnel_max_lifetime: { a: '60s', b: '180s', with: { tunnel_idle_timeout: 0 }, observe: idleTunnel },
    request_timeout: {
      a: '60s',
      b: '180s',
      with: { default_upstream_timeout: 0 },
      observe: (running) => waitFor('/never', running),
    },
    max_connections_per_client: { b: 1, observe: connectionsAtOnce },
    tunnel_idle_timeout: { a: '60s', b: '180s', observe: idleTunnel },
    upstream_body_timeout: { a: '30s', b: '90s', observe: (running) => waitFor('/stall', running) },
    timeout_read: { b: '40s', observe: headerTime },
    codec_type: { a: 'http1', b: 'http2', observe: firstOctets },
    timeout_idle: { a: '65s', b: '180s', observe: keptIdle },
    http_redirect_addr: { b: '127.0.0.1:1' },
    health_check_addr: { b: '127.0.0.1:1' },
    metrics_address: { b: '127.0.0.1:1' },
    otel_sdk_disabled: { b: true, ...sent },
    otel_traces_exporter: { a: 'none', b: 'otlp', ...sent },
    otel_metrics_exporter: { a: 'none', b: 'otlp', ...sent },
    otel_service_name: { b: 'gate', ...sent },
    otel_resource_attributes: { b: 'team=platform', ...sent },
    otel_traces_sampler: { b: 'always_off', ...sent },
    otel_traces_sampler_arg: { b: 0.1, ...sent, with: { ...sent.with, otel_traces_sampler: 'traceidratio' } },
    otel_attribute_value_length_limit: { b: 256, ...sent },
    otel_bsp_schedule_delay: { b: 1000, ...sent },
    otel_bsp_max_queue_size: { b: 100, ...sent },
    otel_bsp_max_export_batch_size: { b: 100, ...sent },
    otel_metric_export_interval: { b: 15_000, ...sent },
    otel_exporter_otlp_endpoint: { b: 'http://127.0.0.1:1', ...sent },
    otel_exporter_otlp_protocol: { b: 'http/json', ...sent },
    otel_exporter_otlp_headers: { b: 'api-key=k', ...sent },
    otel_exporter_otlp_timeout: { b: 1000, ...sent },
    otel_exporter_otlp_traces_endpoint: { b: 'http://127.0.0.1:1/v1/traces', ...sent },
    otel_exporter_otlp_traces_protocol: { b: 'http/json', ...sent },
    otel_exporter_otlp_traces_headers: { b: 'api-key=k', ...sent },
    otel_exporter_otlp_traces_timeout: { b: 1000, ...sent },
    otel_exporter_otlp_metrics_endpoint: { b: 'http://127.0.0.1:1/v1/metrics', ...sent },
    otel_exporter_otlp_metrics_protocol: { b: 'http/json', ...sent },
    otel_exporter_otlp_metrics_headers: { b: 'api-key=k', ...sent },
    otel_exporter_otlp_metrics_timeout: { b: 1000, ...sent },
    public_health_paths: {
      b: ['/alive'],
      observe: async (running) => (await running.browser().ask('http://nowhere.localhost/alive')).status,
    },
    drain_delay: { b: '90s', with: { default_upstream_timeout: 0 }, observe: drains },
    drain_timeout: { a: '30s', b: '120s', with: { default_upstream_timeout: 0 }, observe: drains },
    product_name: { b: 'Gate', observe: nowhere },
    support_url: { b: 'mailto:help@corp.example', observe: nowhere },
    troubleshooting_url: { b: 'https://docs.corp.example/codes', observe: nowhere },
    show_error_details: {
      b: false,
      with: { routes: [{ ...route, allow_any_authenticated_user: false, allowed_users: ['nobody@example.com'] }] },
      observe: refusedPage,
    },
    error_message_first_paragraph: { b: 'Something went wrong.', observe: nowhere },
    logo_url: { b: 'https://static.corp.example/logo.svg', observe: nowhere },
    favicon_url: { b: 'https://static.corp.example/icon.png', observe: nowhere },
    primary_color: { b: '#aa0000', observe: nowhere },
    secondary_color: { b: '#aa0000', observe: nowhere },
    darkmode_primary_color: { b: '#ffaaaa', observe: nowhere },
    darkmode_secondary_color: { b: '#ffaaaa', observe: nowhere },
    log_level: { b: 'error' },
    log_format: { a: 'json', b: 'pretty', observe: logForm },
    access_log_fields: { b: ['status', 'authority', 'query', 'headers.X-Probe'], observe: requestFields },
    authorize_log_fields: { b: ['user'], observe: requestFields },
    audit_log: { b: 'off', observe: auditEvents },
    workers: { b: 2, with: { storage: { type: 'embedded', path: path() } } },
    services: { b: 'proxy', with: { storage: { type: 'embedded', path: path() } } },
    compatibility: { b: 'pomerium' },
    admin: {
      a: { allow: { or: [{ email: 'alice@example.com' }] } },
      b: { allow: { or: [{ email: 'bob@example.com' }] } },
      observe: seesStatus,
    },
    policies: {
      a: { staff: { allow: { or: [{ email: 'alice@example.com' }] } } },
      b: { staff: { allow: { or: [{ email: 'bob@example.com' }] } } },
      with: { routes: [{ ...route, allow_any_authenticated_user: false, policy: 'staff' }, ...routes] },
    },
    routes: { a: base['routes'], b: [{ ...route, to: upstreams.other }, ...routes] },
    policy: { b: [{ ...route, prefix: '/x/', to: upstreams.other }] },
  }
}

/** For every key of a route: two values of the first route of `base`. `with` and `andB` are keys of that route. */
export function routeSamples({ base, upstreams }: ReloadWorld): Samples {
  const [{ to } = { to: '' }] = base['routes'] as readonly Settings[]
  const rules = { allow_any_authenticated_user: false }
  const okta = String(base['idp_provider_url'])
  const tls = { to: upstreams.tls }
  const noUpstream = {
    with: { to: undefined, allow_any_authenticated_user: false, allow_public_unauthenticated_access: true },
    observe: answered,
  }
  const upgrade = (running: Running): Promise<unknown> => handshake(running)
  return {
    name: { b: 'Payroll' },
    description: { b: 'What people earn', observe: listed },
    logo_url: { b: 'https://img.corp.example/payroll.svg', observe: listed },
    show_in_portal: { a: true, b: false, observe: listed },
    max_request_body: {
      b: 10,
      with: { allow_any_authenticated_user: false, allow_public_unauthenticated_access: true },
      observe: (running) => large(running, { body: 'eleven bytes', host: APP }),
    },
    certificate_accounts: {
      b: 'dns',
      with: { from: 'https://mtls.localhost' },
      global: {
        authenticate_service_url: 'https://authenticate.localhost',
        certificate: CERTIFICATE,
        certificate_key: KEY,
        downstream_mtls: { ca: fixture('mtls/ca.crt'), max_verify_depth: 2 },
      },
      observe: (running) => withCertificate(running, fixture('mtls/client.crt'), fixture('mtls/client.key')),
    },
    rate_limit: {
      a: { per_client: 1000 },
      b: { per_client: 0.1, burst: '0s' },
      observe: (running) => inARow(running, `${APP}/x`),
    },
    identity_provider: {
      b: 'partners',
      global: { identity_providers: { partners: { url: 'https://login.partner.example', client_id: 'postern' } } },
    },
    from: { a: APP, b: 'http://other.localhost' },
    to: { a: to, b: upstreams.other },
    redirect: {
      a: { host_redirect: 'a.corp.example' },
      b: { host_redirect: 'b.corp.example', response_code: 307 },
      ...noUpstream,
    },
    response: { a: { status: 403 }, b: { status: 404, body: 'gone' }, ...noUpstream },
    prefix: { b: '/only' },
    path: { b: '/only' },
    regex: { b: '/only.*' },
    methods: { a: ['GET'], b: ['POST'] },
    headers: { b: { 'X-Tenant': 'a' } },
    query: { a: { q: '1' }, b: { q: { regex: '[2-9]' } } },
    prefix_rewrite: { a: '/y', b: '/z', with: { prefix: '/x' } },
    regex_rewrite_pattern: { a: '^/x', b: '^/y', with: { regex_rewrite_substitution: '/z' } },
    regex_rewrite_substitution: { a: '/y', b: '/z', with: { regex_rewrite_pattern: '^/x' } },
    path_with_escaped_slashes_action: { b: 'keep', observe: (running) => askedPath(running, '/x%2Fy') },
    merge_slashes: { b: false, observe: (running) => askedPath(running, '/x//y') },
    preserve_host_header: { b: false },
    host_rewrite: { a: 'a.internal', b: 'b.internal:8080' },
    host_rewrite_header: { a: 'X-Tenant', b: 'X-Probe' },
    host_path_regex_rewrite_pattern: {
      a: '^/(.).*$',
      b: '^/x/(..).*$',
      with: { host_path_regex_rewrite_substitution: '\\1.internal' },
    },
    host_path_regex_rewrite_substitution: {
      a: '\\1.internal',
      b: '\\1.other',
      with: { host_path_regex_rewrite_pattern: '^/(.).*$' },
    },
    rewrite_response_headers: {
      b: [{ header: 'Content-Type', prefix: 'application', value: 'text' }],
      with: { allow_any_authenticated_user: false, allow_public_unauthenticated_access: true },
      observe: async (running) => (await running.browser().ask(`${APP}/x`)).headers['content-type'],
    },
    set_request_headers: { b: { 'X-Set': 'by the route' } },
    remove_request_headers: { b: ['X-Probe'] },
    allow_request_headers: { b: ['X-WEBAUTH-USER'] },
    timeout: {
      a: '30s',
      b: '90s',
      with: {
        from: 'http://wait.localhost',
        allow_any_authenticated_user: false,
        allow_public_unauthenticated_access: true,
      },
      observe: (running) => waitFor('/never', running, 'wait.localhost'),
    },
    request_timeout: {
      a: '30s',
      b: '90s',
      with: {
        from: 'http://wait.localhost',
        timeout: 0,
        allow_any_authenticated_user: false,
        allow_public_unauthenticated_access: true,
      },
      observe: (running) => waitFor('/never', running, 'wait.localhost'),
    },
    tunnel_max_lifetime: {
      a: '60s',
      b: '180s',
      with: {
        from: 'http://tunnel.localhost',
        idle_timeout: 0,
        allow_any_authenticated_user: false,
        allow_public_unauthenticated_access: true,
      },
      observe: (running) => idleTunnel(running, 'tunnel.localhost'),
    },
    idle_timeout: {
      a: '30s',
      b: '90s',
      with: {
        from: 'http://wait.localhost',
        allow_any_authenticated_user: false,
        allow_public_unauthenticated_access: true,
      },
      observe: (running) => waitFor('/stall', running, 'wait.localhost'),
    },
    service_tokens: { a: false, b: true, observe: (running) => challengeOf(running) },
    allow_websockets: { a: true, b: false, observe: upgrade },
    allow_spdy: { a: false, b: true, observe: (running) => handshake(running, undefined, 'SPDY/3.1') },
    allow_upgrades: { b: ['Probe/1'], observe: (running) => handshake(running, undefined, 'probe/1') },
    cors_allow_preflight: { b: true, observe: preflight },
    allow_origins: {
      b: ['https://partner.corp.example'],
      observe: (running) => handshake(running, 'https://partner.corp.example'),
    },
    pass_identity_headers: { a: true, b: false },
    bearer_token_format: { b: 'idp_identity_token', observe: shownToken('idToken', okta) },
    bearer_token_audience: {
      b: ['another'],
      with: { bearer_token_format: 'idp_identity_token' },
      observe: shownToken('idToken', okta),
    },
    bearer_token_clients: {
      b: ['another'],
      with: { bearer_token_format: 'idp_access_token', bearer_token_audience: 'api://default' },
      global: { idp_provider_url: `${okta}/oauth2/default` },
      observe: shownToken('accessToken', `${okta}/oauth2/default`),
    },
    bearer_token_issuers: {
      a: ['one'],
      b: ['two'],
      with: { bearer_token_format: 'jwt' },
      global: {
        token_issuers: {
          one: { issuer: 'http://127.0.0.1:1', audience: 'x' },
          two: { issuer: 'http://127.0.0.1:2', audience: 'x' },
        },
      },
      observe: unsigned('http://127.0.0.1:1'),
    },
    pass_authorization: {
      b: true,
      with: { bearer_token_format: 'idp_identity_token' },
      observe: shownToken('idToken', okta),
    },
    kubernetes_service_account_token: { a: 'token-a', b: 'token-b', observe: told },
    jwt_claims_headers: { b: { 'X-Person': 'sub' } },
    set_response_headers: { b: { 'X-Frame-Options': 'DENY' }, observe: framing },
    jwt_groups_filter: { b: { groups: ['Everyone'] }, with: { jwt_claims_headers: ['groups'] }, observe: told },
    jwt_issuer_format: { b: 'IssuerURI', observe: told },
    groups_format: { b: 'ids', global: { idp_service_account: DEMO.apiToken }, observe: told },
    load_balancing_policy: { b: 'RING_HASH', with: { to: [to, upstreams.other] }, observe: turns },
    lb_policy: { b: 'RING_HASH', with: { to: [to, upstreams.other] }, observe: turns },
    health_checks: {
      b: [{ http_health_check: { path: '/missing', expected_statuses: [{ start: 500, end: 501 }] } }],
      with: { healthy_panic_threshold: 0 },
      observe: unhealthy,
    },
    healthy_panic_threshold: {
      b: 0,
      with: { health_checks: [{ http_health_check: { path: '/', expected_statuses: [{ start: 500, end: 501 }] } }] },
      observe: unhealthy,
    },
    outlier_detection: {
      b: { consecutive_5xx: 1 },
      with: { to: [to, upstreams.other] },
      observe: ejects,
    },
    circuit_breaker_thresholds: {
      b: { max_connections: 1, max_pending_requests: 0 },
      with: {
        from: 'http://wait.localhost',
        allow_any_authenticated_user: false,
        allow_public_unauthenticated_access: true,
      },
      observe: (running) => queued(running, 'wait.localhost'),
    },
    retries: { b: { attempts: 2, on: ['reset'] }, observe: resets },
    tls_skip_verify: { b: true, with: tls },
    tls_custom_ca: { b: CERTIFICATE, with: tls },
    tls_server_name: { b: 'elsewhere.internal', with: { ...tls, tls_custom_ca: CERTIFICATE } },
    tls_upstream_server_name: { b: 'elsewhere.internal', with: { ...tls, tls_custom_ca: CERTIFICATE } },
    upstream_codec_type: { a: 'http1', b: 'http2', with: { ...tls, tls_custom_ca: CERTIFICATE } },
    tls_client_cert: {
      a: CERTIFICATE,
      b: fixture('tls.crt'),
      with: { to: upstreams.mtls, tls_custom_ca: CERTIFICATE, tls_client_key: KEY },
      andB: { tls_client_key: fixture('tls.key') },
    },
    tls_client_key: {
      a: KEY,
      b: fixture('tls.key'),
      with: { to: upstreams.mtls, tls_custom_ca: CERTIFICATE, tls_client_cert: CERTIFICATE },
      andB: { tls_client_cert: fixture('tls.crt') },
    },
    allow_public_unauthenticated_access: { a: false, b: true, andB: rules },
    identity: {
      b: 'optional',
      with: { ...rules, allow_public_unauthenticated_access: true },
      observe: told,
    },
    allow_any_authenticated_user: { a: true, b: false },
    allowed_users: { a: ['alice@example.com'], b: ['bob@example.com'], with: rules },
    allowed_groups: { a: ['Engineering'], b: ['Sales'], with: rules },
    allowed_domains: { a: ['example.com'], b: ['corp.example'], with: rules },
    allowed_idp_claims: {
      a: { email: ['alice@example.com'] },
      b: { email: ['bob@example.com'] },
      with: rules,
    },
    keep_fragment: { b: false, observe: begunBy },
    show_error_details: {
      b: false,
      with: { ...rules, allowed_users: ['nobody@example.com'] },
      observe: refusedPage,
    },
    max_directory_age: { b: '2s', with: { ...rules, allowed_groups: ['Engineering'] }, observe: oldGroups },
    acr_values: { a: ['urn:okta:loa:1fa:any'], b: ['urn:okta:loa:2fa:any'] },
    max_auth_age: { a: '1h', b: '1m', observe: oldSignIn },
    max_session_age: { a: '1h', b: '1m', observe: oldSignIn },
    policy: {
      a: [{ allow: { or: [{ email: { is: 'alice@example.com' } }] } }],
      b: [{ allow: { or: [{ email: { is: 'bob@example.com' } }] } }],
      with: rules,
    },
    shadow_policy: {
      a: { allow: { or: [{ email: 'alice@example.com' }] } },
      b: { allow: { or: [{ email: 'bob@example.com' }] } },
      observe: shadowDecision,
    },
  }
}

/** What a route that needs no upstream says. */
async function answered(running: Running): Promise<unknown> {
  const { status, headers, body } = await running.browser().ask(`${APP}/x/page?q=1`)
  return { status, location: headers.location, body }
}
