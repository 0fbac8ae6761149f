import type { NewApp, NewGroup, NewPerson, NewToken, Org } from './model/org.ts'
import type { AuthorizationServer } from './model/types.ts'

/** What an org contains at the start. Names refer to one another by login, group name or id. */
export interface Seed {
  readonly orgId?: string
  readonly everyoneId?: string
  readonly groups?: readonly NewGroup[]
  /** Read once for every start or reset. */
  readonly people?: Iterable<NewPerson & { readonly groups?: readonly string[] }>
  /** `assignedTo`: group names, logins or ids. */
  readonly apps?: readonly (NewApp & { readonly assignedTo?: readonly string[] })[]
  /** `owner`: login; made with role SUPER_ADMIN when no such person exists. */
  readonly tokens?: readonly (Omit<NewToken, 'ownerId'> & { readonly owner: string })[]
  /** Beside the org authorization server; without it there is one, `default`. */
  readonly authorizationServers?: readonly (Partial<AuthorizationServer> & { readonly id: string })[]
}

/** Fills an empty org. Throws a TypeError for an unknown name. */
export function plant(org: Org, seed: Seed): void {
  for (const group of seed.groups ?? []) org.addGroup(group)
  for (const { groups = [], ...person } of seed.people ?? []) {
    const { id } = org.addPerson(person)
    for (const group of groups) org.addMember(groupId(org, group), id)
  }
  for (const { assignedTo = [], ...app } of seed.apps ?? []) {
    const { id } = org.addApp(app)
    for (const name of assignedTo) org.assign(id, org.findPerson(name)?.id ?? groupId(org, name))
  }
  for (const { owner, ...token } of seed.tokens ?? []) {
    const ownerId = (org.findPerson(owner) ?? org.addPerson({ login: owner })).id
    org.addToken({ ...token, ownerId })
  }
  for (const server of seed.authorizationServers ?? [{ id: 'default' }]) org.addAuthorizationServer(server)
}

function groupId(org: Org, name: string): string {
  const group = org.findGroup(name)
  if (!group) throw new TypeError(`seed: no group or person "${name}"`)
  return group.id
}
