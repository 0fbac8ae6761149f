import type { Json, Span } from '../../../src/types.ts'

/** okta-api.md#users. Only ACTIVE may start a sign-in. */
export const STATUSES = [
  'STAGED',
  'PROVISIONED',
  'ACTIVE',
  'RECOVERY',
  'PASSWORD_EXPIRED',
  'LOCKED_OUT',
  'SUSPENDED',
  'DEPROVISIONED',
] as const
export type PersonStatus = (typeof STATUSES)[number]

export interface Person {
  readonly id: string
  readonly login: string
  readonly email: string
  /** Okta itself always says true; other providers do not. */
  readonly emailVerified?: false
  readonly firstName: string
  readonly lastName: string
  readonly status: PersonStatus
  /** Absent: the sign-in page asks for no password. */
  readonly password?: string
  /** Has a second factor, so that `urn:okta:loa:2fa:any` can be met. */
  readonly secondFactor: boolean
  /** Custom profile attributes, by profile name. */
  readonly attributes: { readonly [name: string]: Json }
  readonly created: Span
  readonly activated: Span | undefined
  readonly statusChanged: Span | undefined
  readonly lastLogin: Span | undefined
  readonly lastUpdated: Span
  readonly passwordChanged: Span | undefined
}

export type GroupType = 'OKTA_GROUP' | 'APP_GROUP' | 'BUILT_IN'

export interface OrgGroup {
  readonly id: string
  readonly name: string
  readonly description: string
  readonly type: GroupType
  /** APP_GROUP: the app it is imported from. */
  readonly sourceAppId?: string
  readonly created: Span
  /** Profile changes only. */
  readonly lastUpdated: Span
  /** Membership changes only. */
  readonly lastMembershipUpdated: Span
}

/** Which groups a groups claim names (okta-api.md#groups-claim); it yields names, never ids. */
export interface GroupsClaim {
  readonly name: string
  readonly match: 'STARTS_WITH' | 'EQUALS' | 'CONTAINS' | 'REGEX'
  readonly value: string
  /** Beyond this many the whole request fails; nothing is truncated. */
  readonly limit?: number
}

export interface OrgApp {
  /** Also its OAuth client id. */
  readonly id: string
  readonly label: string
  readonly kind: 'web' | 'browser' | 'native' | 'service'
  readonly secret?: string
  readonly redirectUris: readonly string[]
  readonly postLogoutRedirectUris: readonly string[]
  readonly grantTypes: readonly (
    | 'authorization_code'
    | 'refresh_token'
    | 'urn:ietf:params:oauth:grant-type:device_code'
  )[]
  readonly pkceRequired: boolean
  /** Absent: STATIC for web apps, ROTATE with 30 seconds for others (okta-api.md#refresh-tokens). */
  readonly refreshToken?: RefreshTokenRotation
  /** Of the access policy that fits the app; an hour unless said. ID tokens live an hour in any case. */
  readonly accessTokenSeconds?: number
  /** Org authorization server: the app's own groups claim, given for scope `groups`. */
  readonly groupsClaim?: GroupsClaim
  /** Service app: public keys of its assertions, each with a `kid`. */
  readonly jwks?: readonly ServiceKey[]
  /** Service app: scopes of the management API that an admin has granted, e.g. `okta.groups.read`. */
  readonly grantedScopes?: readonly string[]
  /** Service app: needed beside the scopes; absent is none. */
  readonly role?: AdminRole
  readonly created: Span
  readonly lastUpdated: Span
}

/** `leeway`: seconds in which the token before the newest is still taken. */
export type RefreshTokenRotation =
  | { readonly rotation: 'STATIC' }
  | { readonly rotation: 'ROTATE'; readonly leeway: number }

/** A public JWK (RFC 7517). */
export interface ServiceKey {
  readonly kty: string
  readonly kid?: string
  readonly [member: string]: unknown
}

export interface AppAssignment {
  readonly id: string
  readonly to: 'person' | 'group'
  readonly lastUpdated: Span
}

/** What an admin role may do, as far as the emulator cares (okta-api.md#api-tokens-and-errors). */
export type AdminRole = 'SUPER_ADMIN' | 'READ_ONLY_ADMIN' | 'GROUP_MEMBERSHIP_ADMIN' | 'NONE'

export interface ApiToken {
  readonly id: string
  readonly value: string
  /** Person id: the token dies with this person's deactivation and inherits their role. */
  readonly ownerId: string
  readonly role: AdminRole
  /** CIDR blocks that may use the token; absent is anywhere. */
  readonly networks?: readonly string[]
  readonly lastUsed: Span
  readonly revoked: boolean
}

/** `org`: the org authorization server. Any other id: a custom one at `/oauth2/{id}`. */
export interface AuthorizationServer {
  readonly id: string
  readonly name: string
  readonly audience: string
  /** Beyond the built-in ones. */
  readonly scopes: readonly string[]
  /** New Integrator orgs have a `default` server without an access policy: every request is refused. */
  readonly accessPolicy: 'allow' | 'none'
  readonly groupsClaim?: GroupsClaim
  /** Claims taken from profile attributes. Without `always` they are only at /userinfo in a code flow (okta-api.md#tokens). */
  readonly claims: readonly { readonly name: string; readonly attribute: string; readonly always: boolean }[]
}

/** Something that happened, in Okta's event vocabulary: what the System Log and event hooks are made of. */
export interface Occurrence {
  /** The same in the System Log and in every hook delivery. */
  readonly uuid: string
  /** `published`. */
  readonly at: Span
  readonly eventType: string
  /** Where one event type has several meanings (imports); otherwise log/event-types.ts knows it. */
  readonly legacyEventType?: string
  readonly outcome: 'SUCCESS' | 'FAILURE'
  readonly reason?: string
  readonly personId?: string
  readonly groupId?: string
  readonly appId?: string
  /** As they were then: an event about a deleted group still names it. */
  readonly person?: Person
  readonly group?: OrgGroup
  readonly app?: OrgApp
  /** Neither person nor group nor app, e.g. an event hook. */
  readonly other?: { readonly id: string; readonly type: string; readonly name: string }
}
