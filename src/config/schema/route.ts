import { z } from 'zod'
import { redirectSchema, responseSchema } from './answer.ts'
import { escapedSlashes } from './paths.ts'
import { audiences, bearerFormat } from './bearer.ts'
import { claimHeaders, groupsFilter, groupsFormat, issuerFormat } from './identity.ts'
import {
  balancingPolicy,
  circuitBreaker,
  healthChecks,
  outlierDetection,
  panicThreshold,
  retries,
} from './balancing.ts'
import { demandKeys } from './demand.ts'
import { bodyLimit, rateLimitSchema } from './limits.ts'
import { duration, flag, oneOf, orFile, path, responseHeaders, scalars, text, textMap, texts, url } from './fields.ts'

const conditions = z
  .record(
    z.string(),
    z.union([z.string(), z.strictObject({ regex: text })], { error: 'text, or {regex: an RE2 expression}' }),
    { error: 'a map of names to text or {regex: …}' },
  )
  .default({})

/** One entry of `routes:` (or of Pomerium's `policy:`). */
export const routeSchema = z.strictObject(
  {
    name: text.optional().describe('Name in pages, logs and messages. Default: host and path.'),
    description: text.optional().describe('What the application is, in a line, for the portal.'),
    logo_url: text.optional().describe('Image of the application in the portal: an https, http or `data:image/…` URL.'),
    show_in_portal: flag
      .optional()
      .describe(
        'List it in the portal of everybody who may open it. Default: routes that forward, and not those that redirect or respond.',
      ),
    from: url.describe(
      'External origin, `https://app.corp.example`; `*` stands for any run of characters in the host.',
    ),
    to: z
      .union([url, z.array(url).min(1, { error: 'at least one URL' })], { error: 'a URL, or a list of URLs' })
      .optional()
      .describe(
        'Upstream, `http://host:port`, `https://…`, `h2c://…` (HTTP/2 without TLS, for gRPC) or `unix:///path.sock` (`https+unix://` with TLS); several, perhaps with `,weight` behind each. A path replaces the matched prefix.',
      ),
    redirect: redirectSchema
      .optional()
      .describe(
        'Redirects instead of forwarding: `https_redirect` or `scheme_redirect`, `host_redirect`, `port_redirect`, `path_redirect` or `prefix_rewrite`, `response_code`, `strip_query`.',
      ),
    response: responseSchema.optional().describe('Answers instead of forwarding: `status` and the plain text `body`.'),
    prefix: path.optional().describe('Matches this path and everything below it, on segment boundaries.'),
    path: path.optional().describe('Matches exactly this path.'),
    regex: text.optional().describe('Regular expression (RE2) that the whole path must match.'),
    methods: z
      .array(text, { error: 'a list of methods, [GET, HEAD]' })
      .min(1, { error: 'at least one method' })
      .optional()
      .describe('Matches only these methods. A request with another one goes to the next route that matches.'),
    headers: conditions.describe(
      'Matches only requests with these headers: `{X-Env: beta}`, or `{X-Env: {regex: beta-.*}}` for the whole value. Clients choose their headers.',
    ),
    query: conditions.describe(
      'Matches only requests with these parameters in the query: `{version: "2"}`, or `{version: {regex: "[23]"}}`.',
    ),
    path_with_escaped_slashes_action: escapedSlashes
      .optional()
      .describe(
        'Paths with `%2F` or `%5C`: `reject` answers 400, `keep` forwards them as they are, and rules judge them as they are and decoded. Default: the global key of this name.',
      ),
    merge_slashes: flag
      .optional()
      .describe(
        'Merge `//` in paths into one slash. `false` forwards what was asked, and judges it merged, too. Default: the global key of this name.',
      ),
    prefix_rewrite: path.optional().describe('Path sent upstream instead of the matched prefix.'),
    regex_rewrite_pattern: text
      .optional()
      .describe('RE2 expression; every match in the path is replaced by `regex_rewrite_substitution`.'),
    regex_rewrite_substitution: z
      .string({ error: 'text' })
      .optional()
      .describe('Text to send upstream instead of each match; `\\1` is the first group.'),
    preserve_host_header: flag
      .optional()
      .describe("Send the client's Host instead of the upstream's. Default: the global key of this name."),
    host_rewrite: text.optional().describe('Host to send upstream, `app.internal` or `app.internal:8080`.'),
    host_rewrite_header: text.optional().describe('Request header whose value is sent upstream as Host.'),
    host_path_regex_rewrite_pattern: text
      .optional()
      .describe('RE2 expression; the path with every match replaced is sent upstream as Host.'),
    host_path_regex_rewrite_substitution: z
      .string({ error: 'text' })
      .optional()
      .describe('Text instead of each match of `host_path_regex_rewrite_pattern`; `\\1` is the first group.'),
    rewrite_response_headers: z
      .array(
        z.strictObject(
          { header: text, prefix: text, value: z.string({ error: 'text' }) },
          { error: 'a map such as {header: Location, prefix: "http://app:8080/", value: "https://app.corp.example/"}' },
        ),
        { error: 'a list of {header, prefix, value}' },
      )
      .default([])
      .describe(
        'Headers of answers whose value begins with `prefix`: `value` replaces it. `Location` and `Content-Location` that name the upstream are put back without it.',
      ),
    set_request_headers: textMap
      .default({})
      .describe(
        'Headers to set in the request to the upstream; `${user.email}`, `${claims.department}`, `${pomerium.jwt}` and the like are filled in. Setting wins over removing.',
      ),
    remove_request_headers: texts.default([]).describe('Headers to remove from the request to the upstream.'),
    set_response_headers: responseHeaders
      .optional()
      .describe(
        'Headers to set in answers, over those of the global key of this name; `{disable: true}`: neither these nor those.',
      ),
    allow_request_headers: texts
      .default([])
      .describe(
        'Identity headers of other proxies to pass on, such as `X-WEBAUTH-USER`. Others are removed, because clients could forge them.',
      ),
    timeout: duration
      .optional()
      .describe('Timeout for the response header; 0: none. Default: `default_upstream_timeout`.'),
    request_timeout: duration
      .optional()
      .describe('Whole time of a request and its answer; 0: none. Default: the global key of this name.'),
    tunnel_max_lifetime: duration
      .optional()
      .describe('Lifetime of WebSockets, however busy; 0: none. Default: the global key of this name.'),
    idle_timeout: duration
      .optional()
      .describe(
        'Idle timeout of requests, responses and WebSockets; 0: none. Default: `client_body_timeout`, `upstream_body_timeout` (none with `timeout: 0s`), `tunnel_idle_timeout`. Event streams have none.',
      ),
    allow_websockets: flag.default(true).describe('Allow WebSockets; each is authorized like a request.'),
    allow_spdy: flag
      .default(false)
      .describe(
        'Allow upgrades to SPDY/3.1, as `kubectl exec`, `attach`, `cp` and `port-forward` make them; each is authorized like a request.',
      ),
    allow_upgrades: texts
      .default([])
      .describe(
        'Other protocols that clients may change to, as they write them into `Upgrade`. What is sent in them is not judged.',
      ),
    cors_allow_preflight: flag
      .default(false)
      .describe('Let CORS preflights pass without a sign-in: OPTIONS with Origin and Access-Control-Request-Method.'),
    allow_origins: texts
      .default([])
      .describe(
        "Origins whose pages may open a WebSocket, and read answers of Postern's own such as 401, besides the route's: `https://other.corp.example`.",
      ),
    pass_identity_headers: flag
      .optional()
      .describe('Send the signed identity and claim headers upstream. Default: the global key of this name.'),
    ...orFile(
      'kubernetes_service_account_token',
      'Token of a Kubernetes service account: sent with `Impersonate-User` and `Impersonate-Group` of who is signed in.',
    ),
    bearer_token_format: bearerFormat
      .optional()
      .describe(
        'Tokens that let people and programs in: access tokens (`idp_access_token`) or ID tokens (`idp_identity_token`) of the identity provider, or `jwt` of `token_issuers`. Default: none.',
      ),
    bearer_token_audience: audiences
      .optional()
      .describe(
        'Audience of these tokens, or a list. Required for access tokens; for `jwt` instead of that of the issuer, for ID tokens instead of our client id.',
      ),
    bearer_token_issuers: texts
      .min(1, { error: 'at least one name' })
      .optional()
      .describe('Names of `token_issuers` whose tokens are accepted with `bearer_token_format: jwt`. Default: all.'),
    bearer_token_clients: texts
      .min(1, { error: 'at least one client id' })
      .optional()
      .describe(
        'Client ids to which such a token may have been issued. Default: all; of the Okta org, whose tokens are for every app, ours alone.',
      ),
    pass_authorization: flag
      .default(false)
      .describe('Send such a token upstream, too. Default: no application sees a credential that Postern accepted.'),
    jwt_claims_headers: claimHeaders
      .optional()
      .describe('Claims to send upstream, instead of those of the global key of this name.'),
    jwt_groups_filter: groupsFilter
      .optional()
      .describe('Groups that this application may be told of, besides those of the global key of this name.'),
    jwt_issuer_format: issuerFormat
      .optional()
      .describe('Issuer of the signed identity. Default: the global key of this name.'),
    groups_format: groupsFormat
      .optional()
      .describe('How groups are told to this application. Default: the global key of this name.'),
    load_balancing_policy: balancingPolicy
      .optional()
      .describe(
        'Which of several upstreams gets a request: `ROUND_ROBIN` by weight, `LEAST_REQUEST`, `RANDOM`; `RING_HASH` and `MAGLEV` keep a signed-in person, or on public routes a client address, on one upstream. Default: `ROUND_ROBIN`.',
      ),
    lb_policy: balancingPolicy.optional().describe('Older name of `load_balancing_policy`.'),
    health_checks: healthChecks
      .default([])
      .describe('Active checks of each upstream; one that fails gets no requests. Default: none.'),
    healthy_panic_threshold: panicThreshold
      .optional()
      .describe(
        'Percentage: with fewer healthy upstreams all of them get requests. 0: never, the answer is 503 when none is healthy. Default: 50.',
      ),
    outlier_detection: outlierDetection
      .optional()
      .describe(
        'After errors in a row an upstream gets no requests for a while. Default: only failed connections count, for 10 s.',
      ),
    max_request_body: bodyLimit
      .optional()
      .describe('Most bytes of a request body; beyond: 413. 0: as many as come. Default: the global key of this name.'),
    rate_limit: rateLimitSchema
      .optional()
      .describe('How often one client, and one person, may ask this route, besides the global limit.'),
    circuit_breaker_thresholds: circuitBreaker
      .optional()
      .describe('Limits of this route, for each of its upstreams. Default: the global limits.'),
    retries: retries
      .optional()
      .describe(
        'What is tried again. Always: a request that found no connection goes to another upstream. Default: nothing else.',
      ),
    tls_skip_verify: flag.default(false).describe("Do not verify the upstream's certificate."),
    ...orFile('tls_custom_ca', "PEM bundle (or base64 of it) that replaces the system's authorities."),
    tls_server_name: text
      .optional()
      .describe("TLS server name (SNI) to send and verify instead of the upstream's host."),
    tls_upstream_server_name: text.optional().describe('Same as `tls_server_name`, and takes precedence.'),
    ...orFile(
      'tls_client_cert',
      'PEM certificate chain (or base64 of it) to show to upstreams that ask for one (mTLS).',
    ),
    ...orFile('tls_client_key', 'PEM private key of `tls_client_cert` (or base64 of it).'),
    upstream_codec_type: oneOf('auto', 'http1', 'http2')
      .default('auto')
      .describe(
        'Protocols to `https` upstreams. auto: HTTP/2 when the upstream offers it (ALPN), else HTTP/1.1. http1: HTTP/2 for gRPC alone. http2: nothing else.',
      ),
    allow_public_unauthenticated_access: flag
      .default(false)
      .describe('Everybody may open it without signing in. Excludes every other access key.'),
    identity: oneOf('none', 'optional')
      .default('none')
      .describe(
        'On public routes: `optional` passes the identity of those who are signed in, and asks nobody to sign in.',
      ),
    allow_any_authenticated_user: flag.default(false).describe('Everybody who is signed in may open it.'),
    allowed_users: texts.default([]).describe('User ids or e-mail addresses that may open it.'),
    allowed_groups: texts
      .default([])
      .describe('Group ids (`00g…`) or names; names match Okta groups and `Everyone`, never imported groups.'),
    allowed_domains: texts.default([]).describe('Domains of e-mail addresses that may open it.'),
    allowed_idp_claims: z
      .record(z.string(), scalars, { error: 'a map of claim names to lists of values' })
      .default({})
      .describe('Claims and their values; any one of them is enough. The claim with groups is asked of the directory.'),
    keep_fragment: flag
      .default(true)
      .describe(
        'Begin a sign-in with a page that keeps what follows `#` in the address, in browsers that run scripts. `false`: with a redirect, which loses it.',
      ),
    show_error_details: flag
      .optional()
      .describe('`show_error_details` of this route. Default: the global key of this name.'),
    service_tokens: flag
      .default(false)
      .describe('Programs may come in with a token of `postern tokens`, as bearer or as a password.'),
    certificate_accounts: oneOf('dns', 'email', 'uri')
      .optional()
      .describe(
        'Programs may come in with a client certificate (`downstream_mtls`): its one name of this kind is their account, `certificate/NAME` in the criterion `service_account`. Default: none.',
      ),
    max_directory_age: duration
      .optional()
      .describe('Oldest group data that this route accepts. With older data the answer is 503.'),
    identity_provider: z
      .union([text, texts.min(1, { error: 'at least one name' })], {
        error: 'a name of a provider, or a list of names',
      })
      .optional()
      .describe(
        'Whose sessions count here, of several identity providers: a name of `identity_providers` (or `default`, the one of the keys `idp_…`), or a list to choose from. Default: all.',
      ),
    ...demandKeys,
    policy: z
      .unknown()
      .optional()
      .describe(
        'PPL: `allow` and `deny` with `and`, `or`, `not`, `nor` lists of criteria; or the name of one of `policies`, also as an item of a list.',
      ),
    shadow_policy: z
      .unknown()
      .optional()
      .describe(
        'A policy that is judged instead of all access keys of this route, logged (`shadow_decision`) and counted, and never changes the answer.',
      ),
  },
  { error: 'a route: a map with `from` and `to`' },
)

export type RouteInput = z.output<typeof routeSchema>
