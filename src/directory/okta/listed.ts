import { EVERYONE, groupKey } from '../../policy/membership.ts'
import { nearest } from '../../policy/nearest.ts'
import type { SourceTime } from '../../types.ts'
import type { Group } from '../model.ts'

/** A group as a list named it. */
export interface Listed {
  readonly group: Group
  /** Moves with every change of members; empty where Okta does not say. */
  readonly membersAt: string
  readonly updatedAt: SourceTime | undefined
}

/** All groups of an org, and what policies call them: a look-up, however many there are. */
export interface ListedGroups {
  readonly all: ReadonlyMap<string, Listed>
  add(listed: Listed): void
  drop(id: string): void
  /** Ids of those that a policy means by this; undefined: nobody needs to be asked for it. */
  meantBy(value: string): readonly string[] | undefined
}

export function createListedGroups(): ListedGroups {
  const all = new Map<string, Listed>()
  const ids = new Map<string, Set<string>>()

  function drop(id: string): void {
    const before = all.get(id)
    if (!before) return
    all.delete(id)
    for (const key of keysOf(before.group)) {
      const left = ids.get(key)
      left?.delete(id)
      if (left?.size === 0) ids.delete(key)
    }
  }

  return {
    all,
    drop,
    add(listed) {
      const { id } = listed.group
      drop(id)
      all.set(id, listed)
      for (const key of keysOf(listed.group)) ids.set(key, (ids.get(key) ?? new Set()).add(id))
    },
    meantBy: (value) => (value === EVERYONE ? undefined : [...(ids.get(groupKey(value)) ?? [])]),
  }
}

/** Is the group what a policy calls `value`? */
export function means(value: string, group: Group): boolean {
  return keysOf(group).includes(groupKey(value))
}

/** What a policy may have meant by `value`, which is no group: a name that it could have written. */
export function nearestName(value: string, groups: readonly Group[]): string | undefined {
  const names = groups.filter(({ type }) => type !== 'APP_GROUP').map(({ name }) => name)
  return nearest(value, names)
}

/** Imported groups are meant by id only. */
function keysOf({ id, name, type }: Group): readonly string[] {
  return type === 'APP_GROUP' ? [`id:${id}`] : [`id:${id}`, `name:${name}`]
}
