/** The compiled form of one route: what it matches, who may open it, what is done with its requests. Types only. */
import type { Secret } from '../lib/secret.ts'
import type { Policy } from '../policy/model.ts'
import type { Limit, SignInDemand, Span } from '../types.ts'

export interface Certificate {
  /** PEM chain. */
  readonly chain: string
  readonly key: Secret
}

/** Requests a second (`rate_limit`); absent: as many as come. */
export interface RateLimit {
  readonly perClient?: number
  readonly perPerson?: number
  /** What could have been sent in it may be sent at once. */
  readonly burst: Span
}

/** What a route makes of client certificates. */
export interface RouteMtls {
  /** `DownstreamMtls.version`: what was checked by another one does not count. */
  readonly version: string
  /** Without a valid certificate nobody is let in, whatever the policy. */
  readonly required: boolean
}

export interface Route<A extends Action = Action> {
  /** Stable hash of what the route matches and where it goes. */
  readonly id: string
  /** Bytes of a request body (`max_request_body`); 0: as many as come. Absent: the global limit. */
  readonly maxRequestBody?: number
  readonly rateLimit?: RateLimit
  /** Absent: nobody is asked for a certificate. */
  readonly mtls?: RouteMtls
  /** For people: `name`, or host plus path. */
  readonly name: string
  /** What the application is, in a line, for people who look for it. */
  readonly description?: string
  /** Address of an image: http, https or `data:image/`. */
  readonly logoUrl?: string
  /** Is it among the applications of whoever may open it? */
  readonly portal: boolean
  readonly from: RouteFrom
  readonly match: PathMatch
  /** Absent: the path is enough. */
  readonly conditions?: Conditions
  readonly policy: Policy
  /** This route under its `shadow_policy`: judged beside the policy, and without any effect. */
  readonly shadow?: Route
  /** Providers without a directory: what a session of theirs does not know about groups, no waiting will tell. Absent: none. */
  readonly toldAtSignIn?: readonly string[]
  /** Groups that were last known to be right longer ago than this count as unknown here (`max_directory_age`). */
  readonly maxDirectoryAge?: Span
  /** What a sign-in must be like (`acr_values`, `max_auth_age`). Absent: any will do. */
  readonly demand?: SignInDemand
  /** Lower-case name → value: in answers of applications and of the route's own action, instead of theirs; absent: none. */
  readonly setResponseHeaders?: ReadonlyMap<string, string>
  /** Programs come in with tokens that Postern gave out (`service_tokens`); absent: they do not. */
  readonly serviceTokens?: true
  /** Which name of a client certificate is the account of a program (`certificate_accounts`). Absent: none is. */
  readonly certificateAccounts?: 'dns' | 'email' | 'uri'
  /** Which readings of a path are taken as they were asked; absent: none. */
  readonly paths?: PathReading
  /** A sign-in begins with a page that keeps what follows `#` in the address (`keep_fragment`). */
  readonly keepFragment: boolean
  /** Whoever is refused hears neither why nor of groups (`show_error_details: false`). */
  readonly hidesDetails?: true
  /** Absent: none, and an `Authorization` header is the application's own. */
  readonly bearer?: Bearer
  /** What is done with a request that the policy allows. */
  readonly action: A
  /** Where the route was written, for messages: `config.yaml:12:5`. */
  readonly definedAt: string
}

/** Tokens of others that let somebody in (`bearer_token_format`). */
export interface Bearer {
  readonly kind: 'access-token' | 'id-token' | 'jwt'
  /** One of them. Empty: of ID tokens our client id, of `jwt` what the issuer has. */
  readonly audiences: readonly string[]
  /** Client ids that it may have been issued to; empty: see identity/bearer-claims.ts. */
  readonly clients: readonly string[]
  /** Names of token issuers; absent for tokens of the provider. */
  readonly issuers?: readonly string[]
  /** The application gets to see it, too. */
  readonly passAuthorization: boolean
}

/** Of paths that servers read in more than one way. */
export interface PathReading {
  /** `%2F` and `%5C` (`path_with_escaped_slashes_action`). */
  readonly escapedSlashes: 'reject' | 'keep'
  /** `//` (`merge_slashes`). */
  readonly slashes: 'merge' | 'keep'
}

export type Action = Forward | Redirect | Respond

/** Of one route. */
export interface Timeouts {
  /** Until the response header. */
  readonly response: Limit
  /** Between two pieces of the exchange once the answer has begun. Events of `text/event-stream` have no limit. */
  readonly responseBody: Limit
  /** Between two pieces of the request body before that. */
  readonly requestBody: Limit
  /** From the end of the request's header to the end of the answer. */
  readonly request: Limit
  /** Of a tunnel, however busy it is. */
  readonly tunnelLifetime: Limit
  /** Between two pieces of a WebSocket, instead of `tunnel_idle_timeout`. */
  readonly tunnel?: Span
}

export interface Forward {
  readonly kind: 'forward'
  readonly upstreams: readonly [Upstream, ...Upstream[]]
  readonly rewrite: Rewrite
  /** Lower-case name → value. Set wins over remove. */
  readonly setRequestHeaders: ReadonlyMap<string, string>
  readonly removeRequestHeaders: readonly string[]
  /** Lower case; headers of other proxies that are passed on although a client may have forged them. */
  readonly allowRequestHeaders: readonly string[]
  readonly timeouts: Timeouts
  readonly identity: ForwardedIdentity
  readonly allowWebsockets: boolean
  /** Other protocols that a client may change to, in lower case: `spdy/3.1`. */
  readonly allowUpgrades: readonly string[]
  /** More origins that may open a WebSocket, beside the route's own. */
  readonly allowOrigins: readonly string[]
  readonly balancing: Balancing
  readonly tls: UpstreamTls
}

/** How requests are shared among the upstreams of a route. */
export interface Balancing {
  readonly policy: BalancingPolicy
  readonly retries: Retries
  /** Retries at the same time. */
  readonly maxRetries: number
  /** All of them must pass; empty: an upstream counts as healthy. */
  readonly checks: readonly HealthCheck[]
  /** Absent: nothing that an upstream answers keeps requests away from it. */
  readonly outlier?: OutlierDetection
  /** In percent: with fewer healthy upstreams than this all of them get requests. */
  readonly panicThreshold: number
  /** Instead of the global ones. */
  readonly limits: { readonly upstreamMaxConnections?: number; readonly upstreamMaxPending?: number }
}

/** One active check (`health_checks`). */
export interface HealthCheck {
  readonly timeout: Span
  readonly interval: Span
  /** The first check comes within this time. */
  readonly initialJitter: Span
  /** At most this much is added to each interval. */
  readonly intervalJitter: Span
  /** Failures in a row until it is unhealthy. */
  readonly unhealthyThreshold: number
  /** Successes in a row until it is healthy again. */
  readonly healthyThreshold: number
  readonly probe: HttpCheck | TcpCheck | GrpcCheck
}

export interface HttpCheck {
  readonly kind: 'http'
  readonly path: string
  readonly host?: string
  /** From `start`, below `end`. */
  readonly expected: readonly { readonly start: number; readonly end: number }[]
}

export interface TcpCheck {
  readonly kind: 'tcp'
  readonly send: Buffer
  /** In this order, whatever is between them; empty: the connection is enough. */
  readonly receive: readonly Buffer[]
}

export interface GrpcCheck {
  readonly kind: 'grpc'
  /** `''`: the server as a whole. */
  readonly service: string
  readonly authority?: string
}

/** Errors in a row after which an upstream gets no requests for a while (`outlier_detection`). */
export interface OutlierDetection {
  /** 0: never. */
  readonly consecutive5xx: number
  /** 502, 503 and 504. 0: never. */
  readonly consecutiveGatewayFailure: number
  /** Times the number of ejections in a row. */
  readonly baseEjectionTime: Span
  readonly maxEjectionTime: Span
  readonly maxEjectionPercent: number
}

/** `hash`: by who is signed in, or by the client's address on public routes. */
export type BalancingPolicy = 'round-robin' | 'least-request' | 'random' | 'hash'

/** What is tried again, beside requests that were never sent while another upstream is left. */
export interface Retries {
  /** Beyond the first; 0: none. */
  readonly attempts: number
  readonly on: readonly RetryCondition[]
}

export type RetryCondition = 'connect-failure' | 'reset' | 'gateway-error'

/** Of connections to the upstreams of a route. */
export interface UpstreamTls {
  readonly skipVerify: boolean
  /** PEM bundle that replaces the system's authorities (`tls_custom_ca`). */
  readonly ca?: string
  /** SNI and verified name instead of the upstream's host (`tls_server_name`). */
  readonly serverName?: string
  /** What we show to upstreams that ask for a certificate (`tls_client_cert`). */
  readonly client?: Certificate
  /** Absent: HTTP/2 where the upstream offers it (ALPN), else HTTP/1.1 (`upstream_codec_type`). */
  readonly only?: 'http1' | 'http2'
}

/** What of a request changes on its way to the upstream. Policies judge the path that was asked. */
export interface Rewrite {
  /** Absent: the path that was asked. */
  readonly path?: PathRewrite
  readonly host: HostRewrite
  /** Of the answer; the first that fits a header counts. */
  readonly responseHeaders?: readonly HeaderRewrite[]
}

/** `value` instead of `prefix`, where the value of the header begins with it. */
export interface HeaderRewrite {
  /** Lower case. */
  readonly header: string
  readonly prefix: string
  readonly value: string
}

export type PathRewrite =
  /** `to` instead of the matched prefix. `boundary`: with exactly one slash before the rest; otherwise the strings are put together. */
  | { readonly kind: 'prefix'; readonly prefix: string; readonly to: string; readonly boundary: boolean }
  /** `to` instead of the whole path. */
  | { readonly kind: 'whole'; readonly to: string }
  | ({ readonly kind: 'regex' } & Substitution)

/** Host header of the request to the upstream. */
export type HostRewrite =
  /** As the client sent it. */
  | { readonly kind: 'client' }
  /** Host and port of the upstream's address. */
  | { readonly kind: 'upstream' }
  | { readonly kind: 'fixed'; readonly authority: string }
  /** The value of a request header as the upstream sees it; the client's Host without that header. */
  | { readonly kind: 'header'; readonly name: string }
  /** What the substitution makes of the path that was asked. */
  | ({ readonly kind: 'path-regex' } & Substitution)

/** Every match of an RE2 pattern is replaced; `\1` in the substitution is the first group. Linear in the length of the text. */
export interface Substitution {
  readonly pattern: string
  readonly substitution: string
  readonly replace: (text: string) => string
}

/** What the application is told of whoever is signed in. */
export interface ForwardedIdentity {
  /** Send the assertion and the claim headers (`pass_identity_headers`). */
  readonly pass: boolean
  /** Header name (lower case) → claim name (`jwt_claims_headers`). */
  readonly claimHeaders: ReadonlyMap<string, string>
  readonly groups: {
    readonly format: 'ids' | 'names' | 'both'
    /** Ids and names that may be told (`jwt_groups_filter`); absent: all. */
    readonly only?: readonly string[]
    /** Ids and names that the policy asks for: the first when there are too many. */
    readonly first: readonly string[]
  }
  /** The issuer is a URL of this scheme; absent: a bare host (`jwt_issuer_format`). */
  readonly issuerScheme?: 'http' | 'https'
  /** Lower-case name → value with references (`set_request_headers`); absent: there is none. */
  readonly templates?: ReadonlyMap<string, HeaderTemplate>
  /** Token of a Kubernetes service account that may impersonate (`kubernetes_service_account_token`). */
  readonly kubernetesToken?: Secret
  /** Equal for routes that tell the same. */
  readonly key: string
}

/** Text, and what stands for something. Without a value for each reference there is no header. */
export type HeaderTemplate = readonly (string | TemplateReference)[]

export type TemplateReference =
  /** The signed assertion. */
  | { readonly kind: 'assertion' }
  | { readonly kind: 'user'; readonly field: 'id' | 'email' | 'name' | 'groups' }
  /** Members of nested claims. */
  | { readonly kind: 'claim'; readonly path: readonly string[] }
  /** Lower case. */
  | { readonly kind: 'request-header'; readonly name: string }
  /** Of a valid client certificate. */
  | { readonly kind: 'client-certificate'; readonly field: 'fingerprint' | 'dns' | 'email' }

/** The address that was asked for, with the parts that are given here replaced. */
export interface Redirect {
  readonly kind: 'redirect'
  readonly status: 301 | 302 | 303 | 307 | 308
  readonly scheme?: 'http' | 'https'
  /** A host without port. */
  readonly host?: string
  readonly port?: number
  /** Absent: the path that was asked. */
  readonly path?: PathRewrite
  /** Instead of the query that was asked: `''`, or `?` and what follows. */
  readonly query?: string
}

export interface Respond {
  readonly kind: 'respond'
  readonly status: number
  /** Plain text. */
  readonly body: string
}

export interface RouteFrom {
  readonly scheme: 'http' | 'https'
  /** Lower case, without a trailing dot; `*` stands for any run of characters. */
  readonly host: string
  readonly wildcard: boolean
  /** Absent: any incoming port matches, and the scheme's default is used in URLs. */
  readonly port?: number
}

export type PathMatch =
  | { readonly kind: 'all' }
  | { readonly kind: 'path'; readonly path: string }
  /** `boundary`: only on a segment boundary; a plain string prefix with `compatibility: pomerium`. */
  | { readonly kind: 'prefix'; readonly prefix: string; readonly boundary: boolean }
  /** Linear-time, anchored at both ends, on the path without the query. */
  | { readonly kind: 'regex'; readonly source: string; readonly test: (path: string) => boolean }

/** What a request must have besides its path, all of it. */
export interface Conditions {
  /** Absent: any method. */
  readonly methods?: readonly string[]
  /** Lower-case names. */
  readonly headers: readonly Condition[]
  readonly query: readonly Condition[]
}

/** A header or parameter that must be there. `source`: how the value was written, for messages. */
export interface Condition {
  readonly name: string
  readonly source: string
  readonly test: (value: string) => boolean
}

export interface Upstream {
  /** Scheme, host and port only. */
  readonly origin: string
  readonly weight: number
}
