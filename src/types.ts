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
  /** With what to do first (`remedy`), which the code knows. */
  error(fields: LogFields & { readonly error: ErrorCode }, message: string): void
  /** Something that somebody may have to answer for: written whatever the level (`info` unless given), to where `audit_log` says. */
  audit(fields: AuditFields, message: string, level?: 'debug' | 'info' | 'warn' | 'error'): void
  /** Would a line of this level be written? Asked before one is made that few want. */
  writes(level: 'debug' | 'info' | 'warn' | 'error'): boolean
  /** For lines of every request: their fields are JSON members already (`"status":200,"path":"/"`), written as they are. */
  line(level: 'debug' | 'info' | 'warn' | 'error', members: string, message: string): void
}

/** Something that is waited for, in OpenTelemetry's words. */
export interface Waiting<R> {
  readonly name: string
  readonly kind: 'client' | 'internal'
  readonly attributes: Readonly<Record<string, string | number>>
  /** A trace of its own where no request waits for it. */
  readonly alone?: true
  /** What the result says; with `error.type` it failed. */
  readonly said?: (result: R) => Readonly<Record<string, string | number>>
}

/** Does the work, as a span of whoever waits for it. */
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
  /** As the provider said, of the access token or else of the ID token. */
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
  /** The provider takes the refresh token no more: it was revoked, or the person may not sign in any more. */
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
  /** The person proved who they are no longer ago than this (`auth_time`). */
  readonly maxAuthAge?: Span
  /** They signed in here no longer ago than this, and proved who they are for it or shortly before, as far as the provider says. */
  readonly maxSessionAge?: Span
}

/** RFC 8628 §3.2, as the provider says it. */
export interface DeviceCode {
  readonly device_code: string
  readonly user_code: string
  readonly verification_uri: string
  readonly verification_uri_complete?: string
  /** Seconds. */
  readonly expires_in: number
  readonly interval?: number
}

/** Tokens of an identity provider that somebody shows to us. */
export interface ShownTokens {
  /** What the provider signed; `refused`: why it did not, for the log. Rejects when its keys cannot be read. */
  verify(token: string): Promise<{ readonly typ?: string; readonly claims: JsonObject } | { readonly refused: string }>
  /** RFC 7662. undefined: not active, or the provider has nobody to ask. Rejects ERR_IDP_UNREACHABLE, ERR_IDP_UNUSABLE. */
  introspect(token: string): Promise<JsonObject | undefined>
}

export interface IdentityProvider {
  readonly tokens: ShownTokens
  /** RFC 8628. undefined: it has no device codes for our client. Rejects ERR_IDP_UNREACHABLE. */
  beginDevice(signal: AbortSignal): Promise<DeviceCode | undefined>
  /** One question: who entered the code, or why nobody is signed in (yet). Rejects ERR_IDP_REJECTED or ERR_IDP_UNREACHABLE. */
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
  /** The last call got no answer, or one of 500 or more; it is asked again until it answers. undefined: it got one, or there was none. */
  readonly trouble: () => Trouble | undefined
  /** Nothing is asked by itself any more. */
  readonly close: () => void
  /** Path of its redirect URI at the authenticate service: no other provider has it. */
  readonly callbackPath: string
  /** Of one call to the provider. */
  readonly timeout: Span
  /** `state`: unguessable; random unless given. */
  begin(
    signal: AbortSignal,
    asked?: {
      /** To be asked for as well, where the provider lists them. */
      readonly scopes?: readonly string[]
      readonly state?: string
      /** Providers may ignore it: the caller judges what comes back. */
      readonly demand?: SignInDemand | undefined
      /** The provider is to ask who it is, whoever is signed in there. */
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
  /** Tells the provider that a refresh token is of no more use (RFC 7009); nothing where it has no endpoint for that. Rejects ERR_IDP_…. */
  revoke(refreshToken: string, signal: AbortSignal): Promise<void>
  /** `state` comes back in the query of `returnTo`. undefined: the provider has no end-session endpoint, or cannot be asked now. */
  signOutUrl(idToken: string, returnTo: URL, state?: string): Promise<URL | undefined>
}

/** The identity providers of the configuration. */
export interface IdentityProviders {
  /** As configured; the first is the default one. */
  readonly all: readonly [IdentityProvider, ...IdentityProvider[]]
  /** undefined: none is called so. */
  named(name: string): IdentityProvider | undefined
  /** Whom a session comes from; undefined: a provider that is not configured any more, or has another issuer now. */
  of(session: { readonly provider?: string; readonly identity: Identity }): IdentityProvider | undefined
}

export interface Table<T> {
  readonly name: string
  /** Judges what came back from disk: undefined is a fault (ERR_STORE_CORRUPT), never an answer. */
  parse(value: unknown): T | undefined
  /** What goes to disk as JSON, and comes to `parse` from there; absent: the value as it is. */
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

/** How far somebody is ahead of what they may do: the time that has to pass before nothing is owed (lib/rate-limiter.ts). */
export interface Debt {
  readonly key: string
  /** To be added. */
  readonly more: Span
  /** No more is ever owed. */
  readonly most: Span
}

/**
 * Adds to debts that several processes have in common, and gives what each is then, in the order of the keys. Time pays
 * them, and they need not survive anything else. Rejects when nobody answers.
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
   * Puts several records of one table at once, all or none; undefined deletes. They live for ever. false: nothing was
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
  /** What changed before this instant has been told to those who watch. Far back: changes cannot be followed now. */
  heardAt(): Monotonic
  /** One holder at a time, by the clock of the store where it has one. */
  lease(name: string, ttl: Span): Promise<Lease | undefined>
  /** Records of this table that an older secret sealed are sealed with the first one. Absent where none is sealed. */
  readonly sealAnew?: (table: Table<unknown>) => Promise<void>
  /** By the clock of the store. Absent where every process is of this machine: they have a primary. */
  readonly owe?: Owe
  /** Rejects ERR_STORE_UNAVAILABLE when the store does not answer now. */
  ping(): Promise<void>
  /** What is wrong with the store itself, for operators; undefined: nothing that is known. */
  trouble(): Trouble | undefined
  close(): Promise<void>
}

/** Of something that is asked over a network or a file system. */
export interface Trouble {
  readonly since: WallTime
  readonly reason: string
}
