import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { globalKeys, type Key } from '../../../src/config/keys.ts'
import { formatIssue, loadConfig } from '../../../src/config/load.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { cli } from '../../support/cli.ts'

type Settings = Readonly<Record<string, unknown>>

const fixture = (name: string): string => new URL(`../config/fixtures/${name}`, import.meta.url).pathname
const read = (name: string): string => readFileSync(fixture(name), 'utf8')

/** Every key outside routes, each with another value than its default where it has one. */
const EVERYTHING: Settings = {
  authenticate_service_url: 'https://authenticate.corp.example',
  authenticate_callback_path: '/callback',
  signout_redirect_url: 'https://corp.example/bye',
  idp_provider: 'okta',
  idp_provider_url: 'https://dev-1.okta.com/oauth2/default',
  idp_allow_http: true,
  idp_internal_url: 'http://okta.internal/oauth2/default',
  idp_label: 'Staff',
  idp_ca: read('tls.crt'),
  certificate_authority: read('tls.crt'),
  https_proxy: 'http://proxy.corp.example:3128',
  no_proxy: ['.corp.example'],
  idp_client_id: '0oa1',
  idp_client_secret: 'the-client-secret',
  idp_client_auth: 'post',
  idp_scopes: ['openid', 'email', 'groups'],
  idp_request_params: { prompt: 'login' },
  idp_pushed_requests: true,
  idp_timeout: '3s',
  idp_allow_unverified_email: true,
  idp_service_account: '00an-api-token-that-opens-nothing',
  identity_providers: {
    partners: {
      provider: 'keycloak',
      url: 'https://login.partner.example/realms/one',
      client_id: 'postern',
      client_secret: 'the-secret-of-partners',
      directory: { scim_token: 'the-scim-token-of-partners' },
    },
  },
  groups_claim: 'teams',
  groups_claim_absent: 'none',
  'directory.refresh_interval': '30s',
  'directory.max_staleness': '2h',
  'directory.sign_in_timeout': '4s',
  'directory.okta.url': 'https://api.dev-1.okta.com',
  'directory.okta.budget': 0.25,
  'directory.okta.timeout': '7s',
  'directory.okta.log_interval': '20s',
  'directory.okta.event_hook_secret': 'the-secret-of-the-hook',
  'directory.okta.scopes': ['okta.groups.read'],
  'directory.scim_token': 'the-token-of-the-scim-app',
  'directory.sources': ['okta', 'scim', 'static'],
  'directory.static': { users: [{ id: '00u1', groups: ['Guests'] }] },
  'shared_signals.issuer': 'https://dev-1.okta.com',
  'shared_signals.audience': 'https://sp.example.com/caep',
  'shared_signals.authorization': 'Bearer the-secret-of-the-stream',
  address: '127.0.0.1:9443',
  insecure_server: false,
  http_redirect_addr: '127.0.0.1:9080',
  certificate: read('tls.crt'),
  certificate_key: read('tls.key'),
  certificates: [{ cert: read('tls.crt'), key: read('tls.key') }],
  max_header_bytes: 16_384,
  max_headers: 100,
  max_url_length: 4096,
  max_request_body: 1_000_000,
  'rate_limit.per_client': 50,
  'rate_limit.per_person': 12.5,
  'rate_limit.burst': '10s',
  'downstream_mtls.ca': read('mtls/ca.crt'),
  'downstream_mtls.crl': read('mtls/ca.crl'),
  'downstream_mtls.enforcement': 'policy',
  'downstream_mtls.match_subject_alt_names': [{ dns: '.*[.]corp[.]example' }, { uri: 'spiffe://corp/.*' }],
  'downstream_mtls.max_verify_depth': 3,
  autocert: true,
  autocert_ca: 'https://acme.corp.example/directory',
  autocert_use_staging: true,
  autocert_email: 'ops@corp.example',
  autocert_eab_key_id: 'key-1',
  autocert_eab_mac_key: 'bWFjLWtleQ',
  autocert_trusted_ca: read('tls.crt'),
  use_proxy_protocol: true,
  max_connections_per_client: 500,
  trusted_proxies: ['10.0.0.0/8', '192.0.2.1'],
  xff_num_trusted_hops: 2,
  shared_secret: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  cookie_secret: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  signing_key: read('tls.key'),
  token_issuers: { ci: { issuer: 'https://ci.corp.example', audience: 'https://app.corp.example' } },
  cookie_name: '__Host-corp',
  cookie_expire: '8h',
  session_idle_timeout: '30m',
  cookie_same_site: 'strict',
  programmatic_redirect_domain_whitelist: ['tool.corp.example'],
  allow_device_login: true,
  cookie_http_only: true,
  strict_transport_security: 'max-age=60; includeSubDomains',
  'storage.type': 'redis',
  'storage.path': '/var/lib/postern',
  'storage.url': 'rediss://postern:the-password-of-redis@redis.corp.example:6380/1',
  'storage.ca': read('tls.crt'),
  'storage.client_cert': read('tls.crt'),
  'storage.client_key': read('tls.key'),
  'storage.prefix': 'gate',
  store_grace: '45s',
  jwt_claims_headers: { 'X-Email': 'email' },
  pass_identity_headers: true,
  set_response_headers: { 'X-Frame-Options': 'DENY' },
  groups_format: 'names',
  jwt_groups_filter: 'Engineering',
  jwt_issuer_format: 'IssuerURI',
  public_health_paths: ['/up'],
  preserve_host_header: true,
  path_with_escaped_slashes_action: 'keep',
  merge_slashes: false,
  normalize_path: true,
  default_upstream_timeout: '20s',
  upstream_connect_timeout: '2s',
  upstream_body_timeout: '1m',
  upstream_max_connections: 100,
  upstream_max_pending: 200,
  upstream_queue_timeout: '3s',
  upstream_max_tunnels: 300,
  'circuit_breaker_thresholds.max_requests': 90,
  'circuit_breaker_thresholds.max_retries': 7,
  codec_type: 'http1',
  timeout_read: '5s',
  timeout_idle: '50s',
  client_body_timeout: '45s',
  client_body_min_rate: 100,
  client_write_timeout: '30s',
  tunnel_idle_timeout: '20m',
  tunnel_max_lifetime: '8h',
  request_timeout: '15m',
  health_check_addr: '127.0.0.1:28080',
  metrics_address: ':9090',
  otel_sdk_disabled: true,
  otel_traces_exporter: 'otlp',
  otel_metrics_exporter: 'otlp',
  otel_service_name: 'gate',
  otel_resource_attributes: ['team=platform', 'tier=edge'],
  otel_traces_sampler: 'parentbased_traceidratio',
  otel_traces_sampler_arg: 0.1,
  otel_attribute_value_length_limit: 256,
  otel_bsp_schedule_delay: 1000,
  otel_bsp_max_queue_size: 4096,
  otel_bsp_max_export_batch_size: 256,
  otel_metric_export_interval: 15_000,
  otel_exporter_otlp_endpoint: 'http://collector:4318',
  otel_exporter_otlp_protocol: 'http/json',
  otel_exporter_otlp_headers: ['api-key=the-key-of-the-receiver'],
  otel_exporter_otlp_timeout: 5000,
  otel_exporter_otlp_traces_endpoint: 'http://tempo:4318/v1/traces',
  otel_exporter_otlp_traces_protocol: 'http/protobuf',
  otel_exporter_otlp_traces_headers: ['api-key=the-key-for-traces'],
  otel_exporter_otlp_traces_timeout: 4000,
  otel_exporter_otlp_metrics_endpoint: 'http://mimir:4318/v1/metrics',
  otel_exporter_otlp_metrics_protocol: 'http/protobuf',
  otel_exporter_otlp_metrics_headers: ['api-key=the-key-for-metrics'],
  otel_exporter_otlp_metrics_timeout: 3000,
  drain_delay: '5s',
  drain_timeout: '15s',
  product_name: 'Corp Access',
  support_url: 'mailto:help@corp.example',
  troubleshooting_url: 'https://docs.corp.example/troubleshooting',
  show_error_details: false,
  error_message_first_paragraph: 'Something went wrong.',
  logo_url: 'https://static.corp.example/logo.svg',
  favicon_url: 'https://static.corp.example/favicon.ico',
  primary_color: '#123456',
  secondary_color: '#234567',
  darkmode_primary_color: '#abcdef',
  darkmode_secondary_color: '#bcdefa',
  log_level: 'warn',
  log_format: 'json',
  audit_log: 'off',
  access_log_fields: ['status', 'headers.X-Tenant'],
  authorize_log_fields: ['email'],
  workers: 4,
  services: 'authenticate',
  compatibility: 'pomerium',
  admin: { allow: { or: [{ groups: { has: 'Operators' } }] } },
  policies: { finance: { allow: { or: [{ 'claim/department': 'Finance' }] } } },
}
/** Older names of keys above, and other ways to be known to Okta, which may not stand beside them; `_file` forms have their own test. */
const OTHER_NAMES =
  /^(?:databroker_|circuit_breaker_thresholds\.max_(?:connections|pending_requests)$|idp_refresh_|idp_qps$|directory\.okta\.(?:api_token|client_id|private_key|key_id)$)|_file$/

const ROUTES = [
  { from: 'https://wiki.corp.example', to: 'http://wiki:8080', allowed_groups: ['Engineering'] },
  {
    from: 'https://pay.corp.example',
    to: ['http://pay-1:8080,2', 'http://pay-2:8080,1'],
    prefix: '/api',
    set_request_headers: { Authorization: 'Bearer an-upstream-password' },
    policy: ['finance', { allow: { or: [{ email: { ends_with: '@pay.example' } }] } }],
  },
]

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-config-print-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** Dotted keys as a YAML file. */
function toFile(settings: Settings): string {
  const tree: Record<string, unknown> = {}
  for (const [name, value] of Object.entries(settings)) {
    const parts = name.split('.')
    const last = parts.pop() ?? ''
    let parent = tree
    for (const part of parts) parent = (parent[part] ??= {}) as Record<string, unknown>
    parent[last] = value
  }
  const file = join(folder, 'config.yaml')
  writeFileSync(file, stringify(tree))
  return file
}

/** Dotted keys as variables. */
function toEnvironment(settings: Settings): Record<string, string> {
  const keys = new Map(globalKeys.map((key) => [key.path.join('.'), key]))
  return Object.fromEntries(
    Object.entries(settings).map(([name, value]) => {
      const key = keys.get(name)
      if (!key) throw new Error(`${name} is no key`)
      return [key.env, toText(key, value)]
    }),
  )
}

function toText({ kind }: Key, value: unknown): string {
  if (kind === 'routes') return stringify(value)
  if (Array.isArray(value) && value.every((item) => typeof item === 'string')) return value.join(',')
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** A deployment as it works: the compiled configuration, and what `config print` says, without who said it. */
async function deployment(file: string | undefined, env: Record<string, string>) {
  const loaded = await loadConfig(file, env)
  if (loaded.kind === 'invalid') throw new Error(loaded.issues.map(formatIssue).join('\n'))
  // Warnings say where something is written.
  const { warnings: _, ...config } = loaded.config
  const args = ['config', 'print', '--defaults', '--json', ...(file === undefined ? [] : [file])]
  const { exitCode, out, err } = await cli(args, { env })
  expect([exitCode, err]).toEqual([0, ''])
  const rows = JSON.parse(out) as { path: string; value: unknown; source: { kind: string } }[]
  return {
    config: comparable(config),
    printed: rows.map(({ path, value }) => [path, value]),
    sources: new Set(rows.map(({ source }) => source.kind)),
  }
}

/** Secrets by what they hold, compiled rules by their words; where a route was written is not part of what it does. */
function comparable(value: unknown): unknown {
  if (value instanceof Secret) return `secret ${value.reveal()}`
  if (value instanceof URL) return value.href
  if (value instanceof Map) return [...value].map(comparable)
  if (Array.isArray(value)) return value.map(comparable)
  if (typeof value === 'function') return 'a function'
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name]) => name !== 'definedAt')
      .map(([name, part]) => [name, comparable(part)]),
  )
}

describe('one deployment', () => {
  const whole = { ...EVERYTHING, routes: ROUTES }

  test('covers every key', () => {
    const names = globalKeys.map(({ path }) => path.join('.')).filter((name) => !OTHER_NAMES.test(name))
    expect(Object.keys({ ...whole, policy: ROUTES }).toSorted()).toEqual(names.toSorted())
  })

  test('from the file, from the environment alone, and from both is the same', async () => {
    const fromFile = await deployment(toFile(whole), {})
    const fromEnvironment = await deployment(undefined, toEnvironment(whole))
    const entries = Object.entries(whole)
    const mixed = await deployment(
      toFile(Object.fromEntries(entries.filter((_, i) => i % 2 === 0))),
      toEnvironment(Object.fromEntries(entries.filter((_, i) => i % 2 === 1))),
    )
    expect(fromEnvironment.config).toEqual(fromFile.config)
    expect(fromEnvironment.printed).toEqual(fromFile.printed)
    expect(mixed.config).toEqual(fromFile.config)
    expect(mixed.printed).toEqual(fromFile.printed)
    expect(fromFile.sources).toEqual(new Set(['file', 'default']))
    // The lines of ROUTES are lines of a text, too.
    expect(fromEnvironment.sources).toEqual(new Set(['environment', 'file', 'default']))
  })

  test('the comparison would notice another value', async () => {
    const fromFile = await deployment(toFile(whole), {})
    for (const other of [{ cookie_expire: '9h' }, { shared_secret: 'b'.repeat(8) + '0123456789abcdefghijklmn' }]) {
      expect((await deployment(toFile({ ...whole, ...other }), {})).config).not.toEqual(fromFile.config)
    }
  })

  test('routes as plain YAML, as base64 and in the file are the same, by either name', async () => {
    for (const name of ['routes', 'policy']) {
      const fromFile = await deployment(toFile({ ...EVERYTHING, [name]: ROUTES }), {})
      for (const text of [
        stringify(ROUTES),
        Buffer.from(stringify(ROUTES)).toString('base64'),
        JSON.stringify(ROUTES),
      ]) {
        const env = { ...toEnvironment(EVERYTHING), [name.toUpperCase()]: text }
        const fromEnvironment = await deployment(undefined, env)
        expect(fromEnvironment.config).toEqual(fromFile.config)
        expect(fromEnvironment.printed).toEqual(fromFile.printed)
      }
    }
  })

  test('secrets in files that the environment or the file names are the same', async () => {
    const inFiles = globalKeys
      .map(({ path }) => path.join('.'))
      .filter((name) => name.endsWith('_file') && typeof EVERYTHING[name.slice(0, -'_file'.length)] === 'string')
    expect(inFiles).toHaveLength(20)
    const named: Record<string, unknown> = Object.fromEntries(
      Object.entries(EVERYTHING).filter(([name]) => !inFiles.includes(`${name}_file`)),
    )
    for (const name of inFiles) {
      named[name] = join(folder, name)
      writeFileSync(join(folder, name), `${String(EVERYTHING[name.slice(0, -'_file'.length)])}\n`)
    }
    const written = await deployment(toFile(whole), {})
    const fromFile = await deployment(toFile({ ...named, routes: ROUTES }), {})
    const fromEnvironment = await deployment(undefined, toEnvironment({ ...named, routes: ROUTES }))
    expect(fromFile.config).toEqual(written.config)
    expect(fromEnvironment.config).toEqual(written.config)
    expect(fromEnvironment.printed).toEqual(fromFile.printed)
  })
})

describe('postern config print', () => {
  const SMALL = `authenticate_service_url: https://authenticate.corp.example
idp_provider_url: https://dev-1.okta.com
idp_client_id: 0oa1
insecure_server: true
idp_refresh_directory_interval: 2m
routes:
  - from: https://wiki.corp.example
    to: http://wiki:8080
    allow_any_authenticated_user: true
    set_request_headers: {Authorization: Bearer an-upstream-password}
`
  const env = {
    OKTA_CLIENT_SECRET: 'the-client-secret',
    SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
    IDP_CLIENT_ID: '0oa2',
  }
  function small(): string {
    const file = join(folder, 'small.yaml')
    writeFileSync(file, SMALL)
    return file
  }

  test('shows each value that somebody wrote and where, and no secret', async () => {
    const file = small()
    const { exitCode, out, err } = await cli(['config', 'print', file], { env })
    expect([exitCode, err]).toEqual([0, ''])
    expect(out.split('\n')).toEqual([
      `authenticate_service_url: "https://authenticate.corp.example"  # ${file}:1:27, needs a restart`,
      `idp_provider_url: "https://dev-1.okta.com"  # ${file}:2:19, needs a restart`,
      'idp_client_id: "0oa2"  # environment IDP_CLIENT_ID, needs a restart',
      'idp_client_secret: "[secret]"  # environment OKTA_CLIENT_SECRET',
      `idp_refresh_directory_interval: "2m"  # ${file}:5:33, needs a restart`,
      `insecure_server: true  # ${file}:4:18, needs a restart`,
      'shared_secret: "[secret]"  # environment SHARED_SECRET',
      `routes[0].from: "https://wiki.corp.example"  # ${file}:7:11`,
      `routes[0].to: "http://wiki:8080"  # ${file}:8:9`,
      `routes[0].allow_any_authenticated_user: true  # ${file}:9:35`,
      `routes[0].set_request_headers: {"Authorization":"[secret]"}  # ${file}:10:26`,
    ])
  })

  test('--defaults adds what nobody wrote, also what follows from other values', async () => {
    const { out } = await cli(['config', 'print', '--defaults', small()], { env })
    const lines = out.split('\n')
    expect(lines).toContain('cookie_expire: "14h"  # default')
    expect(lines).toContain('address: ":8080"  # default, needs a restart')
    expect(lines).toContain('cookie_name: "__Host-postern"  # default')
    expect(lines).toContain('idp_client_auth: "basic"  # default')
    expect(lines).toContain('health_check_addr: null  # default, needs a restart')
    // Its older name says two minutes.
    expect(lines.filter((line) => line.startsWith('directory.refresh_interval'))).toEqual([])
    // Nor of other providers, of which there are none.
    const expected = globalKeys.filter(({ kind }) => kind !== 'routes').length - 2
    expect(lines.filter((line) => !line.startsWith('routes['))).toHaveLength(expected)
  })

  test('--json gives values and sources as data', async () => {
    const file = small()
    const rows = JSON.parse((await cli(['config', 'print', '--json', file], { env })).out) as unknown[]
    expect(rows).toContainEqual({
      path: 'insecure_server',
      value: true,
      needs_restart: true,
      source: { kind: 'file', file, line: 4, column: 18 },
    })
    expect(rows).toContainEqual({
      path: 'shared_secret',
      value: '[secret]',
      needs_restart: false,
      source: { kind: 'environment', name: 'SHARED_SECRET' },
    })
  })

  test('no form shows a secret of the deployment with every key', async () => {
    const file = toFile({ ...EVERYTHING, routes: ROUTES })
    for (const args of [[], ['--json'], ['--defaults'], ['--defaults', '--json']]) {
      const { out } = await cli(['config', 'print', ...args, file])
      expect(out).toContain('[secret]')
      for (const secret of [
        'the-client-secret',
        'the-password-of-redis',
        '00an-api-token',
        'MDEyMzQ1',
        'an-upstream-password',
        'PRIVATE KEY',
      ])
        expect(out).not.toContain(secret)
    }
  })

  test('a configuration that is not valid exits with 3 and prints nothing', async () => {
    const { exitCode, out, err } = await cli(['config', 'print', small()])
    expect([exitCode, out]).toEqual([3, ''])
    expect(err).toContain('shared_secret: missing')
  })
})
