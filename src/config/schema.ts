import { z } from 'zod'
import { escapedSlashes } from './schema/paths.ts'
import {
  type AtRestart,
  duration,
  flag,
  integer,
  oneOf,
  orFile,
  path,
  responseHeaders,
  restart,
  text,
  url,
  words,
} from './schema/fields.ts'
import { directorySchema } from './schema/directory.ts'
import { idpKeys } from './schema/idp.ts'
import { logKeys } from './schema/log.ts'
import { claimHeaders, groupsFilter, groupsFormat, issuerFormat } from './schema/identity.ts'
import { tokenIssuers } from './schema/bearer.ts'
import { clientTimeoutKeys, limitKeys } from './schema/limits.ts'
import { listenerKeys } from './schema/listener.ts'
import { pageKeys } from './schema/pages.ts'
import { programHosts } from './schema/programs.ts'
import { routeSchema } from './schema/route.ts'
import { sharedSignalsSchema } from './schema/shared-signals.ts'
import { storageSchema } from './schema/storage.ts'
import { TELEMETRY_KEYS, telemetryKeys } from './schema/telemetry.ts'

const TRANSPORT_SECURITY = 'off, or a value such as max-age=31536000; includeSubDomains'

/**
 * The configuration as a person writes it: the only source of keys, defaults and documentation.
 * Shapes only; what the values mean is judged in compile.ts. Everything is optional here, because the
 * environment may hold it.
 */
export const configSchema = z.strictObject(
  {
    ...restart({
      authenticate_service_url: url
        .optional()
        .describe('External origin of the sign-in service, `https://authenticate.corp.example`. Required.'),
      authenticate_callback_path: path
        .default('/oauth2/callback')
        .describe('Path of the redirect URI that the identity provider knows.'),
    }),
    signout_redirect_url: url
      .optional()
      .describe('Address to go to after sign-out. Default: our page “You are signed out”.'),

    ...restart(idpKeys),
    idp_qps: z
      .number({ error: 'a number' })
      .optional()
      .describe("Ignored: calls follow Okta's own rate limits, see `directory.okta.budget`."),
    ...restart({
      ...orFile(
        'certificate_authority',
        "PEM bundle (or base64 of it) of authorities beside the system's: for calls to the identity provider and Okta, and for upstreams without `tls_custom_ca`.",
      ),
      https_proxy: text.optional().meta({
        description:
          'Proxy for https calls to the identity provider, Okta and the ACME server, `http://proxy:3128`; never for upstreams.',
        writeOnly: true,
      }),
      no_proxy: words
        .prefault([])
        .describe('Hosts (`host`, `host:port`, `.domain`) that are called without `https_proxy`; loopback always is.'),
    }),
    groups_claim: text
      .default('groups')
      .describe(
        'Claim with group names, or the way to it (`realm_access.roles`). Used when no directory is read; in rules it is always the criterion `groups`.',
      ),
    groups_claim_absent: oneOf('unknown', 'none')
      .default('unknown')
      .describe(
        'A sign-in without that claim: `unknown` lets nobody in by rules about groups, `none` is somebody without groups, whom a `deny` for groups lets pass.',
      ),
    ...restart({
      directory: directorySchema.prefault({}).describe('Source of people’s groups and status.'),
      shared_signals: sharedSignalsSchema
        .prefault({})
        .describe('Who pushes security events to us (Shared Signals Framework, RFC 8935). Default: nobody.'),
    }),
    ...listenerKeys,

    ...orFile(
      'shared_secret',
      '32 random bytes as base64, base64url or hex, or 32 characters; one per line: the first signs, all verify. A new first one signs ten minutes after a reload, while the one before it is still there.',
    ),
    ...orFile('cookie_secret', "Pomerium's key, ignored: cookie keys derive from `shared_secret`."),
    ...orFile(
      'signing_key',
      'PEM private keys (or base64 of them) for assertions: the first signs, all are published; a new first one as that of `shared_secret`. Default: derived from `shared_secret`.',
    ),
    ...restart({
      token_issuers: tokenIssuers
        .default({})
        .describe(
          'Issuers of JWTs for programs, by name, for routes with `bearer_token_format: jwt`: `{github: {issuer: …, audience: …, required_claims: {repository_owner: [corp]}}}`.',
        ),
    }),
    cookie_name: text
      .optional()
      .describe('Default: `postern`. On https it gets the prefix `__Host-`, so that no other host can set it.'),
    cookie_expire: duration.prefault('14h').describe('Lifetime of a session after sign-in, active or not.'),
    session_idle_timeout: duration
      .prefault('0s')
      .describe(
        'Idle time after which a session ends. Opening a page or sending something counts as use; what pages load by themselves, event streams and WebSockets do not. 0: no such limit.',
      ),
    cookie_same_site: oneOf('lax', 'strict', 'none').default('lax').describe('SameSite of the session cookie.'),
    cookie_http_only: z
      .literal(true, { error: 'true: the cookie is never readable by scripts' })
      .default(true)
      .describe('Always true.'),
    programmatic_redirect_domain_whitelist: programHosts
      .default([])
      .describe(
        'Hosts that may get the one-time code of a program that somebody signs in (`postern login`), by https, besides 127.0.0.1 and [::1] at any port; `localhost` is one more name of these.',
      ),
    allow_device_login: flag
      .default(false)
      .describe(
        'Programs may sign in by a device code of the identity provider (`postern login --device`), which is entered in any browser. Somebody who is talked into entering the code of another person signs that person in.',
      ),
    strict_transport_security: z
      .string({ error: TRANSPORT_SECURITY })
      .regex(/^(?:off|max-age=\d{1,10}(?:; ?(?:includeSubDomains|preload))*)?$/, { error: TRANSPORT_SECURITY })
      .default('max-age=31536000')
      .describe('Strict-Transport-Security of https hosts, unless their application sends its own; `off`: none.'),

    ...restart({
      storage: storageSchema.prefault({}).describe('Store of sessions and all else that lasts.'),
      store_grace: duration
        .prefault('30s')
        .describe(
          'How long a session that was seen lately is believed while a shared store does not answer; then requests answer 503. `0`: not at all.',
        ),
      databroker_storage_type: oneOf('memory', 'file', 'redis', 'postgres')
        .optional()
        .describe("Pomerium's name of `storage.type`; `file` is the embedded store."),
      ...orFile(
        'databroker_storage_connection_string',
        "Pomerium's name of `storage.path` (a directory, or `file://` and one) and of `storage.url`.",
      ),
    }),
    jwt_claims_headers: claimHeaders
      .default({})
      .describe('Claims to send upstream: a list makes `X-Postern-Claim-<Name>`, a map names the headers.'),
    jwt_groups_filter: groupsFilter
      .optional()
      .describe('Groups that applications may be told of, as ids or names: a list, or `{groups: […]}`. Default: all.'),
    jwt_issuer_format: issuerFormat
      .default('IssuerHostOnly')
      .describe('Issuer of the signed identity: `IssuerHostOnly` is the host, `IssuerURI` is `https://host/`.'),
    groups_format: groupsFormat
      .default('both')
      .describe('How groups are told to applications: `ids`, `names`, or `both`, ids first.'),
    pass_identity_headers: flag.default(false).describe('Send the signed identity and claim headers upstream.'),
    set_response_headers: responseHeaders
      .optional()
      .describe(
        "Headers to set in answers of applications, instead of theirs; `{disable: true}`: none. Default: none; with `compatibility: pomerium` Pomerium's `X-Frame-Options: SAMEORIGIN` and `X-XSS-Protection: 1; mode=block`.",
      ),

    path_with_escaped_slashes_action: escapedSlashes
      .default('reject')
      .describe(
        'Paths with `%2F` or `%5C`: `reject` answers 400, `keep` forwards them as they are, and rules judge them as they are and decoded.',
      ),
    merge_slashes: flag
      .default(true)
      .describe('Merge `//` in paths into one slash. `false` forwards what was asked, and judges it merged, too.'),
    normalize_path: z
      .literal(true, { error: 'true: dot segments are always removed, because servers do not agree on them' })
      .default(true)
      .describe('Always true.'),
    preserve_host_header: flag
      .optional()
      .describe(
        "Send the client's Host upstream (`true`) or the upstream's own (`false`). Default: the client's for http upstreams, the upstream's for https; with `compatibility: pomerium` the upstream's.",
      ),
    ...limitKeys,
    codec_type: oneOf('auto', 'http1', 'http2')
      .default('auto')
      .describe(
        'Protocols of clients. auto: over TLS HTTP/2 or HTTP/1.1, as the client chooses (ALPN), else HTTP/1.1. http2 without TLS: clients have to know it beforehand.',
      ),
    ...clientTimeoutKeys,

    ...restart({
      health_check_addr: text
        .optional()
        .describe('Address of /livez, /readyz and /startupz, `127.0.0.1:28080`. Default: no such listener.'),
      metrics_address: text.optional().describe('Address of /metrics, `:9090`. Default: no such listener.'),
    }),
    ...telemetryKeys,
    public_health_paths: z
      .array(path, { error: 'a list of paths such as /ping' })
      .default(['/ping', '/healthz'])
      .describe(
        'Paths that answer 200 on the host of the sign-in service and on hosts without a route, for load balancers. On hosts of routes they belong to the application. `[]`: none.',
      ),
    drain_delay: duration
      .prefault('0s')
      .describe('Time after SIGTERM in which Postern is not ready but still accepts, so that load balancers notice.'),
    drain_timeout: duration.prefault('25s').describe('Time after that for open requests to finish.'),

    ...pageKeys,

    ...logKeys,
    ...restart({
      workers: z
        .union([integer(1, 256), z.literal('auto')], { error: 'auto, or a whole number from 1 to 256' })
        .default(1)
        .describe(
          'Processes that serve requests, one for each core: `auto` is as many as this machine or container may use. Limits of upstreams count for each. 1: no other process.',
        ),
      services: oneOf('all', 'authenticate', 'proxy')
        .default('all')
        .describe(
          'What this process serves: `authenticate` the sign-in service alone, `proxy` the routes alone, without any secret of the provider or of the directory. They share the store, `shared_secret` and the routes.',
        ),
    }),
    compatibility: oneOf('postern', 'pomerium')
      .default('postern')
      .describe("`pomerium`: Pomerium's names of paths, headers and cookie, and its string prefixes."),

    admin: z
      .union([z.record(z.string(), z.unknown()), z.array(z.unknown()), text], {
        error: 'a policy such as {allow: {or: [{groups: {has: Operators}}]}}, or the name of one',
      })
      .optional()
      .describe(
        'Who may see `/.postern/status` of the sign-in service: a policy as of a route, or the name of one of `policies`. Default: nobody, and there is no such page.',
      ),
    policies: z
      .record(z.string(), z.unknown(), { error: 'a map of names to policies' })
      .default({})
      .describe('Policies with a name, for `policy` of routes: `policies: {staff: {allow: …}}` and `policy: staff`.'),
    routes: z
      .array(routeSchema, { error: 'a list of routes' })
      .optional()
      .describe('The applications. The first match wins; a route that an earlier one hides completely is an error.'),
    policy: z
      .array(routeSchema, { error: 'a list of routes' })
      .optional()
      .describe("Pomerium's older name of `routes`; both are read, this one first."),
  },
  { error: 'a map of keys' },
)

/**
 * Keys that compile.ts makes something else of, or that nothing reads. Every other key outside routes is in the
 * compiled configuration as the schema gives it, under its own name in camel case: `cookie_expire` is `cookieExpire`.
 */
export const COMPILED = [
  'admin',
  'circuit_breaker_thresholds',
  'rate_limit',
  'product_name',
  'support_url',
  'troubleshooting_url',
  'error_message_first_paragraph',
  'logo_url',
  'favicon_url',
  'primary_color',
  'secondary_color',
  'darkmode_primary_color',
  'darkmode_secondary_color',
  'authenticate_service_url',
  'signout_redirect_url',
  'idp_provider',
  'idp_provider_url',
  'idp_client_id',
  'idp_client_secret',
  'idp_client_secret_file',
  'idp_client_auth',
  'idp_scopes',
  'idp_allow_http',
  'idp_internal_url',
  'idp_label',
  'idp_ca',
  'idp_ca_file',
  'identity_providers',
  'certificate_authority',
  'certificate_authority_file',
  'https_proxy',
  'no_proxy',
  'idp_request_params',
  'idp_timeout',
  'idp_pushed_requests',
  'idp_allow_unverified_email',
  'idp_service_account',
  'idp_service_account_file',
  'idp_refresh_directory_interval',
  'idp_refresh_directory_timeout',
  'idp_qps',
  'directory',
  'shared_signals',
  'address',
  'insecure_server',
  'http_redirect_addr',
  'certificate',
  'certificate_file',
  'certificate_key',
  'certificate_key_file',
  'certificates',
  'downstream_mtls',
  'autocert',
  'autocert_ca',
  'autocert_use_staging',
  'autocert_email',
  'autocert_eab_key_id',
  'autocert_eab_mac_key',
  'autocert_eab_mac_key_file',
  'autocert_trusted_ca',
  'autocert_trusted_ca_file',
  'shared_secret',
  'shared_secret_file',
  'cookie_secret',
  'cookie_secret_file',
  'signing_key',
  'signing_key_file',
  'cookie_http_only',
  'storage',
  'store_grace',
  'databroker_storage_type',
  'databroker_storage_connection_string',
  'databroker_storage_connection_string_file',
  'jwt_claims_headers',
  'jwt_groups_filter',
  'jwt_issuer_format',
  'groups_format',
  'pass_identity_headers',
  'set_response_headers',
  'preserve_host_header',
  'path_with_escaped_slashes_action',
  'merge_slashes',
  'normalize_path',
  'default_upstream_timeout',
  'health_check_addr',
  'metrics_address',
  ...TELEMETRY_KEYS,
  'token_issuers',
  'policies',
  'routes',
  'policy',
] as const satisfies readonly (keyof Shape)[]

type Shape = typeof configSchema.shape
type PlainKey = Exclude<keyof Shape, (typeof COMPILED)[number]>
type FixedKey = { [K in PlainKey]: Shape[K] extends AtRestart ? K : never }[PlainKey]

type Camel<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<Camel<Tail>>}` : S
type Frozen<T> = T extends readonly (infer E)[] ? readonly E[] : T
type Plain<T> = { readonly [K in keyof T as Camel<K & string>]: Frozen<T[K]> }

/** The keys that are read once, and those that a reload takes over, as the schema gives them. */
export type PlainFixed = Plain<Pick<GlobalInput, FixedKey>>
export type PlainLive = Plain<Pick<GlobalInput, Exclude<PlainKey, FixedKey>>>

/** As written, with defaults, without the routes. */
export type GlobalInput = Omit<z.output<typeof configSchema>, 'routes' | 'policy'>

/** JSON Schema (draft-07) of the configuration file, for editors: what `config.schema.json` holds. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-07',
    override({ jsonSchema }) {
      const { restart } = jsonSchema
      if (restart === undefined) return
      delete jsonSchema['restart']
      // Not a word of draft-07: extensions begin with `x-`.
      jsonSchema['x-restart'] = restart
    },
  })
  // Places for YAML anchors, which nothing reads.
  return { title: 'Postern configuration', ...schema, patternProperties: { '^x-': {} } }
}
