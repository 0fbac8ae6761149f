/**
 * The vocabulary and the seams of Postern. Types only: importing this file does nothing.
 *
 * On every seam a value or `undefined` is an answer; a rejection or a throw is a technical fault
 * (an `AppError` with a code from errors.ts) and never means "no".
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ErrorCode } from './errors.ts'
import type { Secret } from './lib/secret.ts'

/** Milliseconds: an instant since the Unix epoch, or a span. */
export type Millis = number
/** OIDC `sub`; for Okta the immutable user id (`00u…`). Never an e-mail address. */
export type Subject = string
/** Public half of the session cookie: 22 characters of base64url, 128 random bits. */
export type SessionId = string
export type Unsubscribe = () => void
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }
export type JsonObject = { readonly [key: string]: Json }

// ---------------------------------------------------------------------------------------------
// Ambient services, injected everywhere

export interface Clock {
  now(): Millis
  /** Runs once after `delay`; never keeps the process alive. */
  after(delay: Millis, run: () => void): Unsubscribe
}

export interface Logger {
  trace(fields: object, message: string): void
  debug(fields: object, message: string): void
  info(fields: object, message: string): void
  warn(fields: object, message: string): void
  error(fields: object, message: string): void
  /** For lines of every request: their fields are JSON members already (`"status":200,"path":"/"`), and never none. */
  line(level: 'info' | 'error', members: string, message: string): void
}

// ---------------------------------------------------------------------------------------------
// Configuration: the frozen result of config/compile.ts

/** Names that `compatibility: pomerium` switches; the code is the same. */
export interface Naming {
  readonly controlPrefix: '/.postern' | '/.pomerium'
  readonly wellKnown: '/.well-known/postern' | '/.well-known/pomerium'
  /** Lower case. */
  readonly assertionHeader: string
  /** Lower case, ends in `-`. */
  readonly claimHeaderPrefix: string
  /** Cookie name on https origins (`__Host-` when ours) and on http origins. */
  readonly cookie: { readonly https: string; readonly http: string }
}

export interface Config {
  readonly compatibility: 'postern' | 'pomerium'
  readonly naming: Naming
  readonly listen: ListenConfig
  readonly authenticate: AuthenticateConfig
  readonly idp: IdpConfig
  readonly directory: DirectoryConfig
  /** The first one signs, all verify (rotation). Raw bytes or text, at least 32 bytes of entropy source. */
  readonly sharedSecrets: readonly [Secret, ...Secret[]]
  /** PEM private keys; the first signs, all are published. Empty: one P-256 key is derived from the shared secret. */
  readonly signingKeys: readonly Secret[]
  readonly cookie: CookieConfig
  readonly storage: StorageConfig
  readonly identityHeaders: IdentityHeadersConfig
  readonly trust: ProxyTrust
  readonly log: { readonly level: LogLevel }
  readonly timeouts: TimeoutConfig
  readonly operations: OperationsConfig
  readonly routes: readonly Route[]
}

export interface Address {
  readonly host: string
  readonly port: number
}

export interface OperationsConfig {
  /** `health_check_addr`: /livez, /readyz, /startupz. Absent: off. */
  readonly health?: Address
  /** `metrics_address`: /metrics. Absent: off. */
  readonly metrics?: Address
  /** Between "not ready" and "accepts no more", so that load balancers notice. */
  readonly drainDelay: Millis
  /** Busy exchanges may finish this long. */
  readonly drainTimeout: Millis
}

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'off'

export interface ListenConfig {
  readonly host: string
  readonly port: number
  /** Absent with `insecure_server` or when every external URL is http. */
  readonly tls?: { readonly certificate: string; readonly key: Secret }
}

export interface AuthenticateConfig {
  /** External origin of the authenticate service, e.g. `https://authenticate.corp.example`. */
  readonly url: URL
  readonly callbackPath: string
  /** Where a sign-out ends (`signout_redirect_url`). */
  readonly signOutRedirect?: URL
}

export interface IdpConfig {
  readonly provider: 'okta' | 'oidc'
  /** Exact issuer, without a trailing slash. */
  readonly issuer: string
  readonly clientId: string
  readonly clientAuth: ClientAuth
  readonly scopes: readonly string[]
  readonly requestParams: Readonly<Record<string, string>>
  /** Claim that carries group names when no directory is read. */
  readonly groupsClaim: string
  /** Time for one call to the provider. */
  readonly timeout: Millis
}

export type ClientAuth = { readonly kind: 'basic' | 'post'; readonly secret: Secret } | { readonly kind: 'none' }

export type DirectoryConfig = {
  /** Age after which a person with a live session is read again. */
  readonly refreshInterval: Millis
  /** Age after which a membership is unknown and group rules answer 503. */
  readonly maxStaleness: Millis
  /** A sign-in waits no longer than this for groups. */
  readonly signInTimeout: Millis
  /** Every source that is read, the first that knows a person counts; empty: groups come from the sign-in's claims. */
  readonly order: readonly ('okta' | 'scim' | 'static')[]
  /** People and groups are pushed to us with this bearer token. */
  readonly scim?: { readonly token: Secret }
  readonly people?: readonly StaticPerson[]
} & (
  | { readonly kind: 'claims' }
  /** Sources that need no call: `scim`, `static`. */
  | { readonly kind: 'local' }
  | {
      readonly kind: 'okta'
      /** API origin, e.g. `https://dev-1.okta.com`. */
      readonly url: URL
      readonly credentials: OktaCredentials
      /** Between two looks at the System Log. */
      readonly logInterval: Millis
      /** What event hooks show in their Authorization header. Absent: no hooks are taken. */
      readonly hookSecret?: Secret
      /** Share of each Okta rate-limit bucket that Postern may use, 0 to 1. */
      readonly budget: number
      readonly timeout: Millis
    }
)

export type OktaCredentials =
  /** An SSWS API token. */
  | { readonly kind: 'token'; readonly token: Secret }
  /** An API Services app that proves itself with a signature (RFC 7523). */
  | {
      readonly kind: 'service-app'
      readonly clientId: string
      /** PEM. */
      readonly privateKey: Secret
      /** As Okta lists the key; absent: Okta tries all keys of the app. */
      readonly keyId?: string
      readonly scopes: readonly string[]
    }

/** One person of a static directory. */
export interface StaticPerson {
  readonly id: Subject
  readonly status?: UserStatus
  /** Names or Okta ids, as rules write them. */
  readonly groups: readonly string[]
}

export interface CookieConfig {
  /** Overrides the naming table when set (`cookie_name`). */
  readonly name?: string
  readonly expire: Millis
  readonly sameSite: 'lax' | 'strict' | 'none'
}

export type StorageConfig = { readonly kind: 'memory' } | { readonly kind: 'embedded'; readonly path: string }

export interface IdentityHeadersConfig {
  /** Header name (lower case) → claim name. */
  readonly claims: ReadonlyMap<string, string>
  /** Default for routes (`pass_identity_headers`). */
  readonly pass: boolean
}

export interface ProxyTrust {
  /** Peers whose forwarded headers are believed (`trusted_proxies`), CIDR notation. */
  readonly proxies: readonly string[]
  /** Entries of X-Forwarded-For added by hops we trust (`xff_num_trusted_hops`). */
  readonly hops: number
}

export interface TimeoutConfig {
  /** A request's header must have arrived. */
  readonly header: Millis
  /** Idle keep-alive connection of a client. */
  readonly idle: Millis
  /** `default_upstream_timeout`: until the response header; 0 is none. */
  readonly upstream: Millis
  /** Between two pieces of a response body; 0 is none. */
  readonly upstreamBody: Millis
  readonly connect: Millis
}

export interface Route {
  /** Stable hash of what the route matches and where it goes. */
  readonly id: string
  /** For people: `name`, or host plus path. */
  readonly name: string
  readonly from: RouteFrom
  readonly match: PathMatch
  readonly upstreams: readonly [Upstream, ...Upstream[]]
  /** Replaces the matched prefix (`prefix_rewrite`, or the path of `to`). */
  readonly prefixRewrite?: string
  readonly preserveHost: boolean
  /** Lower-case name → value. Set wins over remove. */
  readonly setRequestHeaders: ReadonlyMap<string, string>
  readonly removeRequestHeaders: readonly string[]
  /** Until the response header; 0 is none. */
  readonly timeout: Millis
  readonly passIdentityHeaders: boolean
  readonly allowWebsockets: boolean
  /** More origins that may open a WebSocket, beside the route's own. */
  readonly allowOrigins: readonly string[]
  readonly tlsSkipVerify: boolean
  /** PEM bundle that replaces the system's authorities for this route (`tls_custom_ca`). */
  readonly tlsCa?: string
  /** SNI and verified name instead of the upstream's host (`tls_server_name`). */
  readonly tlsServerName?: string
  readonly policy: Policy
  /** Groups that were last known to be right longer ago than this count as unknown here (`max_directory_age`). */
  readonly maxDirectoryAge?: Millis
  /** Where the route was written, for messages: `config.yaml:12:5`. */
  readonly definedAt: string
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

export interface Upstream {
  /** Scheme, host and port only. */
  readonly origin: string
  readonly weight: number
}

// ---------------------------------------------------------------------------------------------
// Policy

/** The bad mixes of Pomerium's legacy keys cannot be expressed. */
export type Policy =
  | { readonly kind: 'public' }
  | { readonly kind: 'signed-in' }
  | { readonly kind: 'rules'; readonly allow: readonly Clause[]; readonly deny: readonly Clause[] }

/** PPL: and = all true, or = any true, not = all false, nor = any false. Never empty. */
export interface Clause {
  readonly op: 'and' | 'or' | 'not' | 'nor'
  readonly criteria: readonly [Criterion, ...Criterion[]]
}

/** A compiled criterion. The engine never branches on its name: the row says what it needs. */
export interface Criterion {
  /** As written: `groups`, `claim/department`. */
  readonly name: string
  readonly needs: 'nothing' | 'session' | 'groups'
  readonly ok: Reason
  readonly no: Reason
  /** For people: `groups has "Engineering"`. */
  readonly describe: string
  /** Groups that would satisfy this criterion, for the 403 page; empty when it is not about groups. */
  readonly wantedGroups: readonly string[]
  /** Called only when what it needs is there. Must not throw; a throw is a denial. */
  test(facts: CriterionFacts): boolean
}

export interface CriterionFacts {
  readonly who: Principal | undefined
  readonly request: RequestFacts
  readonly now: Millis
}

/** Closed vocabulary, Pomerium's where it has the word (pomerium.md §3.7). */
export type Reason =
  | 'accept'
  | 'reject'
  | 'public'
  | 'signed-in'
  | 'no-rule-matched'
  | 'policy-error'
  | 'user-unauthenticated'
  | 'user-inactive'
  | 'user-ok'
  | 'user-unauthorized'
  | 'email-ok'
  | 'email-unauthorized'
  | 'domain-ok'
  | 'domain-unauthorized'
  | 'groups-ok'
  | 'groups-unauthorized'
  | 'groups-unknown'
  | 'claim-ok'
  | 'claim-unauthorized'
  | 'http-method-ok'
  | 'http-method-unauthorized'
  | 'http-path-ok'
  | 'http-path-unauthorized'
  | 'source-ip-ok'
  | 'source-ip-unauthorized'
  | 'origin-unauthorized'
  | 'websockets-off'

declare const granted: unique symbol
/** Permission to forward one request. Only policy/engine.ts makes one; the forwarder refuses anything else. */
export interface Grant {
  readonly route: Route
  readonly request: RequestFacts
  /** Absent on public routes. */
  readonly principal?: Principal
  readonly [granted]: true
}

export type Decision =
  | { readonly outcome: 'allow'; readonly grant: Grant; readonly reasons: readonly Reason[] }
  | { readonly outcome: 'sign-in' | 'deny'; readonly reasons: readonly Reason[] }
  | { readonly outcome: 'unavailable'; readonly retryAfter: number; readonly reasons: readonly Reason[] }

export interface PolicyEngine {
  /** Pure, total and synchronous: it never throws, and every doubt is not "allow". */
  decide(route: Route, who: Principal | undefined, request: RequestFacts, now: Millis): Decision
}

// ---------------------------------------------------------------------------------------------
// Requests

/** What was asked, read once from the raw request by routing/target.ts. What is judged here is what is forwarded. */
export interface RequestFacts {
  /** Request id: shown to people, logged, sent upstream. */
  readonly id: string
  readonly method: string
  /** Canonical: lower case, no trailing dot, no port. */
  readonly host: string
  readonly port: number | undefined
  /** Canonical path: begins with `/`, dot segments removed, unreserved octets decoded, slashes merged. */
  readonly path: string
  /** `''`, or `?` and the bytes that followed it, unchanged. */
  readonly query: string
  readonly clientIp: string
  /** How the client spoke to us or, when a trusted hop says so, to that hop. */
  readonly scheme: 'http' | 'https'
  /** `html`: a navigation that may be redirected. `json`: anything else. `upgrade`: asks for another protocol. */
  readonly wants: 'html' | 'json' | 'upgrade'
  /** All Cookie lines joined with `; `; `''` when there is none. */
  readonly cookie: string
  readonly origin: string | undefined
  readonly userAgent: string
}

export interface BadRequest {
  readonly kind: 'bad-request'
  readonly id: string
  readonly status: 400 | 405 | 408 | 417 | 431 | 501
  /** Short and constant: never echoes what was sent. */
  readonly detail: string
  readonly clientIp: string
}

export type ControlAction =
  | 'ping'
  | 'robots'
  | 'jwks'
  | 'well-known'
  | 'style'
  | 'route-callback'
  | 'sign-in'
  | 'idp-callback'
  | 'sign-out'
  | 'signed-out'
  | 'user-page'
  | 'user-json'
  | 'okta-hook'
  | 'scim'

export type RouteMatch =
  | { readonly kind: 'route'; readonly route: Route }
  /** `origin`: the external origin of this host from configuration, never from the request's scheme or port. */
  | {
      readonly kind: 'control'
      readonly action: ControlAction
      readonly on: 'authenticate' | 'route'
      readonly origin: string
    }
  | { readonly kind: 'none' }

export interface RouteTable {
  match(request: RequestFacts): RouteMatch
  /** External origin of a route's host for this request; undefined when no route serves the host. */
  originOf(host: string, port: number | undefined): string | undefined
  /** May a sign-in return here? Host, scheme and port of a configured route or of the authenticate service. */
  allowsReturn(url: URL): boolean
}

/** The world as one request sees it: read once at the top, nothing below asks for "current" anything. */
export interface Snapshot {
  readonly version: number
  /** routing/target.parseTarget with this configuration's trust in forwarded headers. */
  readonly parse: (req: IncomingMessage, upgrade: boolean) => RequestFacts | BadRequest
  readonly config: Config
  readonly routes: RouteTable
  readonly policy: PolicyEngine
}

/** A whole response as a value; only server/listen.ts writes one. */
export interface Reply {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | Buffer
}

export interface Finished {
  readonly status: number
  readonly bytesOut: number
  readonly forwarded?: Forwarded
}

/** One finished request, for whoever counts. */
export interface RequestSample {
  readonly facts: RequestFacts | undefined
  readonly route: Route | undefined
  readonly decision: Decision | undefined
  readonly finished: Finished | undefined
  readonly error: { readonly code: ErrorCode } | undefined
  readonly seconds: number
}

/** What the forwarder reports; a failure before the response began is thrown as an AppError instead. */
export interface Forwarded {
  readonly status: number
  readonly upstream: string
  /** Until the response header. */
  readonly upstreamMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Set when the exchange was cut after it began. */
  readonly cut?: ErrorCode | CutReason
}

export type CutReason = 'signed-out' | 'expired' | 'revoked' | 'no-longer-allowed' | 'client-closed' | 'shutdown'

/** One request or one upgrade, and the only two ways out of it; a second exit throws. HTTP and upgrades share every check. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly upgrade: boolean
  reply(reply: Reply): Promise<Finished>
  pass(grant: Grant): Promise<Finished>
  /** Ends a passed exchange at once: the response is cut, the tunnel closed. */
  cut(reason: CutReason): void
}

export interface Forwarder {
  /** A cut exchange shows as its client socket being destroyed: the forwarder then aborts the upstream request. */
  forward(grant: Grant, req: IncomingMessage, res: ServerResponse): Promise<Forwarded>
  /** Answers the handshake itself; resolves when the tunnel has ended. Rejects only before anything was written to the socket. */
  tunnel(grant: Grant, req: IncomingMessage, socket: Duplex, head: Buffer): Promise<Forwarded>
  close(): Promise<void>
}

// ---------------------------------------------------------------------------------------------
// Identity and sessions

/** Who the identity provider says this is: ID token claims completed by userinfo. */
export interface Identity {
  readonly issuer: string
  readonly subject: Subject
  /** Only when verified or not marked unverified, and with exactly one `@`; lower case. */
  readonly email?: string
  readonly name?: string
  readonly claims: JsonObject
}

export interface Tokens {
  readonly idToken: string
  readonly refreshToken?: string
  readonly accessTokenExpiresAt?: Millis
}

export interface PendingSignIn {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

export interface IdentityProvider {
  begin(signal: AbortSignal): Promise<{ readonly redirect: URL; readonly pending: PendingSignIn }>
  /**
   * `callback` carries the query of the request on the configured callback URL, never the Host header.
   * State is compared before the code is spent. Rejects ERR_IDP_REJECTED (what the provider said) or ERR_IDP_UNREACHABLE.
   */
  complete(
    callback: URL,
    pending: PendingSignIn,
    signal: AbortSignal,
  ): Promise<{ readonly identity: Identity; readonly tokens: Tokens }>
  /** undefined: the provider refused the token for good. */
  refresh(
    refreshToken: string,
    subject: Subject,
    signal: AbortSignal,
  ): Promise<{ readonly identity: Identity; readonly tokens: Tokens } | undefined>
  /** undefined: the provider has no end-session endpoint, or cannot be asked now. */
  signOutUrl(idToken: string, returnTo: URL): Promise<URL | undefined>
}

export interface Session {
  readonly id: SessionId
  readonly subject: Subject
  readonly identity: Identity
  readonly createdAt: Millis
  /** Absolute; activity does not move it. */
  readonly expiresAt: Millis
  /** Sealed `Tokens`. */
  readonly sealedTokens: string
}

export interface Sessions {
  /** From a raw Cookie header. Anything unreadable is signed out (undefined); only a store fault rejects. */
  read(cookie: string, host: string, now: Millis): Promise<Session | undefined> | Session | undefined
  create(identity: Identity, tokens: Tokens, expiresAt: Millis): Promise<Session>
  get(id: SessionId): Promise<Session | undefined>
  tokens(session: Session): Tokens | undefined
  replaceTokens(session: Session, tokens: Tokens, identity: Identity): Promise<void>
  /** Cookie value for one host: `v1.<id>.<mac>`. Host-bound: useless on any other host. */
  cookieValue(id: SessionId, host: string): string
  revoke(id: SessionId): Promise<void>
  /** Sessions that began before, or all; gives how many ended. */
  revokeSubject(subject: Subject, before?: Millis): Promise<number>
  /** Subjects with a session in the store. */
  list(subject?: Subject): AsyncIterable<Session>
  /** Sessions that ended anywhere (this process, another worker, the command line). */
  onEnd(listener: (id: SessionId) => void): Unsubscribe
  close(): void
}

/** Who asks, at the moment of asking. */
export interface Principal {
  readonly identity: Identity
  readonly sessionId: SessionId
  readonly membership: Membership | 'unknown'
  readonly status: UserStatus | 'unknown'
}

/** Long-lived exchanges (WebSockets, SSE, downloads) that must end when their permission does. */
export interface OpenStream {
  readonly sessionId: SessionId
  readonly subject: Subject
  readonly expiresAt: Millis
  /** Decides again with what is known now. */
  stillAllowed(): boolean
  cut(reason: CutReason): void
}

export interface StreamRegistry {
  add(stream: OpenStream): Unsubscribe
  endSession(id: SessionId, reason: CutReason): void
  /** Decide again for one subject, or for everyone (a new configuration). */
  recheck(subject?: Subject): void
  readonly size: number
  close(): void
}

// ---------------------------------------------------------------------------------------------
// Directory

export interface Group {
  readonly id: string
  readonly name: string
  /** CLAIM: a value of the groups claim, where id and name are the same. */
  readonly type: 'OKTA_GROUP' | 'BUILT_IN' | 'APP_GROUP' | 'CLAIM'
}

/**
 * `asOf`: server time of the evidence. `keys`: what rules may match, built by policy/membership.ts. `freshAt`: until
 * when, on our clock, a change would have been heard of.
 */
export interface Membership {
  readonly groups: readonly Group[]
  readonly asOf: Millis
  readonly freshAt?: Millis
  readonly source: string
  readonly keys: ReadonlySet<string>
}

export type UserStatus = 'active' | 'inactive'

/** One person as a source sees them. */
export interface Entry {
  readonly subject: Subject
  readonly status: UserStatus
  /** The source's own word: `SUSPENDED`. */
  readonly statusText: string
  readonly groups: readonly Group[]
  readonly asOf: Millis
  /** Server time: what happened up to here may be in it already. Absent: `asOf`. */
  readonly upTo?: Millis
  /** Which of several combined sources said so. */
  readonly source?: string
}

/** Who goes first when a source limits its callers: a sign-in before a confirmation before the background before repairs. */
export type ReadPriority = 'sign-in' | 'confirm' | 'background' | 'reconcile'

export interface DirectorySource {
  readonly name: string
  /**
   * undefined: the source has no such person. Rejects with ERR_DIRECTORY_… and never answers with half a set.
   * `priority` is `sign-in` unless said.
   */
  lookup(user: Subject, signal: AbortSignal, priority?: ReadPriority): Promise<Entry | undefined>
}

export interface DirectoryHealth {
  readonly source: string
  readonly lastSuccess: Millis | undefined
  readonly lastError: { readonly at: Millis; readonly code: ErrorCode; readonly message: string } | undefined
}

/** Takes Okta's event hooks (okta.md §4). */
export interface EventHook {
  isAuthorized(authorization: string | undefined): boolean
  /** What to answer Okta's verification request with; undefined: the challenge is none. */
  verify(challenge: string | undefined): string | undefined
  /**
   * Judges a delivery at once and works on it afterwards: Okta waits no longer than three seconds. `too-large`: nothing
   * of it was used, the System Log has it all; `busy`: try again.
   */
  receive(authorization: string | undefined, body: string): 'ok' | 'unauthorized' | 'malformed' | 'too-large' | 'busy'
}

/** The SCIM 2.0 server, without HTTP: `path` is below its base, still encoded. Never rejects. */
export interface ScimServer {
  isAuthorized(authorization: string | undefined): boolean
  handle(request: {
    readonly method: string
    readonly path: string
    readonly query: URLSearchParams
    readonly authorization: string | undefined
    readonly body: string
  }): Promise<{ readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }>
}

/** In memory and synchronous where requests are judged: a decision never waits for Okta. */
export interface Directory {
  /** 'unknown': never read, or older than `max_staleness`. Marks the person as live, so that they are kept fresh. */
  membership(user: Subject): Membership | 'unknown'
  status(user: Subject): UserStatus | 'unknown'
  /** Reads one person now (sign-in). Single flight per person. Never rejects: a failure leaves what was known. */
  refresh(user: Subject, signal: AbortSignal): Promise<Membership | 'unknown'>
  /** Takes what a sign-in's claims say; used by the claims source. */
  observe(entry: Entry): void
  health(): DirectoryHealth
  /** Status became inactive, or groups changed. */
  onChange(listener: (user: Subject, status: UserStatus | 'unknown') => void): Unsubscribe
  close(): Promise<void>
}

// ---------------------------------------------------------------------------------------------
// Store

export interface Table<T> {
  readonly name: string
  /** Judges what came back from disk: undefined is a fault (ERR_STORE_CORRUPT), never an answer. */
  parse(value: unknown): T | undefined
  /** What goes to disk as JSON, and comes to `parse` from there; absent: the value as it is. */
  format?(value: T): unknown
  /** Secondary key for `list`, e.g. a session's subject. */
  index?(value: T): string
}

export interface Versioned<T> {
  readonly value: T
  readonly version: number
}

export interface Change {
  readonly table: string
  readonly key: string
  readonly kind: 'put' | 'delete'
}

export interface Lease {
  renew(): Promise<boolean>
  release(): Promise<void>
}

/** Versioned records with expiry, a change feed and leases. Values are JSON. */
export interface Store {
  /** Expired is undefined. */
  get<T>(table: Table<T>, key: string): Promise<Versioned<T> | undefined>
  /** false: somebody else was first (`ifVersion`; 0 means "must not exist"). */
  put<T>(
    table: Table<T>,
    key: string,
    value: T,
    when?: { readonly ifVersion?: number; readonly expiresAt?: Millis },
  ): Promise<boolean>
  /** Reads and deletes at once: single-use codes. Of many concurrent callers exactly one gets the value. */
  take<T>(table: Table<T>, key: string): Promise<T | undefined>
  delete(table: Table<unknown>, key: string): Promise<void>
  /** Without `index`: the whole table. Expired records are left out. */
  list<T>(table: Table<T>, index?: string): AsyncIterable<readonly [key: string, value: Versioned<T>]>
  /** Changes from every process that shares the store, this one included. Expiry makes no change. */
  watch(listener: (change: Change) => void): Unsubscribe
  lease(name: string, ttl: Millis): Promise<Lease | undefined>
  close(): Promise<void>
}
