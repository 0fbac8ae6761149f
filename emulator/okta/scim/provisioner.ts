import { faultFields } from '../../../src/errors.ts'
import type { Logger } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Outbound } from '../http/outbound.ts'
import type { Org } from '../model/org.ts'
import type { Occurrence } from '../model/types.ts'
import { createScimClient, type ScimCall, type ScimConnection, ScimFailure } from './client.ts'
import { createScimTarget, type ScimTarget } from './target.ts'

/** Okta's SCIM provisioning: sends changes in the org to the connected apps (okta-api.md#scim-client). */
export interface Provisioner {
  /** Tests the receiver, then sends it everybody who is assigned. false: the test failed, nothing is connected. */
  connect(connection: ScimConnection): Promise<boolean>
  pushGroup(appId: string, groupId: string): void
  unpushGroup(appId: string, groupId: string, remove: boolean): void
  accept(occurrence: Occurrence): void
  /** Resolves when every change has been sent or has failed. */
  settle(): Promise<void>
  /** People and groups whose change a receiver refused, as `{appId} {kind} {id}`. */
  failures(): readonly string[]
  /** Sends failed changes again; at Okta the admin does that. */
  retry(): void
  /** Oldest first; at most the last 1,000. */
  calls(): readonly ScimCall[]
  close(): void
}

const KEPT = 1000
type Kind = 'person' | 'group'

/** One target with its queue of changes, each once, sent one after the other. */
interface Line {
  readonly target: ScimTarget
  readonly waiting: Set<string>
  readonly failed: Set<string>
  running: Promise<void> | undefined
}

export function createProvisioner(deps: {
  readonly clock: Clock
  readonly log: Logger
  readonly org: Org
  readonly outbound: Outbound
}): Provisioner {
  const { org } = deps
  const lines = new Map<string, Line>()
  let calls: ScimCall[] = []
  let closed = false

  function note(call: ScimCall): void {
    calls.push(call)
    if (calls.length > 2 * KEPT) calls = calls.slice(-KEPT)
  }

  function tell(line: Line, kind: Kind, id: string): void {
    line.waiting.add(`${kind} ${id}`)
    line.running ??= work(line)
  }

  async function work(line: Line): Promise<void> {
    // Several changes in one turn are made before the first is sent.
    await Promise.resolve()
    for (const key of line.waiting) {
      if (closed) break
      line.waiting.delete(key)
      line.failed.delete(key)
      const [kind = '', id = ''] = key.split(' ')
      try {
        await (kind === 'person' ? person(line, id) : line.target.syncGroup(id))
      } catch (error) {
        line.failed.add(key)
        if (!(error instanceof ScimFailure))
          deps.log.error({ ...faultFields(error), key }, 'emulator: provisioning failed')
      }
    }
    // In the same turn as the end of the loop, so that a later change starts a new one.
    line.running = undefined
  }

  async function person(line: Line, id: string): Promise<void> {
    const { target } = line
    const done = await target.syncPerson(id)
    if (done === undefined) return
    org.announce(`application.user_membership.${done}`, { personId: id, appId: target.connection.appId })
    // A person whom the receiver has now can be a member there.
    for (const { id: groupId } of org.groupsOf(id)) if (target.pushed.has(groupId)) tell(line, 'group', groupId)
  }

  function lineOf(appId: string): Line {
    const line = lines.get(appId)
    if (!line) throw new TypeError(`app ${appId} is not connected to SCIM`)
    return line
  }

  /** Everybody whose assignment may have changed with a group's. */
  function people(line: Line, groupId: string): void {
    for (const { id } of org.membersOf(groupId)) tell(line, 'person', id)
  }

  return {
    async connect(connection) {
      const call = createScimClient({ ...deps, connection, note })
      const target = createScimTarget({ org, connection, call })
      try {
        await target.test()
      } catch {
        return false
      }
      const line: Line = { target, waiting: new Set(), failed: new Set(), running: undefined }
      lines.set(connection.appId, line)
      for (const { id, to } of org.assignments(connection.appId)) {
        if (to === 'person') tell(line, 'person', id)
        else people(line, id)
      }
      return true
    },
    pushGroup(appId, groupId) {
      const line = lineOf(appId)
      line.target.push(groupId)
      tell(line, 'group', groupId)
    },
    unpushGroup(appId, groupId, remove) {
      const line = lineOf(appId)
      line.target.unpush(groupId, remove)
      tell(line, 'group', groupId)
    },
    accept({ eventType, personId, groupId, appId }) {
      if (closed || eventType === 'application.user_membership.provision' || eventType.endsWith('.deprovision')) return
      for (const line of lines.values()) {
        const { target } = line
        if (eventType.startsWith('group.application_assignment.') && groupId !== undefined) {
          if (appId === target.connection.appId) people(line, groupId)
          continue
        }
        // The members of a deleted group are unknown, so everybody whom the target has is checked.
        if (groupId !== undefined && !org.groups.get(groupId)) {
          for (const id of target.known.keys()) tell(line, 'person', id)
        }
        if (personId !== undefined) tell(line, 'person', personId)
        if (groupId !== undefined && target.pushed.has(groupId)) tell(line, 'group', groupId)
      }
    },
    async settle() {
      const running = (): readonly Promise<void>[] => [...lines.values()].flatMap((line) => line.running ?? [])
      while (running().length > 0) await Promise.all(running())
    },
    failures: () => [...lines].flatMap(([appId, { failed }]) => [...failed].map((key) => `${appId} ${key}`)),
    retry() {
      for (const line of lines.values()) {
        for (const key of line.failed) {
          const [kind, id = ''] = key.split(' ')
          tell(line, kind as Kind, id)
        }
      }
    },
    calls: () => calls.slice(-KEPT),
    close() {
      closed = true
    },
  }
}
