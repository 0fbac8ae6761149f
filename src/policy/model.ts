/** Policies, criteria, and who they judge. Types only. */
import type { Membership, UserStatus } from '../directory/model.ts'
import type { RequestFacts } from '../http/request.ts'
import type { Identity, PersonKey, SessionId, WallTime } from '../types.ts'

/** The bad mixes of Pomerium's legacy keys cannot be expressed. */
export type Policy =
  /** `identity`: what a session tells is passed on; nobody is asked to sign in. */
  | { readonly kind: 'public'; readonly identity?: 'optional' }
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
  /** `address`: an e-mail address, which every person may have and no program. */
  readonly needs: 'nothing' | 'session' | 'groups' | 'address'
  readonly ok: Reason
  readonly no: Reason
  /** For people: `groups has "Engineering"`. */
  readonly describe: string
  /** Groups that would satisfy this criterion, for the 403 page; empty when it is not about groups. */
  readonly wantedGroups: readonly string[]
  /** Groups that this criterion looks at, to let in or to keep out. */
  readonly namedGroups: readonly string[]
  /** Called only when what it needs is there. Must not throw; a throw is a denial. */
  test(facts: CriterionFacts): boolean
}

export interface CriterionFacts {
  readonly who: Principal | undefined
  readonly request: RequestFacts
  readonly now: WallTime
}

/** Closed vocabulary, Pomerium's where it has the word (pomerium-policy.md#reasons). */
export type Reason =
  | 'accept'
  | 'reject'
  | 'public'
  | 'signed-in'
  | 'no-rule-matched'
  | 'policy-error'
  | 'user-unauthenticated'
  | 'other-identity-provider'
  | 'token-invalid'
  | 'token-scope'
  | 'user-inactive'
  | 'authentication-insufficient'
  | 'user-ok'
  | 'user-unauthorized'
  | 'email-ok'
  | 'email-unauthorized'
  | 'email-unverified'
  | 'domain-ok'
  | 'domain-unauthorized'
  | 'groups-ok'
  | 'groups-unauthorized'
  | 'groups-unknown'
  | 'groups-claim-absent'
  | 'claim-ok'
  | 'claim-unauthorized'
  | 'service-account-ok'
  | 'service-account-unauthorized'
  | 'issuer-ok'
  | 'issuer-unauthorized'
  | 'scope-ok'
  | 'scope-unauthorized'
  | 'http-method-ok'
  | 'http-method-unauthorized'
  | 'http-path-ok'
  | 'http-path-unauthorized'
  | 'http-header-ok'
  | 'http-header-unauthorized'
  | 'http-query-ok'
  | 'http-query-unauthorized'
  | 'cors-request'
  | 'non-cors-request'
  | 'source-ip-ok'
  | 'source-ip-unauthorized'
  | 'date-ok'
  | 'date-unauthorized'
  | 'day-of-week-ok'
  | 'day-of-week-unauthorized'
  | 'time-of-day-ok'
  | 'time-of-day-unauthorized'
  | 'client-certificate-ok'
  | 'client-certificate-unauthorized'
  | 'client-certificate-required'
  | 'invalid-client-certificate'
  | 'valid-client-certificate'
  | 'origin-unauthorized'
  | 'destination-unauthorized'
  | 'websockets-off'

/** Who asks, at the moment of asking, by the kind of credential that says so. */
export type Principal = SessionPrincipal | ServicePrincipal | TokenPrincipal | CertificatePrincipal

/** What is known of who asks: somebody, nobody (undefined), or somebody whose token does not count. */
export type Asker = Principal | BadToken | undefined

interface Somebody {
  readonly person: PersonKey
  readonly identity: Identity
  /** When the credential ends. */
  readonly expiresAt: WallTime
  readonly membership: Membership | 'unknown'
  readonly status: UserStatus | 'unknown'
  /** The request's `Authorization` was a credential of ours: nobody else gets to see it, rules and applications included. */
  readonly consumed?: true
}

/** Signed in with a browser. */
export interface SessionPrincipal extends Somebody {
  readonly kind: 'session'
  readonly sessionId: SessionId
  /** When they last signed in for it; absent: nobody knows, which is too long ago. */
  readonly signedInAt?: WallTime
  /** Name of the identity provider that they signed in with. */
  readonly provider: string
}

/** A program with a token that Postern gave out (`postern tokens`). No person: it has no address, and its groups are written in the token. */
export interface ServicePrincipal extends Somebody {
  readonly kind: 'service'
  /** What operators call it, and policies (`service_account`). */
  readonly account: string
  /** Names the token in logs and caches; opens nothing. */
  readonly tokenId: string
}

/** Whoever shows a token that somebody else gave out: a person of the provider, or a program. */
export interface TokenPrincipal extends Somebody {
  readonly kind: 'token'
  /** Names the token in logs and caches; opens nothing. */
  readonly tokenId: string
  /** Of a program, `ISSUER/SUBJECT`: with a slash, so that it is never the name of a service token. Absent: a person. */
  readonly account?: string
  /** RFC 6749 §3.3. */
  readonly scopes: readonly string[]
  /** `directory`: what is known of the person now; `token`: what it says, until it ends. */
  readonly groupsFrom: 'directory' | 'token'
}

/** A program that is known by its client certificate. No person: it has no address and no groups. */
export interface CertificatePrincipal extends Somebody {
  readonly kind: 'certificate'
  /** What policies call it (`service_account`): `certificate/NAME`, never the name of a token. */
  readonly account: string
  /** Names the certificate in logs and caches: its SHA-256. */
  readonly tokenId: string
}

/** A token that is one of ours by its form, and lets nobody in. The words are those of RFC 6750 §3.1. */
export interface BadToken {
  readonly kind: 'bad-token'
  readonly error: 'invalid_token' | 'insufficient_scope'
  /** For the log; never what was sent. */
  readonly detail: string
  /** Whose it is; absent: nobody's. */
  readonly person?: PersonKey
}
