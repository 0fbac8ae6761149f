/** What identity providers tell us of their own accord. Types only. */
import type { PersonKey, WallTime } from '../types.ts'

/** Why something that was shown to us does not count. For logs: constant, and nothing of what was shown. */
export interface Refused {
  readonly refused: string
}

/** Whose sessions are meant. */
export type Meant =
  | { readonly kind: 'person'; readonly person: PersonKey }
  /** Those that came of one session at the provider (`sid`); `person`: and are this person's. */
  | { readonly kind: 'provider-session'; readonly issuer: string; readonly sid: string; readonly person?: PersonKey }
  /** `address`: e-mail address or login, lower case, at one of the issuers. */
  | { readonly kind: 'address'; readonly address: string; readonly issuers: readonly string[] }

/** A message is good once: `id` is unique among all messages, and worth remembering until `forgetAt`. */
interface Once {
  readonly id: string
  readonly forgetAt: WallTime
}

/** OIDC Back-Channel Logout 1.0. */
export interface LogoutToken extends Once {
  readonly kind: 'logout'
  readonly meant: Meant
}

/** Who asks for a global token revocation (Okta's Universal Logout). Who is meant stands in the request, not in the token. */
export interface RevocationToken extends Once {
  readonly kind: 'revocation'
  readonly issuers: readonly string[]
}

/** Events of one security event token (RFC 8417), as far as they are known to us. */
export interface SecurityEvents extends Once {
  readonly kind: 'events'
  readonly events: readonly SecurityEvent[]
}

export type SecurityEvent =
  /** Sessions that began before are over. */
  | { readonly kind: 'sessions-ended'; readonly meant: readonly Meant[]; readonly before?: WallTime }
  /** The transmitter tries the way, or asks to hear that it works. */
  | { readonly kind: 'verification'; readonly state?: string }
  | { readonly kind: 'stream-updated'; readonly status: string }
  /** Nothing follows from it. `name`: the event's URI, bounded. */
  | { readonly kind: 'other'; readonly name: string }

/** Reads what providers push to us; each method takes its own kind of token and no other. Rejects when keys cannot be read. */
export interface ProviderSignals {
  logoutToken(token: string, now: WallTime): Promise<LogoutToken | Refused>
  /** `endpoint`: of ours, where it was sent. */
  revocationToken(token: string, endpoint: URL, now: WallTime): Promise<RevocationToken | Refused>
  /** Absent: no transmitter is configured. `error`: the word of the registry for it (RFC 8935 §7.1). */
  readonly securityEvents?: {
    isAuthorized(authorization: string | undefined): boolean
    read(token: string, now: WallTime): Promise<SecurityEvents | (Refused & { readonly error: SetError })>
  }
}

export type SetError =
  | 'invalid_request'
  | 'invalid_key'
  | 'invalid_issuer'
  | 'invalid_audience'
  | 'authentication_failed'
