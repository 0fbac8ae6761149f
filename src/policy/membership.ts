import type { Group, Membership } from '../directory/model.ts'
import { FOREVER } from '../lib/time.ts'
import type { WallTime } from '../types.ts'

/** Okta group ids: `00g` and 17 more characters. */
const GROUP_ID = /^00g[A-Za-z0-9]{17}$/

export function isGroupId(text: string): boolean {
  return GROUP_ID.test(text)
}

/** `Everyone` is any active user; Okta does not need to be asked. */
export const EVERYONE = 'Everyone'
const ANYONE = `name:${EVERYONE}`

/** What a rule's value is looked up as in `Membership.keys`. */
export function groupKey(value: string): string {
  return isGroupId(value) ? `id:${value}` : `name:${value}`
}

/** Keys are strings of one group, not of one person: 20,000 people in 20 groups each share them. */
const keysOf = new WeakMap<Group, readonly string[]>()

function keysOfGroup(group: Group): readonly string[] {
  let keys = keysOf.get(group)
  if (!keys) {
    // An imported APP_GROUP can be called anything by whoever owns the import.
    keys = group.type === 'APP_GROUP' ? [`id:${group.id}`] : [`id:${group.id}`, `name:${group.name}`]
    keysOf.set(group, keys)
  }
  return keys
}

/** Of a program: the groups that its token names, for as long as it lasts. It is no user, so `Everyone` does not hold it. */
export function programMembership(names: readonly string[], source: string): Membership {
  const groups = names.map((name) => ({ id: name, name, type: 'CLAIM' as const }))
  return { groups, freshAt: FOREVER, source, keys: new Set(names.filter((name) => name !== EVERYONE).map(groupKey)) }
}

/** A membership with the keys that rules may match: every id, but names only of groups that cannot carry an arbitrary name. */
export function createMembership(groups: readonly Group[], freshAt: WallTime, source: string): Membership {
  const keys = new Set<string>([ANYONE])
  for (const group of groups) for (const key of keysOfGroup(group)) keys.add(key)
  return { groups, freshAt, source, keys }
}
