/** The compiled configuration: the frozen result of config/compile.ts. Types only. */
import type { Certificate, RateLimit, Route } from './route-model.ts'
import type { SubjectAltNames } from '../http/request.ts'
import type { Palette } from '../lib/palette.ts'
import type { UserStatus } from '../directory/model.ts'
import type { SharedSecrets } from '../lib/key-ring.ts'
import type { Secret } from '../lib/secret.ts'
import type { Json, JsonObject, Span, Subject } from '../types.ts'
import type { PlainFixed, PlainLive } from './schema.ts'
import type { StorageConfig } from './storage-model.ts'

/** Names that `compatibility: pomerium` switches; the code is the same. */
export interface Naming {
  readonly controlPrefix: '/.postern' | '/.pomerium'
  readonly wellKnown: '/.well-known/postern' | '/.well-known/pomerium'
  /** Lower case. */
  readonly assertionHeader: string
  /** Lower case, ends in `-`. */
  readonly claimHeaderPrefix: string
  /** Lower case: what a script shows that signs out. */
  readonly csrfHeader: string
  /** Cookie name on https origins (`__Host-` when ours) and on http origins. */
  readonly cookie: { readonly https: string; readonly http: string }
}

/** What our cookies are called on hosts of one scheme. */
export interface CookieNames {
  readonly session: string
  /** Prefix: one cookie for each sign-in that this browser has begun, on an application's host. */
  readonly nonce: string
  /** Prefix: on the host of the sign-in service one session for each identity provider that is not the default one. */
  readonly provided: string
  /** Prefix: one cookie for each sign-in that waits for its callback, on the host of the sign-in service. */
  readonly pending: string
}

/** Two kinds of configuration: what is read once, at the start, and what a reload takes over. */
export interface Config {
  readonly fixed: Fixed
  readonly live: Live
  /** What was said about it although it can be in force. Absent: nothing. */
  readonly warnings?: readonly string[]
}

/** What is built once sees nothing else: the store, sockets, the directory, the identity provider. */
export interface Fixed extends PlainFixed {
  readonly listen: ListenConfig
  /** External origin of the sign-in service, e.g. `https://authenticate.corp.example`. */
  readonly authenticateServiceUrl: URL
  /** The first is the default one. */
  readonly idps: readonly [IdpConfig, ...IdpConfig[]]
  readonly storage: StorageConfig
  /** How long what a shared store has said is believed while it is not heard (`store_grace`). */
  readonly storeGrace: Span
  readonly tokenIssuers: readonly TokenIssuer[]
  /** PEM bundle of authorities beside the system's: for the provider, Okta, and upstreams without `tls_custom_ca` (`certificate_authority`). */
  readonly authorities?: string
  /** Who pushes security events to us (`shared_signals`). Absent: nobody. */
  readonly sharedSignals?: SharedSignalsConfig
  /** Where certificates are ordered (`autocert`). Absent: nowhere. */
  readonly acme?: AcmeConfig
  /** Plain HTTP that leads to https (`http_redirect_addr`). Absent: off. */
  readonly httpRedirectAddr?: Address
  /** `health_check_addr`: /livez, /readyz, /startupz. Absent: off. */
  readonly healthCheckAddr?: Address
  /** `metrics_address`: /metrics. Absent: off. */
  readonly metricsAddress?: Address
  /** What is sent to an OTLP receiver (`otel_…`). Absent: nothing. */
  readonly telemetry?: TelemetryConfig
  /** Key that needs a restart → fingerprint of its value: tells which of them a reload leaves as they were. */
  readonly written: ReadonlyMap<string, string>
}

/** Secrets that are in force from a reload on. Those of `Fixed` are the same of the start; what runs asks for these at each use. */
export interface Credentials extends Keys {
  readonly idps: readonly ({
    readonly name: string
    /** The same for the same client of the same provider and org. */
    readonly recipient: string
    readonly clientAuth: ClientAuth
  } & DirectorySecrets)[]
  /** The whole Authorization header that a transmitter of security events shows. */
  readonly sharedSignals?: Secret
  /** Key → fingerprint of its value: tells which of them a reload changed. */
  readonly written: ReadonlyMap<string, string>
}

/** What only Postern itself knows. */
export interface Keys {
  readonly sharedSecrets: SharedSecrets
  /** PEM private keys; the first signs, all are published. Empty: each shared secret gives one P-256 key. */
  readonly signingKeys: readonly Secret[]
}

/** Of one directory. */
export interface DirectorySecrets {
  readonly okta?: OktaCredentials
  /** What event hooks show. */
  readonly hook?: Secret
  /** What whoever pushes people and groups shows. */
  readonly scim?: Secret
}

/** Everything of a `Generation`: a reload builds all of it again. */
export interface Live extends PlainLive {
  readonly credentials: Credentials
  /** Names of the providers that a sign-in asks for the scope `groups`, where they list it. */
  readonly groupsScope: readonly string[]
  readonly naming: Naming
  /** Shown for every name that no other covers. Absent, with `acmeHosts` empty: the listener speaks plain HTTP. */
  readonly certificate?: Certificate
  /** More of them, for the names that each covers. */
  readonly certificates: readonly Certificate[]
  /** Whose client certificates count (`downstream_mtls`). Absent: nobody is asked for one. */
  readonly downstreamMtls?: DownstreamMtls
  /** Of all routes together (`rate_limit`). */
  readonly rateLimit?: RateLimit
  /** https hosts that need a certificate by ACME; empty without `autocert`. */
  readonly acmeHosts: readonly string[]
  /** Where a sign-out ends (`signout_redirect_url`). */
  readonly signoutRedirectUrl?: URL
  /** Normal names (lib/header-names.ts) of every route's headers that say who is signed in: no client's copy of them passes. */
  readonly identityHeaders: ReadonlySet<string>
  /** Who may see the status page (`admin`): a route that only the judge is asked about. Absent: there is none. */
  readonly admin?: Route
  readonly routes: readonly Route[]
  readonly pages: PageSettings
}

/** What our own pages say and look like; texts are text, addresses https (or `mailto:`), colours `#rrggbb`. */
export interface PageSettings {
  readonly productName: string
  /** Whom people tell when something does not work (`support_url`). */
  readonly supportUrl?: string
  /** Its sections are called as the error codes, in lower case (`troubleshooting_url`). */
  readonly troubleshootingUrl?: string
  readonly firstParagraph?: string
  readonly logoUrl?: string
  readonly faviconUrl?: string
  /** Absent: ours. */
  readonly colors?: { readonly light?: Palette; readonly dark?: Palette }
}

/** Which client certificates are valid, and what happens without one (`downstream_mtls`). */
export interface DownstreamMtls {
  /** PEM bundle, roots included. */
  readonly ca: string
  /** PEM, one list each: with any, every authority of a chain needs one. */
  readonly crls: readonly string[]
  readonly enforcement: 'policy_with_default_deny' | 'policy' | 'reject_connection'
  /** Certificates between a client's and one of `ca`, and that one; 0: any number. */
  readonly maxVerifyDepth: number
  /** A certificate must have one of them; empty: any. */
  readonly names: readonly SubjectAltNamePattern[]
  /** The same for the same checks. */
  readonly version: string
}

export interface SubjectAltNamePattern {
  readonly kind: keyof SubjectAltNames
  /** RE2, for all of the name. */
  readonly pattern: string
  readonly test: (name: string) => boolean
}

/** Who issues tokens to programs (`token_issuers`). */
export interface TokenIssuer {
  readonly name: string
  /** `iss`, exactly. */
  readonly issuer: string
  /** Absent: what its metadata say. */
  readonly jwksUrl?: string
  /** Empty: each route says its own. */
  readonly audiences: readonly string[]
  readonly algorithms: readonly string[]
  /** Each claim with one of its values. */
  readonly requiredClaims: readonly {
    readonly name: string
    readonly claim: (claims: JsonObject) => Json | undefined
    readonly values: readonly (string | number | boolean)[]
  }[]
  /** What the program is called. */
  readonly account: (claims: JsonObject) => Json | undefined
  readonly outbound: Outbound
  /** Path of the claim with groups; absent: programs have none. */
  readonly groups?: string
}

export interface Address {
  readonly host: string
  readonly port: number
}

export interface TelemetryConfig {
  readonly serviceName: string
  /** More of them, of all that is sent. */
  readonly attributes: readonly (readonly [name: string, value: string])[]
  readonly traces?: TracesConfig
  readonly metrics?: { readonly receiver: OtlpReceiver; readonly interval: Span }
}

export interface TracesConfig {
  readonly receiver: OtlpReceiver
  readonly sampler: Sampler
  /** Between two requests with spans. */
  readonly delay: Span
  /** Spans that may wait. */
  readonly queue: number
  /** Spans in one request. */
  readonly batch: number
  /** Characters of an attribute. */
  readonly longest: number
}

export interface Sampler {
  /** Of a trace that a trusted proxy began. */
  readonly parentDecides: boolean
  /** Of the other ones; from 0 to 1. */
  readonly ratio: number
}

/** Takes OTLP over HTTP. */
export interface OtlpReceiver {
  readonly url: string
  readonly encoding: 'protobuf' | 'json'
  /** Lower case. */
  readonly headers: readonly (readonly [name: string, value: Secret])[]
  readonly timeout: Span
  readonly outbound: Outbound
}

export type LogLevel = Live['logLevel']
export type LogFormat = Live['logFormat']

export interface ListenConfig extends Address {
  /** False with `insecure_server` or when every external URL is http. */
  readonly tls: boolean
}

export interface AcmeConfig {
  readonly directoryUrl: URL
  readonly email?: string
  /** External account binding (RFC 8555 §7.3.4). */
  readonly externalAccount?: { readonly keyId: string; readonly macKey: Secret }
  readonly outbound: Outbound
}

export interface IdpConfig {
  /** Unique; `default` for the one of the keys `idp_…`. */
  readonly name: string
  /** What people see where they choose. */
  readonly label: string
  readonly provider: 'okta' | 'oidc'
  /** Exact issuer, without a trailing slash. */
  readonly issuer: string
  /** Where Postern reaches the issuer, when browsers reach it elsewhere. Without a trailing slash. */
  readonly internalUrl?: string
  readonly clientId: string
  readonly clientAuth: ClientAuth
  /**
   * Of its redirect URI, which no other provider has: one that wanted another's answer cannot have it sent to itself, also
   * where neither says who it is (mix-up, RFC 9700 §4.4).
   */
  readonly callbackPath: string
  readonly scopes: readonly string[]
  readonly requestParams: Readonly<Record<string, string>>
  /**
   * Of authorization requests (RFC 9126), where the provider offers it; where it requires it they always are.
   * `when-possible`: unless that fails or many sign-ins begin; `always`: a push that fails is a sign-in that fails.
   */
  readonly pushedRequests: 'always' | 'when-possible' | 'never'
  /** Time for one call to the provider. */
  readonly timeout: Span
  /** Sign-out at the provider is not OpenID Connect's. */
  readonly logout?: 'cognito'
  /** An address that the provider calls unverified counts. */
  readonly allowUnverifiedEmail: boolean
  readonly outbound?: Outbound
  /** Where groups and status of its people come from; one object for providers of one issuer. */
  readonly directory: DirectoryConfig
}

/** How the identity provider and Okta are reached; nothing of it concerns upstreams. */
export interface Outbound {
  /** PEM bundle, in addition to the public authorities (`certificate_authority`). */
  readonly ca?: string
  /** `url` may hold a password; `except` is hosts, `host:port` and `.domain` that are reached without it. */
  readonly proxy?: { readonly url: Secret; readonly except: readonly string[] }
}

export type ClientAuth =
  | { readonly kind: 'basic' | 'post'; readonly secret: Secret }
  | { readonly kind: 'none' }
  /** With `services: proxy`: another process has the secret, and this one makes no call that would need it. */
  | { readonly kind: 'elsewhere' }

export type DirectoryConfig = {
  /** Age after which a person with a live session is read again. */
  readonly refreshInterval: Span
  /** Age after which a membership is unknown and group rules answer 503. */
  readonly maxStaleness: Span
  /** A sign-in waits no longer than this for groups. */
  readonly signInTimeout: Span
  /** Every source that is read, the first that knows a person counts; empty: groups come from the sign-in's claims. */
  readonly order: readonly ('okta' | 'scim' | 'static')[]
  /** People and groups are pushed to us with this bearer token. */
  readonly scim?: { readonly token: Secret }
  readonly people?: readonly StaticPerson[]
} & (
  | { readonly kind: 'claims' }
  /** Sources that need no call: `scim`, `static`. */
  | { readonly kind: 'local' }
  /** With `services: proxy`: another process reads the sources, this one follows it. `url`: the org's, where Okta is one. */
  | { readonly kind: 'followed'; readonly url?: URL }
  | {
      readonly kind: 'okta'
      /** API origin, e.g. `https://dev-1.okta.com`. */
      readonly url: URL
      readonly credentials: OktaCredentials
      /** Between two looks at the System Log. */
      readonly logInterval: Span
      /** What event hooks show in their Authorization header. Absent: no hooks are taken. */
      readonly hookSecret?: Secret
      /** Share of each Okta rate-limit bucket that Postern may use, 0 to 1. */
      readonly budget: number
      readonly timeout: Span
      readonly outbound?: Outbound
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

/** A transmitter of the Shared Signals Framework. */
export interface SharedSignalsConfig {
  /** As its events call it. */
  readonly issuer: string
  /** What its events may call us. */
  readonly audiences: readonly string[]
  /** The whole Authorization header that it shows. */
  readonly authorization: Secret
}

export interface ProxyTrust {
  /** Peers whose forwarded headers are believed (`trusted_proxies`), CIDR notation. */
  readonly proxies: readonly string[]
  /** Entries of X-Forwarded-For added by hops we trust (`xff_num_trusted_hops`). */
  readonly hops: number
}
