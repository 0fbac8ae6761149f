import type { Json, JsonObject, Table } from '../../types.ts'
import { inPieces } from '../../lib/wait.ts'
import { isObject } from './body.ts'
import { badRequest, type Refusal } from './message.ts'
import type { Operation } from './patch.ts'

/** A group of everybody in an org of 100,000. */
export const MAX_MEMBERS = 100_000
const MAX_ID = 100
/** Members that are looked at before others have their turn: well under 1 ms. */
export const MEMBERS_PER_TURN = 5000

/**
 * One membership is one record, so that a push of one costs one. The user need not exist: ids are ours, random and never
 * given twice, so an id that no user has is nobody, now and later, and a push in which one is unknown still removes others.
 */
export interface Member {
  readonly group: string
  readonly user: string
}

/** A group id has no space. */
export function memberKey({ group, user }: Member): string {
  return `${group} ${user}`
}

export function memberOf(key: string): Member {
  const end = key.indexOf(' ')
  return { group: key.slice(0, end), user: key.slice(end + 1) }
}

/** `tag` names the issuer; the index is the group. */
export function createMembersTable(tag: string): Table<Member> {
  return {
    name: `scim-members-${tag}`,
    parse(value) {
      const { group, user } = (value ?? {}) as Partial<Member>
      return typeof group === 'string' && typeof user === 'string' ? { group, user } : undefined
    },
    index: ({ group }) => group,
  }
}

/** What a request says about the members of a group; about nobody, when nothing is named and nothing replaced. */
export interface MemberChange {
  /** Whoever is not named leaves. */
  readonly replace: boolean
  /** Whether they are in it afterwards. */
  readonly named: ReadonlyMap<string, boolean>
  readonly mayRemove: boolean
}

/**
 * PUT and POST: the body is the whole group. Members that it leaves out are removed, all of them when it names none at all:
 * serialisers drop empty lists, and a group that keeps its members by mistake keeps their access.
 */
export async function membersOfBody(body: JsonObject): Promise<MemberChange | Refusal> {
  const named = new Map<string, boolean>()
  const given = body['members'] ?? []
  if (!Array.isArray(given)) return badRequest('invalidValue', 'members must be array')
  const refusal = await readIds(given as readonly Json[], (id) => named.set(id, true))
  return refusal ?? { replace: true, named, mayRemove: true }
}

/** PATCH: the operations in their order. */
export async function membersOfOperations(operations: readonly Operation[]): Promise<MemberChange | Refusal> {
  let replace = false
  let mayRemove = false
  const named = new Map<string, boolean>()
  for (const { op, target, value } of operations) {
    if (target.kind === 'member') {
      if (op === 'remove') named.set(target.value, false)
      mayRemove = true
      continue
    }
    if (target.name !== 'members') continue
    const none = value === undefined || value === null
    if (none && op === 'add') return badRequest('invalidValue', 'members must be a list')
    // The RFC knows `remove members` without a value, which is all of them; a value names those that are meant (Entra).
    if (op === 'remove' && Array.isArray(value) && value.length === 0) {
      return badRequest('invalidValue', 'remove members with an empty list could mean all of them or none')
    }
    if (op === 'replace' || (op === 'remove' && none)) {
      replace = true
      named.clear()
    }
    if (op !== 'add') mayRemove = true
    const items: readonly Json[] = Array.isArray(value) ? value : [value ?? null]
    const refusal = await readIds(none ? [] : items, (id) => named.set(id, op !== 'remove'))
    if (refusal) return refusal
  }
  return { replace, named, mayRemove }
}

/** undefined: all were taken. */
async function readIds(items: readonly Json[], take: (id: string) => void): Promise<Refusal | undefined> {
  if (items.length > MAX_MEMBERS) {
    return badRequest('invalidValue', `members must NOT have more than ${MAX_MEMBERS} items`)
  }
  let at = 0
  for await (const piece of inPieces(items, MEMBERS_PER_TURN)) {
    for (const item of piece) {
      const id = isObject(item) ? item['value'] : undefined
      if (typeof id !== 'string') return badRequest('invalidValue', `members/${at}/value must be string`)
      if (id === '' || id.length > MAX_ID) {
        return badRequest('invalidValue', `members/${at}/value must have 1 to ${MAX_ID} characters`)
      }
      take(id)
      at++
    }
  }
  return undefined
}

export function tooMany(): Refusal {
  return badRequest('tooMany', `a group has at most ${MAX_MEMBERS} members`)
}

/** Who is in which group, in memory, found both ways. */
export interface Memberships {
  users(group: string): ReadonlySet<string>
  groups(user: string): ReadonlySet<string>
  /** All groups that have members. */
  all(): Iterable<string>
  /** true: that is news. */
  set(member: Member, isMember: boolean): boolean
}

const NOBODY: ReadonlySet<string> = new Set()

export function createMemberships(): Memberships {
  const users = new Map<string, Set<string>>()
  const groups = new Map<string, Set<string>>()

  function change(sets: Map<string, Set<string>>, key: string, id: string, isIn: boolean): boolean {
    const set = sets.get(key)
    if (!isIn) {
      const had = set?.delete(id) ?? false
      if (set?.size === 0) sets.delete(key)
      return had
    }
    if (!set) sets.set(key, new Set([id]))
    else if (set.has(id)) return false
    else set.add(id)
    return true
  }

  return {
    users: (group) => users.get(group) ?? NOBODY,
    groups: (user) => groups.get(user) ?? NOBODY,
    all: () => users.keys(),
    set({ group, user }, isMember) {
      change(groups, user, group, isMember)
      return change(users, group, user, isMember)
    },
  }
}
