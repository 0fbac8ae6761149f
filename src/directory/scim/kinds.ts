import type { JsonObject, Millis } from '../../types.ts'
import { createGroup, patchGroup, replaceGroup, type ScimGroup } from './group.ts'
import { caseless, type Refusal, type Resource, URN } from './message.ts'
import type { Operation } from './patch.ts'
import type { Registry, Shelf } from './registry.ts'
import { createUser, patchUser, replaceUser, type ScimUser } from './user.ts'

/** What the endpoint must know about one kind of resource. */
export interface Kind<T extends Resource> {
  readonly name: 'User' | 'Group'
  readonly shelf: Shelf<T>
  readonly create: (body: JsonObject, id: string, now: Millis) => T | Refusal
  readonly replace: (current: T, body: JsonObject) => T | Refusal
  readonly patch: (current: T, operations: readonly Operation[]) => T | Refusal
  /** What a filter may ask for: lower-case attribute → the resources with this value. */
  readonly filters: ReadonlyMap<string, (value: string) => readonly T[]>
  /** Attributes that no two resources share; each is the index of its name. */
  readonly unique: readonly { readonly attribute: string; readonly key: (value: T) => string | undefined }[]
  readonly view: (value: T, detail: Detail) => object
}

/** How much of a group is shown: `listed` without the members of a large one, `bare` without any. */
export type Detail = 'whole' | 'listed' | 'bare'

/** A page of groups of everybody would be longer than a string can be. */
const MAX_LISTED_MEMBERS = 1000

export function createKinds(registry: Registry, baseUrl: string): { user: Kind<ScimUser>; group: Kind<ScimGroup> } {
  const { users, groups } = registry
  const one = <T>(value: T | undefined): readonly T[] => (value === undefined ? [] : [value])

  const user: Kind<ScimUser> = {
    name: 'User',
    shelf: users,
    create: createUser,
    replace: replaceUser,
    patch: patchUser,
    filters: new Map([
      ['id', (id) => one(users.rows.get(id))],
      ['username', (name) => users.rows.find('userName', caseless(name))],
      ['externalid', (id) => users.rows.find('externalId', id)],
    ]),
    unique: [
      { attribute: 'userName', key: ({ userName }) => caseless(userName) },
      { attribute: 'externalId', key: ({ externalId }) => externalId },
    ],
    view: (value) => ({
      schemas: [URN.user],
      id: value.id,
      externalId: value.externalId,
      userName: value.userName,
      name: value.name,
      displayName: value.displayName,
      locale: value.locale,
      emails: value.emails,
      active: value.active,
      groups: groups.rows.find('member', value.id).map(({ id, displayName }) => ({ value: id, display: displayName })),
      meta: metaOf('User', value, baseUrl),
    }),
  }

  const group: Kind<ScimGroup> = {
    name: 'Group',
    shelf: groups,
    create: createGroup,
    replace: replaceGroup,
    patch: patchGroup,
    filters: new Map([
      ['id', (id) => one(groups.rows.get(id))],
      ['displayname', (name) => groups.rows.find('displayName', caseless(name))],
      ['externalid', (id) => groups.rows.find('externalId', id)],
    ]),
    // Rules know groups by name: a second group of a name would let its members in where only the first one's were meant.
    unique: [{ attribute: 'displayName', key: ({ displayName }) => caseless(displayName) }],
    view: (value, detail) => ({
      schemas: [URN.group],
      id: value.id,
      externalId: value.externalId,
      displayName: value.displayName,
      members: showsMembers(value, detail)
        ? value.members.flatMap((id) => one(users.rows.get(id)).map(memberView))
        : undefined,
      meta: metaOf('Group', value, baseUrl),
    }),
  }
  return { user, group }
}

function showsMembers({ members }: ScimGroup, detail: Detail): boolean {
  return detail === 'whole' || (detail === 'listed' && members.length <= MAX_LISTED_MEMBERS)
}

function memberView({ id, userName }: ScimUser): object {
  return { value: id, display: userName }
}

function metaOf(kind: 'User' | 'Group', { id, createdAt, changedAt }: Resource, baseUrl: string): object {
  return {
    resourceType: kind,
    created: new Date(createdAt).toISOString(),
    lastModified: new Date(changedAt).toISOString(),
    location: `${baseUrl}/${kind}s/${id}`,
  }
}
