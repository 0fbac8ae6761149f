import type { LoggedCall } from './http/call-log.ts'
import type { Fault } from './http/faults.ts'
import type { BucketState } from './http/rate-limit.ts'
import { eventFor } from './management/lifecycle.ts'
import type { NewApp, NewGroup, NewPerson, Org } from './model/org.ts'
import type { OrgApp, OrgGroup, Person, PersonStatus } from './model/types.ts'
import type { World } from './world.ts'

/** What an admin of the org can do, and what a test wants to know. People by id or login, groups by id or name. */
export interface Control {
  readonly org: Org
  addUser(person: NewPerson, groups?: readonly string[]): Person
  addGroup(group: string | NewGroup): OrgGroup
  addMember(group: string, user: string): void
  removeMember(group: string, user: string): void
  setStatus(user: string, status: PersonStatus): void
  addApp(app: NewApp): OrgApp
  updateApp(appId: string, change: Partial<OrgApp>): void
  assignApp(appId: string, to: string): void
  unassignApp(appId: string, to: string): void
  /** Ends the Okta session; `tokens`: refresh tokens too. */
  endSessions(user: string, tokens?: boolean): void
  revokeApiToken(value: string): void
  fault(fault: Fault): void
  clearFaults(): void
  /** Calls of Okta's own surface, oldest first; the emulator's page and control API are not among them. */
  calls(): readonly LoggedCall[]
  clearCalls(): void
  buckets(): readonly BucketState[]
  /** New signing key; every server unless one is named. */
  rotateKeys(options?: { readonly server?: string; readonly emergency?: boolean }): void
  /** Back to the seed; sessions, tokens, calls, faults and budgets are gone, keys stay. */
  reset(): void
}

export function createControl(deps: { readonly world: () => World; readonly reset: () => void }): Control {
  const { world } = deps
  const person = (name: string): Person => must(world().org.findPerson(name), 'person', name)
  const group = (name: string): OrgGroup => must(world().org.findGroup(name), 'group', name)
  const assignee = (name: string): string => world().org.findPerson(name)?.id ?? group(name).id
  return {
    get org() {
      return world().org
    },
    addUser(details, groups = []) {
      const added = world().org.addPerson(details)
      for (const name of groups) world().org.addMember(group(name).id, added.id)
      return added
    },
    addGroup: (details) => world().org.addGroup(typeof details === 'string' ? { name: details } : details),
    addMember: (name, user) => void world().org.addMember(group(name).id, person(user).id),
    removeMember: (name, user) => void world().org.removeMember(group(name).id, person(user).id),
    setStatus(user, status) {
      const { id, status: before } = person(user)
      world().org.setStatus(id, status, eventFor(status, before))
    },
    addApp: (app) => world().org.addApp(app),
    updateApp: (appId, change) => void world().org.updateApp(appId, change),
    assignApp: (appId, to) => world().org.assign(appId, assignee(to)),
    unassignApp: (appId, to) => world().org.unassign(appId, assignee(to)),
    endSessions(user, tokens = false) {
      const { id } = person(user)
      world().storage.endPerson(id, tokens)
      world().org.note('user.session.clear', id)
    },
    revokeApiToken(value) {
      const { org } = world()
      org.updateToken(must(org.findToken(value), 'token', 'given').id, { revoked: true })
    },
    fault: (fault) => world().faults.add(fault),
    clearFaults: () => world().faults.clear(),
    calls: () => world().calls.list(),
    clearCalls: () => world().calls.clear(),
    buckets: () => world().limiter.buckets(),
    rotateKeys({ server, emergency = false } = {}) {
      const ids = server === undefined ? ['org', ...world().org.authorizationServers.keys()] : [server]
      for (const id of ids) world().keysOf(id).rotate(emergency)
    },
    reset: deps.reset,
  }
}

function must<T>(value: T | undefined, kind: string, name: string): T {
  if (value === undefined) throw new TypeError(`no ${kind} "${name}" in this org`)
  return value
}
