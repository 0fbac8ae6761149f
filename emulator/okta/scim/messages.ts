import type { Json, JsonObject } from '../../../src/types.ts'
import type { Person } from '../model/types.ts'

/** The messages of Okta's SCIM client (okta-api.md#scim-client). */

const USER = 'urn:ietf:params:scim:schemas:core:2.0:User'
const GROUP = 'urn:ietf:params:scim:schemas:core:2.0:Group'
const PATCH = 'urn:ietf:params:scim:api:messages:2.0:PatchOp'

/** A member of a pushed group, under the id that the receiver gave the person. */
export interface ScimMember {
  readonly value: string
  readonly display: string
}

export function userBody(person: Person, active: boolean): JsonObject {
  return {
    schemas: [USER],
    userName: person.login,
    name: { givenName: person.firstName, familyName: person.lastName },
    emails: [{ primary: true, value: person.email, type: 'work' }],
    displayName: `${person.firstName} ${person.lastName}`,
    locale: 'en-US',
    externalId: person.id,
    groups: [],
    active,
  }
}

export function activePatch(active: boolean): JsonObject {
  return patch({ op: 'replace', value: { active } })
}

export function groupBody(displayName: string, members: readonly ScimMember[], id?: string): JsonObject {
  return { schemas: [GROUP], ...(id !== undefined && { id }), displayName, members: members.map(memberBody) }
}

/** Sent before every change of members, with the id inside the value. */
export function renamePatch(id: string, displayName: string): JsonObject {
  return patch({ op: 'replace', value: { id, displayName } })
}

export function membersPatch(removed: readonly string[], added: readonly ScimMember[]): JsonObject {
  return patch(
    ...removed.map((id) => ({ op: 'remove', path: `members[value eq "${id}"]` })),
    ...(added.length > 0 ? [{ op: 'add', path: 'members', value: added.map(memberBody) }] : []),
  )
}

export function allMembersPatch(members: readonly ScimMember[]): JsonObject {
  return patch({ op: 'replace', path: 'members', value: members.map(memberBody) })
}

/** `?filter=userName eq "…"`, percent-encoded as Okta does. */
export function lookup(attribute: 'userName' | 'displayName', value: string): string {
  const filter = `${attribute} eq "${value.replace(/["\\]/g, '\\$&')}"`
  return `?filter=${encodeURIComponent(filter)}&startIndex=1&count=100`
}

function memberBody({ value, display }: ScimMember): JsonObject {
  return { value, display }
}

function patch(...operations: readonly Json[]): JsonObject {
  return { schemas: [PATCH], Operations: operations }
}
