import type { Span } from '../../src/types.ts'
import type { HookBehaviour, HookDelivery } from './hooks/delivery.ts'
import type { EventHook } from './hooks/registry.ts'
import type { LoggedCall } from './http/call-log.ts'
import type { Fault } from './http/faults.ts'
import type { Outbound } from './http/outbound.ts'
import type { BucketState } from './http/rate-limit.ts'
import { type LogEvent, renderLogEvent } from './log/log-event.ts'
import type { LogDelay } from './log/system-log.ts'
import { eventFor } from './management/lifecycle.ts'
import type { IndexLag } from './model/lagging.ts'
import type { NewApp, NewGroup, NewPerson, Org } from './model/org.ts'
import type { OrgApp, OrgGroup, Person, PersonStatus } from './model/types.ts'
import type { ScimCall, ScimConnection } from './scim/client.ts'
import type { SignalSender } from './signals/sender.ts'
import type { World } from './world.ts'

/** What an admin of the org can do, and what tests read. People are named by id or login, groups by id or name. */
export interface Control {
  readonly org: Org
  addUser(person: NewPerson, groups?: readonly string[]): Person
  addGroup(group: string | NewGroup): OrgGroup
  addMember(group: string, user: string): void
  removeMember(group: string, user: string): void
  /** Changes an APP_GROUP as an import of a directory or HR app does: one event per person, and one at the end. */
  importMemberships(
    group: string,
    change: { readonly add?: readonly string[]; readonly remove?: readonly string[] },
  ): void
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
  /** System Log events that come late, out of their `published` order. */
  delayEvents(rule: LogDelay): void
  clearEventDelays(): void
  /** Every System Log cursor given out so far is refused from now on. */
  dropLogCursors(): void
  /** Puts Okta's clock, as `Date` and `X-Rate-Limit-Reset` show it, ahead of ours; negative is behind. */
  clockSkew(by: Span): void
  /** How far `filter` and `search` are behind; 0 for both at the start. */
  indexLag(lag: IndexLag): void
  /** The newest of the System Log, newest first: LogEvents as `/api/v1/logs` shows them. */
  logEvents(count: number): readonly LogEvent[]
  /** Failures of event hook delivery; fields that are not given stay as they are. */
  hookBehaviour(change: Partial<HookBehaviour>): void
  /** Sends the events that are still collected, and waits for the receivers. */
  flushHooks(): Promise<void>
  /** Without their secrets. */
  hooks(): readonly Omit<EventHook, 'auth' | 'headers'>[]
  hookDeliveries(): readonly HookDelivery[]
  /** Provisions an app by SCIM from now on; false: the receiver failed the connector test. */
  connectScim(connection: ScimConnection): Promise<boolean>
  pushGroup(appId: string, group: string): void
  /** `remove`: the receiver's group is deleted, otherwise it is left as it is. */
  unpushGroup(appId: string, group: string, remove: boolean): void
  /** Waits until every change has been sent to every receiver or has failed. */
  settleScim(): Promise<void>
  scimFailures(): readonly string[]
  retryScim(): void
  scimCalls(): readonly ScimCall[]
  /** Universal Logout, and a stream of shared signals. */
  readonly signals: Omit<SignalSender, 'accept'>
  /** Calls to this origin (of event hooks, of SCIM) go to this address, under their own name. */
  routeOutbound: Outbound['route']
  /** Calls of Okta's own surface, oldest first; the emulator's page and control API are not among them. */
  calls(): readonly LoggedCall[]
  clearCalls(): void
  buckets(): readonly BucketState[]
  /** New signing key; every server unless one is named. */
  rotateKeys(options?: { readonly server?: string; readonly emergency?: boolean }): void
  /** Back to the seed; sessions, tokens, calls, faults and budgets are gone, keys stay. */
  reset(): void
}

export function createControl(deps: {
  readonly world: () => World
  readonly outbound: Outbound
  readonly reset: () => void
}): Control {
  const { world } = deps
  const person = (name: string): Person => must(world().org.findPerson(name), 'person', name)
  const group = (name: string): OrgGroup => must(world().org.findGroup(name), 'group', name)
  const assignee = (name: string): string => world().org.findPerson(name)?.id ?? group(name).id
  return {
    get org() {
      return world().org
    },
    get signals() {
      return world().signals
    },
    addUser(details, groups = []) {
      const added = world().org.addPerson(details)
      for (const name of groups) world().org.addMember(group(name).id, added.id)
      return added
    },
    addGroup: (details) => world().org.addGroup(typeof details === 'string' ? { name: details } : details),
    addMember: (name, user) => void world().org.addMember(group(name).id, person(user).id),
    removeMember: (name, user) => void world().org.removeMember(group(name).id, person(user).id),
    importMemberships(name, { add = [], remove = [] }) {
      const { org } = world()
      const target = group(name)
      if (target.type !== 'APP_GROUP') throw new TypeError(`group "${name}" is not imported`)
      for (const user of add) org.addMember(target.id, person(user).id)
      for (const user of remove) org.removeMember(target.id, person(user).id)
      org.announce('system.import.group_membership.complete', {
        ...(target.sourceAppId !== undefined && { appId: target.sourceAppId }),
      })
    },
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
    delayEvents: (rule) => world().log.delay(rule),
    clearEventDelays: () => world().log.clearDelays(),
    dropLogCursors: () => world().log.dropCursors(),
    clockSkew(by) {
      world().skew = by
    },
    indexLag: (lag) => world().org.setIndexLag(lag),
    logEvents(count) {
      const { log } = world()
      return [...log.after(log.last - count)].map(({ occurrence }) => renderLogEvent(occurrence, 'log')).toReversed()
    },
    hookBehaviour: (change) => world().deliverer.behave(change),
    flushHooks: () => world().deliverer.flush(),
    hooks: () =>
      world()
        .hooks.list()
        .map(({ auth: _auth, headers: _headers, ...shown }) => shown),
    hookDeliveries: () => world().deliverer.deliveries(),
    connectScim: (connection) => world().provisioner.connect(connection),
    pushGroup: (appId, name) => world().provisioner.pushGroup(appId, group(name).id),
    unpushGroup: (appId, name, remove) => world().provisioner.unpushGroup(appId, group(name).id, remove),
    settleScim: () => world().provisioner.settle(),
    scimFailures: () => world().provisioner.failures(),
    retryScim: () => world().provisioner.retry(),
    scimCalls: () => world().provisioner.calls(),
    routeOutbound: (origin, to) => deps.outbound.route(origin, to),
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
