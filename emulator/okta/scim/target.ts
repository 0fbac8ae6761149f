import { randomUUID } from 'node:crypto'
import type { JsonObject } from '../../../src/types.ts'
import type { Org } from '../model/org.ts'
import type { Person } from '../model/types.ts'
import { type ScimAnswer, type ScimClient, type ScimConnection, ScimFailure } from './client.ts'
import {
  activePatch,
  allMembersPatch,
  groupBody,
  lookup,
  membersPatch,
  renamePatch,
  type ScimMember,
  userBody,
} from './messages.ts'

/** What one receiver has, and how it gets the difference to the org as it is now. */
export interface ScimTarget {
  readonly connection: ScimConnection
  /** People it knows, by person id. */
  readonly known: ReadonlyMap<string, unknown>
  /** Groups that are pushed, by group id. */
  readonly pushed: ReadonlySet<string>
  push(groupId: string): void
  /** `remove`: the receiver deletes its group at the next `syncGroup`. */
  unpush(groupId: string, remove: boolean): void
  /** The connector test. */
  test(): Promise<void>
  /** What was done with the receiver's copy of the person; undefined: nothing, or an update. */
  syncPerson(id: string): Promise<'provision' | 'deprovision' | undefined>
  syncGroup(id: string): Promise<void>
}

interface RemoteUser {
  readonly id: string
  readonly active: boolean
  readonly person: Person
}

interface RemoteGroup {
  readonly id: string
  readonly name: string
  /** Receiver's id by person id. */
  readonly members: ReadonlyMap<string, string>
}

export function createScimTarget(deps: {
  readonly org: Org
  readonly connection: ScimConnection
  readonly call: ScimClient
}): ScimTarget {
  const { org, connection, call } = deps
  const users = new Map<string, RemoteUser>()
  const groups = new Map<string, RemoteGroup>()
  const pushed = new Set<string>()
  const byPut = connection.dialect === 'put'

  /** The receiver may know the person already, from an earlier connection. */
  async function create(person: Person): Promise<void> {
    const found = await call('GET', `/Users${lookup('userName', person.login)}`, undefined, [404])
    const existing = firstId(found)
    if (existing !== undefined) {
      await call('PUT', userPath(existing), { ...userBody(person, true), id: existing })
      users.set(person.id, { id: existing, active: true, person })
      return
    }
    // Okta always sends a random password.
    const password = randomUUID().slice(0, 8)
    const created = await call('POST', '/Users', { ...userBody(person, true), password })
    users.set(person.id, { id: idOf(created), active: true, person })
  }

  async function replace(remote: RemoteUser, person: Person, active: boolean): Promise<void> {
    await call('GET', userPath(remote.id))
    await call('PUT', userPath(remote.id), { ...userBody(person, active), id: remote.id })
  }

  async function setActive(remote: RemoteUser, person: Person, active: boolean): Promise<void> {
    if (byPut) await replace(remote, person, active)
    else await call('PATCH', userPath(remote.id), activePatch(active))
    users.set(person.id, { id: remote.id, active, person })
  }

  /** Members that the receiver knows; a deactivated one stays in, as in Okta. */
  function membersOf(groupId: string): Map<string, ScimMember> {
    const members = new Map<string, ScimMember>()
    for (const person of org.membersOf(groupId)) {
      const remote = users.get(person.id)
      if (remote) members.set(person.id, { value: remote.id, display: person.login })
    }
    return members
  }

  async function createGroup(groupId: string, name: string): Promise<void> {
    const found = await call('GET', `/Groups${lookup('displayName', name)}`, undefined, [404])
    const id = firstId(found) ?? idOf(await call('POST', '/Groups', groupBody(name, [])))
    const members = membersOf(groupId)
    const list = [...members.values()]
    if (byPut) await call('PUT', groupPath(id), groupBody(name, list, id))
    else await call('PATCH', groupPath(id), allMembersPatch(list))
    groups.set(groupId, { id, name, members: idsOf(members) })
  }

  async function updateGroup(groupId: string, remote: RemoteGroup, name: string): Promise<void> {
    const members = membersOf(groupId)
    const added = [...members].filter(([id]) => !remote.members.has(id)).map(([, member]) => member)
    const removed = [...remote.members].filter(([id]) => !members.has(id)).map(([, value]) => value)
    if (added.length + removed.length === 0 && remote.name === name) return
    if (byPut) await call('PUT', groupPath(remote.id), groupBody(name, [...members.values()], remote.id))
    else {
      await call('PATCH', groupPath(remote.id), renamePatch(remote.id, name))
      if (added.length + removed.length > 0) await call('PATCH', groupPath(remote.id), membersPatch(removed, added))
    }
    groups.set(groupId, { id: remote.id, name, members: idsOf(members) })
  }

  return {
    connection,
    known: users,
    pushed,
    push: (groupId) => void pushed.add(groupId),
    unpush(groupId, remove) {
      pushed.delete(groupId)
      if (!remove) groups.delete(groupId)
    },
    async test() {
      await call('GET', '/Users?startIndex=1&count=100')
    },
    async syncPerson(id) {
      const remote = users.get(id)
      const person = org.people.get(id)
      // Okta sends nothing for a suspension: the person stays as before.
      const wanted = person !== undefined && person.status !== 'DEPROVISIONED' && org.isAssigned(connection.appId, id)
      if (!remote) {
        if (wanted) await create(person)
        return wanted ? 'provision' : undefined
      }
      if (wanted !== remote.active) {
        await setActive(remote, person ?? remote.person, wanted)
        return wanted ? 'provision' : 'deprovision'
      }
      if (wanted && JSON.stringify(userBody(person, true)) !== JSON.stringify(userBody(remote.person, true))) {
        await replace(remote, person, true)
        users.set(id, { ...remote, person })
      }
      return undefined
    },
    async syncGroup(id) {
      const remote = groups.get(id)
      const group = org.groups.get(id)
      if (pushed.has(id) && group) {
        await (remote ? updateGroup(id, remote, group.name) : createGroup(id, group.name))
        return
      }
      if (!remote) return
      await call('DELETE', groupPath(remote.id), undefined, [404])
      groups.delete(id)
    },
  }
}

const userPath = (id: string): string => `/Users/${encodeURIComponent(id)}`
const groupPath = (id: string): string => `/Groups/${encodeURIComponent(id)}`

function idsOf(members: ReadonlyMap<string, ScimMember>): ReadonlyMap<string, string> {
  return new Map([...members].map(([id, { value }]) => [id, value]))
}

function firstId({ body }: ScimAnswer): string | undefined {
  const resources = body['Resources']
  const first = Array.isArray(resources) ? (resources[0] as JsonObject | undefined) : undefined
  const id = first?.['id']
  return typeof id === 'string' ? id : undefined
}

/** An answer without an id is a failure, whatever its status. */
function idOf({ body }: ScimAnswer): string {
  const id = body['id']
  if (typeof id !== 'string') throw new ScimFailure('answer without an id')
  return id
}
