import { idsAfter, insertId, removeId, type SortedIds } from './sorted-ids.ts'

/** Who is in which group, by id, readable from both sides in id order. `Everyone` is not kept here. */
export interface Memberships {
  /** false: was a member already. */
  add(groupId: string, personId: string): boolean
  /** false: was none. */
  remove(groupId: string, personId: string): boolean
  groupsOf(personId: string): readonly string[]
  membersOf(groupId: string, after?: string, limit?: number): readonly string[]
  count(groupId: string): number
  dropPerson(personId: string): void
  dropGroup(groupId: string): void
}

export function createMemberships(): Memberships {
  const members = new Map<string, SortedIds>()
  const groups = new Map<string, SortedIds>()
  const listOf = (lists: Map<string, SortedIds>, key: string): SortedIds => {
    const existing = lists.get(key)
    if (existing) return existing
    const created: SortedIds = []
    lists.set(key, created)
    return created
  }
  /** Takes `key` out of one side and out of every list of the other that names it. */
  function drop(key: string, side: Map<string, SortedIds>, other: Map<string, SortedIds>): void {
    for (const id of side.get(key) ?? []) removeId(listOf(other, id), key)
    side.delete(key)
  }
  return {
    add(groupId, personId) {
      // The person's list is the short one.
      return insertId(listOf(groups, personId), groupId) && insertId(listOf(members, groupId), personId)
    },
    remove(groupId, personId) {
      const theirs = groups.get(personId)
      return theirs !== undefined && removeId(theirs, groupId) && removeId(listOf(members, groupId), personId)
    },
    groupsOf: (personId) => groups.get(personId) ?? [],
    membersOf: (groupId, after, limit) => idsAfter(members.get(groupId) ?? [], after, limit),
    count: (groupId) => members.get(groupId)?.length ?? 0,
    dropPerson: (personId) => drop(personId, groups, members),
    dropGroup: (groupId) => drop(groupId, members, groups),
  }
}
