import { yieldToEventLoop } from '../../lib/wait.ts'
import type { JsonObject, Span } from '../../types.ts'
import { createGroup, patchGroup, replaceGroup, type ScimGroup } from './group.ts'
import { caseless, type Refusal, type Resource, URN } from './message.ts'
import type { Operation } from './patch.ts'
import { type MemberChange, membersOfBody, membersOfOperations } from './members.ts'
import type { Collection, Decide, Registry } from './registry.ts'
import { createUser, patchUser, replaceUser, type ScimUser } from './user.ts'

/** What the endpoint must know about one kind of resource. */
export interface Kind<T extends Resource> {
  readonly name: 'User' | 'Group'
  readonly collection: Collection<T>
  readonly create: (body: JsonObject, id: string, now: Span) => T | Refusal
  readonly replace: (current: T, body: JsonObject) => T | Refusal
  readonly patch: (current: T, operations: readonly Operation[]) => T | Refusal
  /** What a filter may ask for: lower-case attribute → the resources with this value. */
  readonly filters: ReadonlyMap<string, (value: string) => readonly T[]>
  /** Attributes that no two resources share; each is the index of its name. */
  readonly unique: readonly { readonly attribute: string; readonly key: (value: T) => string | undefined }[]
  /** As JSON. */
  readonly view: (value: T, detail: Detail) => Promise<string>
  readonly write: (id: string, decide: Decide<T>, members: MemberChange | undefined) => Promise<T | Refusal>
  /** Of groups: what a request says about members. */
  readonly members?: {
    readonly ofBody: (body: JsonObject) => Promise<MemberChange | Refusal>
    readonly ofOperations: (operations: readonly Operation[]) => Promise<MemberChange | Refusal>
  }
}

/** How much of a group is shown: `listed` without the members of a large one, `bare` without any. */
export type Detail = 'whole' | 'listed' | 'bare'

/** A page of groups of everybody would be longer than a string can be. */
const MAX_LISTED_MEMBERS = 1000
const NOBODY: MemberChange = { replace: false, named: new Map(), mayRemove: false }
/** Members that are written out before others have their turn: 1 ms. */
const MEMBERS_PER_TURN = 1000

export function createKinds(registry: Registry, baseUrl: string): { user: Kind<ScimUser>; group: Kind<ScimGroup> } {
  const { users, groups } = registry
  const one = <T>(value: T | undefined): readonly T[] => (value === undefined ? [] : [value])

  const user: Kind<ScimUser> = {
    name: 'User',
    collection: users,
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
    write: (id, decide) => registry.change(users, id, decide),
    view: async (value) =>
      JSON.stringify({
        schemas: [URN.user],
        id: value.id,
        externalId: value.externalId,
        userName: value.userName,
        name: value.name,
        displayName: value.displayName,
        locale: value.locale,
        emails: value.emails,
        active: value.active,
        groups: [...registry.members.groups(value.id)].flatMap((id) =>
          one(groups.rows.get(id)).map(({ displayName }) => ({ value: id, display: displayName })),
        ),
        meta: metaOf('User', value, baseUrl),
      }),
  }

  const group: Kind<ScimGroup> = {
    name: 'Group',
    collection: groups,
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
    write: (id, decide, members = NOBODY) => registry.changeGroup(id, decide, members),
    members: { ofBody: membersOfBody, ofOperations: membersOfOperations },
    async view(value, detail) {
      const { id, externalId, displayName } = value
      const meta = metaOf('Group', value, baseUrl)
      const text = JSON.stringify({ schemas: [URN.group], id, externalId, displayName, meta })
      const ids = registry.members.users(id)
      if (!showsMembers(ids.size, detail)) return text
      return `${text.slice(0, -1)},"members":[${await membersText([...ids])}]}`
    },
  }

  /** Members that exist: 100,000 of them at once would block everybody else for a quarter of a second. */
  async function membersText(ids: readonly string[]): Promise<string> {
    const pieces: string[] = []
    for (let from = 0; from < ids.length; from += MEMBERS_PER_TURN) {
      if (from > 0) await yieldToEventLoop()
      const people = ids.slice(from, from + MEMBERS_PER_TURN).flatMap((id) => one(users.rows.get(id)))
      if (people.length > 0) pieces.push(JSON.stringify(people.map(memberView)).slice(1, -1))
    }
    return pieces.join(',')
  }
  return { user, group }
}

function showsMembers(count: number, detail: Detail): boolean {
  return detail === 'whole' || (detail === 'listed' && count <= MAX_LISTED_MEMBERS)
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
