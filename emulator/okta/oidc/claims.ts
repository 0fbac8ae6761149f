import { assertNever } from '../../../src/errors.ts'
import type { JsonObject } from '../../../src/types.ts'
import type { Org } from '../model/org.ts'
import type { AuthorizationServer, GroupsClaim, OrgApp, Person } from '../model/types.ts'

/** Raised when a groups claim names too many groups: the whole request fails, nothing is truncated (okta-api.md#groups-claim). */
export class TooManyGroups extends Error {
  override readonly name = 'TooManyGroups'
}

/** What a code flow puts in the ID token besides the protocol's own claims (okta-api.md#tokens). */
export function idTokenClaims(context: ClaimContext): JsonObject {
  const { person, scopes } = context
  return {
    ...(scopes.has('profile') && { name: fullName(person), preferred_username: person.login }),
    ...(scopes.has('email') && { email: person.email, email_verified: person.emailVerified ?? true }),
    ...groupsClaim(context, context.app.groupsClaim, undefined),
    ...groupsClaim(context, context.server?.groupsClaim, CUSTOM_LIMIT),
    ...attributeClaims(context, (claim) => claim.always),
  }
}

/** `/userinfo` always has the full set for the scopes. */
export function userinfoClaims(context: ClaimContext): JsonObject {
  const { person, scopes } = context
  return {
    sub: person.id,
    ...(scopes.has('profile') && {
      name: fullName(person),
      locale: 'en_US',
      preferred_username: person.login,
      given_name: person.firstName,
      family_name: person.lastName,
      zoneinfo: 'America/Los_Angeles',
      updated_at: Math.floor(person.lastUpdated / 1000),
    }),
    ...(scopes.has('email') && { email: person.email, email_verified: person.emailVerified ?? true }),
    ...groupsClaim(context, context.app.groupsClaim, CUSTOM_LIMIT),
    ...groupsClaim(context, context.server?.groupsClaim, CUSTOM_LIMIT),
    ...attributeClaims(context, () => true),
  }
}

/** Claims of a custom server's access token. */
export function accessTokenClaims(context: ClaimContext): JsonObject {
  return {
    ...groupsClaim(context, context.server?.groupsClaim, CUSTOM_LIMIT),
    ...attributeClaims(context, (claim) => claim.always),
  }
}

export interface ClaimContext {
  readonly org: Org
  readonly person: Person
  readonly app: OrgApp
  readonly scopes: ReadonlySet<string>
  /** Absent at the org authorization server. */
  readonly server?: AuthorizationServer
}

/** `/userinfo`, implicit flows and claims of a custom server still have the old limit. */
const CUSTOM_LIMIT = 100

function groupsClaim(
  context: ClaimContext,
  claim: GroupsClaim | undefined,
  standardLimit: number | undefined,
): JsonObject {
  // The app's filter answers scope `groups` at the org server; a custom server's claim needs no scope of its own.
  const wanted = claim && (claim === context.server?.groupsClaim || (!context.server && context.scopes.has('groups')))
  if (!wanted) return {}
  const names = context.org
    .groupsOf(context.person.id)
    // The filter form covers groups that Okta itself holds.
    .filter((group) => group.type !== 'APP_GROUP' && matches(claim, group.name))
    .map((group) => group.name)
  const limit = claim.limit ?? standardLimit
  if (limit !== undefined && names.length > limit) throw new TooManyGroups(`${names.length} groups`)
  return names.length > 0 ? { [claim.name]: names } : {}
}

function matches(claim: GroupsClaim, name: string): boolean {
  switch (claim.match) {
    case 'STARTS_WITH':
      return name.startsWith(claim.value)
    case 'EQUALS':
      return name === claim.value
    case 'CONTAINS':
      return name.includes(claim.value)
    case 'REGEX':
      // Written by whoever seeds the emulator.
      return new RegExp(`^(?:${claim.value})$`).test(name)
    default:
      return assertNever(claim.match)
  }
}

function attributeClaims(
  context: ClaimContext,
  include: (claim: AuthorizationServer['claims'][number]) => boolean,
): JsonObject {
  const claims = (context.server?.claims ?? []).filter(include)
  return Object.fromEntries(
    claims.flatMap(({ name, attribute }) => {
      const value = context.person.attributes[attribute]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

function fullName(person: Person): string {
  return `${person.firstName} ${person.lastName}`
}
