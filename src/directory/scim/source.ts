import { AppError } from '../../errors.ts'
import type { Clock, Store, Subject } from '../../types.ts'
import type { DirectorySource, Group } from '../model.ts'
import type { Registry } from './registry.ts'
import type { ScimUser } from './user.ts'
import { asSourceTime } from '../../lib/time.ts'

/**
 * People as they were pushed, found by `externalId`. Costs no call to Okta. Knows only people who are assigned to the SCIM
 * app and groups that are pushed to it, and never hears of a suspension: Okta sends nothing then (okta-api.md#scim-client). Okta's
 * group ids are not pushed either, so rules match these groups by name; a member of a group that is not pushed is none here.
 *
 * The status is read from the store and thus what any process was told last; memberships follow within the change feed's delay.
 */
export function createScimSource(deps: {
  readonly registry: Registry
  readonly store: Store
  readonly clock: Clock
}): DirectorySource {
  const { registry, store, clock } = deps

  /** More than one only when two processes were asked to create the same person at the same instant. */
  async function usersOf(subject: Subject): Promise<readonly ScimUser[]> {
    const found: ScimUser[] = []
    try {
      await registry.ready()
      for await (const [, { value }] of store.list(registry.users.table, subject)) found.push(value)
    } catch (cause) {
      throw new AppError('ERR_DIRECTORY_UNREACHABLE', 'scim: the pushed people and groups cannot be read', { cause })
    }
    return found
  }

  function groupsOf({ id }: ScimUser): readonly Group[] {
    const groups = [...registry.members.groups(id)].map((group) => registry.groups.rows.get(group))
    return groups
      .filter((group) => group !== undefined)
      .map((group) => ({ id: group.id, name: group.displayName, type: 'OKTA_GROUP' }))
  }

  return {
    name: 'scim',
    async lookup(user, signal) {
      if (signal.aborted) throw new AppError('ERR_DIRECTORY_UNREACHABLE', 'scim: the reading was given up')
      if (user === '') return undefined
      const asOf = asSourceTime(clock.now())
      const found = await usersOf(user)
      if (found.length === 0) return undefined
      // Somebody who was pushed twice and deactivated once is inactive.
      const active = found.every((person) => person.active)
      return {
        subject: user,
        status: active ? 'active' : 'inactive',
        statusText: active ? 'ACTIVE' : 'INACTIVE',
        groups: active ? found.flatMap(groupsOf) : [],
        asOf,
      }
    },
  }
}
