import type { Group, Membership, Millis } from '../types.ts'

/** Okta group ids: `00g` and 17 more characters. */
const GROUP_ID = /^00g[A-Za-z0-9]{17}$/

/** `Everyone` is any active user; Okta does not need to be asked. */
export const EVERYONE = 'Everyone'

/** What a rule's value is looked up as in `Membership.keys`. */
export function groupKey(value: string): string {
  return GROUP_ID.test(value) ? `id:${value}` : `name:${value}`
}

/**
 * A membership with the keys that rules may match: every id, but names only of groups that cannot
 * carry an arbitrary name (an imported APP_GROUP can be called anything by whoever owns the import).
 */
export function createMembership(groups: readonly Group[], asOf: Millis, source: string): Membership {
  const keys = new Set<string>([`name:${EVERYONE}`])
  for (const group of groups) {
    keys.add(`id:${group.id}`)
    if (group.type !== 'APP_GROUP') keys.add(`name:${group.name}`)
  }
  return { groups, asOf, source, keys }
}
