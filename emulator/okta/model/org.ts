import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import { type Chronicle, createChronicle } from './chronicle.ts'
import type { Ids } from './ids.ts'
import { createLagging, type IndexLag, type IndexName } from './lagging.ts'
import { createMemberships } from './memberships.ts'
import { createSorted, type Sorted } from './sorted.ts'
import type {
  ApiToken,
  AppAssignment,
  AuthorizationServer,
  Occurrence,
  OrgApp,
  OrgGroup,
  Person,
  PersonStatus,
} from './types.ts'

const NO_ATTRIBUTES = {}

export type NewPerson = Partial<Omit<Person, 'login'>> & { readonly login: string }
export type NewGroup = Partial<OrgGroup> & { readonly name: string }
export type NewApp = Partial<OrgApp>
export type NewToken = Partial<ApiToken> & { readonly value: string; readonly ownerId: string }

/** One Okta org in memory. It knows nothing of HTTP; every change is announced as an `Occurrence`. */
export interface Org extends Omit<Chronicle, 'record'> {
  readonly id: string
  readonly everyone: OrgGroup
  readonly people: Pick<Sorted<Person>, 'get' | 'slice' | 'from' | 'ordered' | 'size'>
  readonly groups: Pick<Sorted<OrgGroup>, 'get' | 'slice' | 'from' | 'ordered' | 'size'>
  readonly apps: Pick<Sorted<OrgApp>, 'get' | 'slice' | 'from' | 'ordered' | 'size'>
  readonly authorizationServers: ReadonlyMap<string, AuthorizationServer>
  /** By id or login (any case), or by the part before `@` when that is unambiguous. */
  findPerson(idOrLogin: string): Person | undefined
  /** By id or exact name. */
  findGroup(idOrName: string): OrgGroup | undefined
  findToken(value: string): ApiToken | undefined
  tokens(): readonly ApiToken[]

  addPerson(person: NewPerson): Person
  /** Throws when there is no such person. `lastUpdated` moves. */
  updatePerson(id: string, change: Partial<Person>, eventType: string): Person
  setStatus(id: string, status: PersonStatus, eventType: string): Person
  deletePerson(id: string): void
  addGroup(group: NewGroup): OrgGroup
  updateGroup(id: string, change: Partial<OrgGroup>): OrgGroup
  deleteGroup(id: string): void
  /** false: was already (or was not) a member. `Everyone` cannot be edited. */
  addMember(groupId: string, personId: string): boolean
  removeMember(groupId: string, personId: string): boolean
  /** A status change never touches memberships (okta-api.md#users). */
  groupsOf(personId: string, after?: string, limit?: number): readonly OrgGroup[]
  membersOf(groupId: string, after?: string, limit?: number): readonly Person[]
  memberCount(groupId: string): number

  addApp(app: NewApp): OrgApp
  updateApp(id: string, change: Partial<OrgApp>): OrgApp
  assign(appId: string, id: string): void
  unassign(appId: string, id: string): void
  assignments(appId: string): readonly AppAssignment[]
  isAssigned(appId: string, personId: string): boolean

  addToken(token: NewToken): ApiToken
  updateToken(id: string, change: Partial<ApiToken>): void
  addAuthorizationServer(server: Partial<AuthorizationServer> & { readonly id: string }): AuthorizationServer

  /** Records an event that changed nothing here, e.g. the end of a session. */
  note(eventType: string, personId: string, outcome?: Occurrence['outcome']): void
  /** The same about anything. */
  announce(eventType: string, facts: Partial<Occurrence>): void
  /** From now on; a longer lag does not hide what is indexed already. */
  setIndexLag(lag: IndexLag): void
  /** As `filter` or `search` sees it; undefined: not indexed yet. */
  personInIndex(person: Person, index: IndexName): Person | undefined
  groupInIndex(group: OrgGroup, index: IndexName): OrgGroup | undefined
}

export function createOrg(deps: {
  readonly clock: Clock
  readonly ids: Ids
  readonly id?: string
  readonly everyoneId?: string
}): Org {
  const { clock, ids } = deps
  const people = createSorted<Person>()
  const byLogin = new Map<string, string>()
  const groups = createSorted<OrgGroup>()
  const memberships = createMemberships()
  const apps = createSorted<OrgApp>()
  const assigned = new Map<string, Map<string, AppAssignment>>()
  const tokens = new Map<string, ApiToken>()
  const servers = new Map<string, AuthorizationServer>()
  const chronicle = createChronicle(clock)

  let lag: IndexLag = { filter: 0, search: 0 }
  const laggingPeople = createLagging<Person>(clock, () => lag)
  const laggingGroups = createLagging<OrgGroup>(clock, () => lag)

  /** With people, groups and apps as they are now. */
  function record(eventType: string, facts: Partial<Occurrence>): void {
    const person = facts.person ?? people.get(facts.personId ?? '')
    const group = facts.group ?? groups.get(facts.groupId ?? '')
    const app = facts.app ?? apps.get(facts.appId ?? '')
    chronicle.record(eventType, {
      ...facts,
      ...(person && { person, personId: person.id }),
      ...(group && { group, groupId: group.id }),
      ...(app && { app, appId: app.id }),
    })
  }

  function keepPerson(person: Person): void {
    laggingPeople.changed(person.id, people.get(person.id))
    people.set(person.id, person)
  }
  function keepGroup(group: OrgGroup): void {
    laggingGroups.changed(group.id, groups.get(group.id))
    groups.set(group.id, group)
  }

  /** Members of an imported group change by imports, which have one event type for both directions (okta-api.md#which-event-tells-what). */
  function recordMembership(groupId: string, person: Person, added: boolean): void {
    const group = must(groups.get(groupId), groupId)
    if (group.type !== 'APP_GROUP') {
      record(`group.user_membership.${added ? 'add' : 'remove'}`, { person, group })
      return
    }
    record('app.user_management', {
      person,
      group,
      ...(group.sourceAppId !== undefined && { appId: group.sourceAppId }),
      legacyEventType: `app.user_management.app_group_member_import.${added ? 'insert' : 'delete'}_success`,
    })
  }

  const start = clock.now()
  const everyone: OrgGroup = {
    id: deps.everyoneId ?? ids.next('00g'),
    name: 'Everyone',
    description: 'All users in your organization',
    type: 'BUILT_IN',
    created: start,
    lastUpdated: start,
    lastMembershipUpdated: start,
  }
  groups.set(everyone.id, everyone)

  const touchMembership = (groupId: string, at: Span): void => {
    const group = must(groups.get(groupId), groupId)
    // Nothing to replace within one millisecond, which is most of what a seed does.
    if (group.lastMembershipUpdated !== at) keepGroup({ ...group, lastMembershipUpdated: at })
  }
  function byShortName(prefix: string): Person | undefined {
    let found: string | undefined
    for (const [login, id] of byLogin) {
      if (!login.startsWith(prefix)) continue
      if (found !== undefined) return undefined
      found = id
    }
    return people.get(found ?? '')
  }
  const groupIdsOf = (personId: string): readonly string[] => [...memberships.groupsOf(personId), everyone.id].sort()

  const org: Org = {
    id: deps.id ?? ids.next('00o'),
    get everyone() {
      return must(groups.get(everyone.id), everyone.id)
    },
    people,
    groups,
    apps,
    authorizationServers: servers,
    findPerson(idOrLogin) {
      const direct = people.get(idOrLogin)
      if (direct) return direct
      const login = idOrLogin.toLowerCase()
      const id = byLogin.get(login)
      if (id) return people.get(id)
      return login.includes('@') ? undefined : byShortName(`${login}@`)
    },
    findGroup: (idOrName) => groups.get(idOrName) ?? [...groups.values()].find((group) => group.name === idOrName),
    findToken: (value) => [...tokens.values()].find((token) => token.value === value),
    tokens: () => [...tokens.values()],

    addPerson(person) {
      const now = clock.now()
      const status = person.status ?? 'ACTIVE'
      if (byLogin.has(person.login.toLowerCase())) throw new TypeError(`login ${person.login} exists`)
      const [local = person.login] = person.login.split('@')
      const full: Person = {
        id: ids.next('00u'),
        email: person.login,
        firstName: capital(local.split(/[._-]/)[0] ?? local),
        lastName: capital(local.split(/[._-]/)[1] ?? 'Example'),
        secondFactor: false,
        attributes: NO_ATTRIBUTES,
        created: now,
        activated: status === 'STAGED' ? undefined : now,
        statusChanged: now,
        lastLogin: undefined,
        lastUpdated: now,
        passwordChanged: now,
        ...person,
        status,
      }
      keepPerson(full)
      byLogin.set(full.login.toLowerCase(), full.id)
      touchMembership(everyone.id, now)
      record('user.lifecycle.create', { personId: full.id })
      return full
    },
    updatePerson(id, change, eventType) {
      const before = must(people.get(id), id)
      const after: Person = { ...before, ...change, lastUpdated: clock.now() }
      if (after.login !== before.login) {
        byLogin.delete(before.login.toLowerCase())
        byLogin.set(after.login.toLowerCase(), id)
      }
      keepPerson(after)
      record(eventType, { personId: id })
      return after
    },
    setStatus(id, status, eventType) {
      const now = clock.now()
      const before = must(people.get(id), id)
      if (before.status === status) return before
      return org.updatePerson(
        id,
        { status, statusChanged: now, ...(status === 'ACTIVE' && { activated: before.activated ?? now }) },
        eventType,
      )
    },
    deletePerson(id) {
      const person = must(people.get(id), id)
      record('user.lifecycle.delete.initiated', { person })
      memberships.dropPerson(id)
      for (const list of assigned.values()) list.delete(id)
      people.delete(id)
      byLogin.delete(person.login.toLowerCase())
      record('user.lifecycle.delete.completed', { person })
    },
    addGroup(group) {
      const now = clock.now()
      const full: OrgGroup = {
        id: ids.next('00g'),
        description: '',
        type: 'OKTA_GROUP',
        created: now,
        lastUpdated: now,
        lastMembershipUpdated: now,
        ...group,
      }
      keepGroup(full)
      record(full.type === 'APP_GROUP' ? 'system.import.group.create' : 'group.lifecycle.create', { group: full })
      return full
    },
    updateGroup(id, change) {
      const after = { ...must(groups.get(id), id), ...change, lastUpdated: clock.now() }
      keepGroup(after)
      const imported = after.type === 'APP_GROUP'
      record(imported ? 'app.user_management.user_group_import.upsert_success' : 'group.profile.update', {
        group: after,
      })
      return after
    },
    deleteGroup(id) {
      const group = must(groups.get(id), id)
      memberships.dropGroup(id)
      for (const list of assigned.values()) list.delete(id)
      groups.delete(id)
      record(group.type === 'APP_GROUP' ? 'system.import.group.delete' : 'group.lifecycle.delete', { group })
    },
    addMember(groupId, personId) {
      const person = must(people.get(personId), personId)
      if (must(groups.get(groupId), groupId).type === 'BUILT_IN') throw new TypeError('Everyone cannot be edited')
      if (!memberships.add(groupId, personId)) return false
      touchMembership(groupId, clock.now())
      recordMembership(groupId, person, true)
      return true
    },
    removeMember(groupId, personId) {
      if (!memberships.remove(groupId, personId)) return false
      touchMembership(groupId, clock.now())
      recordMembership(groupId, must(people.get(personId), personId), false)
      return true
    },
    groupsOf: (personId, after, limit = Number.POSITIVE_INFINITY) =>
      groupIdsOf(personId)
        .filter((id) => after === undefined || id > after)
        .slice(0, limit)
        .map((id) => must(groups.get(id), id)),
    membersOf(groupId, after, limit = Number.POSITIVE_INFINITY) {
      if (groupId === everyone.id) return people.slice(after, limit)
      return memberships.membersOf(groupId, after, limit).map((id) => must(people.get(id), id))
    },
    memberCount: (groupId) => (groupId === everyone.id ? people.size : memberships.count(groupId)),

    addApp(app) {
      const now = clock.now()
      const full: OrgApp = {
        id: ids.next('0oa'),
        label: 'Web application',
        kind: 'web',
        redirectUris: [],
        postLogoutRedirectUris: [],
        grantTypes: ['authorization_code', 'refresh_token'],
        pkceRequired: (app.kind ?? 'web') !== 'web' || app.secret === undefined,
        created: now,
        lastUpdated: now,
        ...app,
      }
      apps.set(full.id, full)
      return full
    },
    updateApp(id, change) {
      const after = { ...must(apps.get(id), id), ...change, lastUpdated: clock.now() }
      apps.set(id, after)
      return after
    },
    assign(appId, id) {
      must(apps.get(appId), appId)
      const to = people.has(id) ? 'person' : 'group'
      if (to === 'group') must(groups.get(id), id)
      const list = assigned.get(appId) ?? new Map<string, AppAssignment>()
      list.set(id, { id, to, lastUpdated: clock.now() })
      assigned.set(appId, list)
      if (to === 'person') record('application.user_membership.add', { appId, personId: id })
      else record('group.application_assignment.add', { appId, groupId: id })
    },
    unassign(appId, id) {
      const was = assigned.get(appId)?.get(id)
      if (!was) return
      assigned.get(appId)?.delete(id)
      if (was.to === 'person') record('application.user_membership.remove', { appId, personId: id })
      else record('group.application_assignment.remove', { appId, groupId: id })
    },
    assignments: (appId) => [...(assigned.get(appId)?.values() ?? [])],
    isAssigned(appId, personId) {
      const list = assigned.get(appId)
      return list !== undefined && [personId, ...groupIdsOf(personId)].some((id) => list.has(id))
    },

    addToken(token) {
      const full: ApiToken = {
        id: ids.next('00T'),
        role: 'SUPER_ADMIN',
        lastUsed: clock.now(),
        revoked: false,
        ...token,
      }
      tokens.set(full.id, full)
      return full
    },
    updateToken(id, change) {
      const token = tokens.get(id)
      if (token) tokens.set(id, { ...token, ...change })
    },
    addAuthorizationServer(server) {
      const full: AuthorizationServer = {
        name: server.id,
        audience: `api://${server.id}`,
        scopes: [],
        accessPolicy: 'allow',
        claims: [],
        ...server,
      }
      servers.set(full.id, full)
      return full
    },

    note: (eventType, personId, outcome = 'SUCCESS') => record(eventType, { personId, outcome }),
    announce: record,
    quietly: (run) => chronicle.quietly(run),
    setIndexLag(next) {
      lag = next
    },
    personInIndex: (person, index) => laggingPeople.seen(person.id, person, index),
    groupInIndex: (group, index) => laggingGroups.seen(group.id, group, index),
    history: () => chronicle.history(),
    onOccurrence: (listener) => chronicle.onOccurrence(listener),
  }
  return org
}

function must<T>(value: T | undefined, id: string): T {
  if (value === undefined) throw new TypeError(`no such object: ${id}`)
  return value
}

function capital(word: string): string {
  return word.slice(0, 1).toUpperCase() + word.slice(1)
}
