/**
 * The words and the seams of Postern that no single subject owns. Types only: importing this file does nothing.
 * Subjects have their own: config/model.ts, policy/model.ts, http/exchange.ts, session/model.ts, directory/model.ts.
 *
 * On every seam a value or `undefined` is an answer; a rejection or a throw is a technical fault
 * (an `AppError` with a code from errors.ts) and never means "no".
 */
import type { ErrorCode } from './errors.ts'
import type { AuditFields } from './lib/audit-events.ts'
import type { LogFields } from './lib/log-fields.ts'

/** A length of time in milliseconds. */
export type Span = number

/** A time limit and the key that sets it, for messages. */
export interface Limit {
  /** 0: none. */
  readonly span: Span
  readonly key: string
}

export declare const clock: unique symbol
/**
 * Instants of three clocks (lib/time.ts). Numbers at run time, opaque to the compiler: two of one clock compare with `<`,
 * two of different clocks do not compile, and neither does arithmetic that forgets which clock it is.
 *
 * Our wall clock, since the Unix epoch: what is stored, signed or shown to people.
 */
export interface WallTime {
  readonly [clock]: 'wall'
}
/** Our monotonic clock, of this process alone: deadlines, ages, caches, budgets. */
export interface Monotonic {
  readonly [clock]: 'monotonic'
}
/** The clock of a source of people, since the Unix epoch: which of two pieces of evidence is newer. */
export interface SourceTime {
  readonly [clock]: 'source'
}

/** OIDC `sub`; for Okta the immutable user id (`00u…`). Never an e-mail address. */
export type Subject = string
declare const person: unique symbol
/** Issuer and subject in one text (lib/person.ts): what sessions, groups and revocations of a person are keyed by. */
export type PersonKey = string & { readonly [person]: true }

/** Public half of the session cookie: 22 characters of base64url, 128 random bits. */
export type SessionId = string

export type Unsubscribe = () => void

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

export type JsonObject = { readonly [key: string]: Json }

export interface Clock {
  /** Steps of the system's clock do not show (lib/clock.ts). */
  now(): WallTime
  monotonic(): Monotonic
  /** Runs once after `delay`; never keeps the process alive. */
  after(delay: Span, run: () => void): Unsubscribe
}

export interface Logger {
  trace(fields: LogFields, message: string): void
  debug(fields: LogFields, message: string): void
  info(fields: LogFields, message: string): void
  warn(fields: LogFields, message: string): void
  /** Adds the `remedy` of the error code. */
  error(fields: LogFields & { readonly error: ErrorCode }, message: string): void
  /** An audit event: written to where `audit_log` says, whatever `log_level` is. `level`: `info` unless given. */
  audit(fields: AuditFields, message: string, level?: 'debug' | 'info' | 'warn' | 'error'): void
  /** Would a line of this level be written? Ask before building one that is expensive. */
  writes(level: 'debug' | 'info' | 'warn' | 'error'): boolean
  /** For the line of each request: `members` are JSON already (`"status":200,"path":"/"`) and written as they are. */
  line(level: 'debug' | 'info' | 'warn' | 'error', members: string, message: string): void
}

/** A call that takes time, described as a span (OpenTelemetry). */
export interface Waiting<R> {
  readonly name: string
  readonly kind: 'client' | 'internal'
  readonly attributes: Readonly<Record<string, string | number>>
  /** When no request waits for it, it gets a trace of its own. */
  readonly alone?: true
  /** Attributes of the result; with `error.type` among them it failed. */
  readonly said?: (result: R) => Readonly<Record<string, string | number>>
}

/** Does the work, as a span in the trace of the request that waits for it. */
export type WaitingFor = <R>(what: Waiting<R>, work: () => Promise<R>) => Promise<R>

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
  /** As the provider says, for the access token or else for the ID token. */
  readonly accessTokenExpiresAt?: WallTime
}

/** What a refresh begins with. */
export interface Refreshable {
  readonly identity: Identity
  readonly idToken: string
  readonly refreshToken: string
}

export type Refreshed =
  | { readonly outcome: 'renewed'; readonly identity: Identity; readonly tokens: Tokens }
  /** The provider no longer accepts the refresh token: it was revoked, or the person may not sign in any more. */
  | { readonly outcome: 'refused' }
  /** The answer is about another subject, issuer or client. */
  | { readonly outcome: 'mismatch' }

export interface PendingSignIn {
  readonly state: string
  readonly nonce: string
  readonly codeVerifier: string
}

/** What a route asks of the sign-in itself, beyond who signed in. What is absent asks nothing. */
export interface SignInDemand {
  /** Names of the identity providers whose sessions count. */
  readonly providers?: readonly [string, ...string[]]
  /** One of them is the `acr` of the sign-in (OIDC Core §2). */
  readonly acrValues?: readonly [string, ...string[]]
  /** The person authenticated no longer ago than this (`auth_time`). */
  readonly maxAuthAge?: Span
  /** They signed in here no longer ago than this, and authenticated for it or shortly before, as far as the provider says. */
  readonly maxSessionAge?: Span
}

/** The provider's device authorization response (RFC 8628 §3.2). */
export interface DeviceCode {
  readonly device_code: string
  readonly user_code: string
  readonly verification_uri: string
  readonly verification_uri_complete?: string
  /** Seconds. */
  readonly expires_in: number
  readonly interval?: number
}

/** Checks tokens of this identity provider that come with requests. */
export interface ShownTokens {
  /** The claims, if the provider signed the token; `refused`: why it is not valid, for the log. Rejects when the keys cannot be read. */
  verify(token: string): Promise<{ readonly typ?: string; readonly claims: JsonObject } | { readonly refused: string }>
  /** RFC 7662. undefined: not active, or the provider has nobody to ask. Rejects ERR_IDP_UNREACHABLE, ERR_IDP_UNUSABLE. */
  introspect(token: string): Promise<JsonObject | undefined>
}

export interface IdentityProvider {
  readonly tokens: ShownTokens
  /** RFC 8628. undefined: the provider gives our client no device codes. Rejects ERR_IDP_UNREACHABLE. */
  beginDevice(signal: AbortSignal): Promise<DeviceCode | undefined>
  /** Asks once who has entered the code; `error`: nobody yet, or nobody will. Rejects ERR_IDP_REJECTED or ERR_IDP_UNREACHABLE. */
  pollDevice(
    deviceCode: string,
    signal: AbortSignal,
  ): Promise<
    | { readonly identity: Identity; readonly tokens: Tokens }
    | { readonly error: 'authorization_pending' | 'slow_down' | 'access_denied' | 'expired_token' }
  >
  /** Unique among the providers of the configuration. */
  readonly name: string
  readonly issuer: string
  /** The last call got no answer, or a 5xx; the provider is asked again until it answers. undefined: there is no trouble. */
  readonly trouble: () => Trouble | undefined
  /** Ends the calls under way; nothing is asked in the background any more. */
  readonly close: () => void
  /** Path of its redirect URI at the sign-in service: no other provider has it. */
  readonly callbackPath: string
  /** Of one call to the provider. */
  readonly timeout: Span
  /** `state`: unguessable; random unless given. */
  begin(
    signal: AbortSignal,
    asked?: {
      /** Requested as well, if the provider's metadata lists them. */
      readonly scopes?: readonly string[]
      readonly state?: string
      /** Providers may ignore it: the caller judges what comes back. */
      readonly demand?: SignInDemand | undefined
      /** The provider asks for an account, even if somebody is signed in there. */
      readonly chooseAccount?: boolean
    },
  ): Promise<{ readonly redirect: URL; readonly pending: PendingSignIn }>
  /**
   * `callback` carries the query of the request on the configured callback URL, never the Host header.
   * State is compared before the code is spent. Rejects ERR_IDP_REJECTED (what the provider said) or ERR_IDP_UNREACHABLE.
   */
  complete(
    callback: URL,
    pending: PendingSignIn,
    signal: AbortSignal,
  ): Promise<{ readonly identity: Identity; readonly tokens: Tokens }>
  /**
   * Asks for new tokens. `keep` gets a new refresh token as soon as it is there, before anything else of the answer is looked
   * at: the old one may be spent. Rejects ERR_IDP_… for what says nothing about the session: no answer, 429, 5xx, a set-up error.
   */
  refresh(current: Refreshable, signal: AbortSignal, keep: (refreshToken: string) => Promise<void>): Promise<Refreshed>
  /** Revokes a refresh token (RFC 7009), if the provider has an endpoint for that. Rejects ERR_IDP_…. */
  revoke(refreshToken: string, signal: AbortSignal): Promise<void>
  /** `state` comes back in the query of `returnTo`. undefined: the provider has no end-session endpoint, or cannot be asked now. */
  signOutUrl(idToken: string, returnTo: URL, state?: string): Promise<URL | undefined>
}

/** The identity providers of the configuration. */
export interface IdentityProviders {
  /** As configured; the first is the default one. */
  readonly all: readonly [IdentityProvider, ...IdentityProvider[]]
  /** undefined: no provider has this name. */
  named(name: string): IdentityProvider | undefined
  /** The provider of a session; undefined: it is not configured any more, or has another issuer now. */
  of(session: { readonly provider?: string; readonly identity: Identity }): IdentityProvider | undefined
}

export interface Table<T> {
  readonly name: string
  /** Validates what was stored: undefined is a fault (ERR_STORE_CORRUPT), never an answer. */
  parse(value: unknown): T | undefined
  /** What is stored as JSON, and what `parse` gets back; absent: the value as it is. */
  format?(value: T): unknown
  /** Secondary key for `list`, e.g. a session's person. */
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

/** What a client or a person has used up of a rate limit, as the time until nothing is owed (lib/rate-limiter.ts). */
export interface Debt {
  readonly key: string
  /** Added to the debt. */
  readonly more: Span
  /** The debt never exceeds this. */
  readonly most: Span
}

/**
 * Adds to debts that several processes share, and gives what each is then, in the same order. They shrink as time passes,
 * and may be lost in a restart. Rejects when nobody answers.
 */
export type Owe = (debts: readonly Debt[]) => Promise<readonly Span[]>

/** Versioned records with expiry, a change feed and leases. Values are JSON. */
export interface Store {
  /** Expired is undefined. */
  get<T>(table: Table<T>, key: string): Promise<Versioned<T> | undefined>
  /** false: somebody else was first (`ifVersion`; 0 means "must not exist"). */
  put<T>(
    table: Table<T>,
    key: string,
    value: T,
    when?: { readonly ifVersion?: number; readonly expiresAt?: WallTime },
  ): Promise<boolean>
  /**
   * Puts several records of one table at once, all or none; undefined deletes. They never expire. false: nothing was
   * done, because the record that `unless` names has another version by now (0: it must not exist).
   */
  write<T>(
    table: Table<T>,
    values: ReadonlyMap<string, T | undefined>,
    unless: { readonly table: Table<unknown>; readonly key: string; readonly version: number },
  ): Promise<boolean>
  /** Reads and deletes at once: single-use codes. Of many concurrent callers exactly one gets the value. */
  take<T>(table: Table<T>, key: string): Promise<T | undefined>
  delete(table: Table<unknown>, key: string): Promise<void>
  /** Without `index`: the whole table. Expired records are left out. */
  list<T>(table: Table<T>, index?: string): AsyncIterable<readonly [key: string, value: Versioned<T>]>
  /** How many records there are; those that expired lately may be among them. No value is read. */
  count(table: Table<unknown>): Promise<number>
  /**
   * Changes from every process that shares the store, this one included. Expiry makes no change. `onGap`: some changes were
   * not kept for long enough (this process stood still), so that whatever follows the store must be read again.
   */
  watch(listener: (change: Change) => void, onGap?: () => void): Unsubscribe
  /** Listeners have been told of every change before this instant. It stands still while changes cannot be followed. */
  heardAt(): Monotonic
  /** One holder at a time, by the clock of the store where it has one. */
  lease(name: string, ttl: Span): Promise<Lease | undefined>
  /** Seals records of this table with the first secret that an older one sealed. Absent where nothing is sealed. */
  readonly sealAnew?: (table: Table<unknown>) => Promise<void>
  /** By the clock of the store. Absent where all processes are on one machine: their primary keeps the debts. */
  readonly owe?: Owe
  /** Rejects ERR_STORE_UNAVAILABLE when the store does not answer now. */
  ping(): Promise<void>
  /** What is wrong with the store itself, for operators; undefined: nothing that is known. */
  trouble(): Trouble | undefined
  close(): Promise<void>
}

/** What is wrong with something that we depend on, and since when. */
export interface Trouble {
  readonly since: WallTime
  readonly reason: string
}
