import { AppError } from '../../errors.ts'
import { inPieces, yieldToEventLoop } from '../../lib/wait.ts'
import type { Store, Table } from '../../types.ts'
import type { ScimGroup } from './group.ts'
import { type Member, type MemberChange, memberKey, memberOf } from './members.ts'

/** Memberships that are written, or read, before others have their turn: 2 to 4 ms. */
export const ROWS_PER_TURN = 100

/** Memberships in the store, a piece a turn. */
export function createMemberRecords(deps: {
  readonly store: Store
  readonly members: Table<Member>
  readonly groups: Table<ScimGroup>
}) {
  const { store, members: membersTable, groups } = deps

  /** false: the group has another version now, and what has been written so far stays. */
  async function write(group: string, ids: Iterable<string>, isMember: boolean, version: number): Promise<boolean> {
    for await (const users of inPieces(ids, ROWS_PER_TURN)) {
      const values = new Map<string, Member | undefined>()
      for (const user of users) values.set(memberKey({ group, user }), isMember ? { group, user } : undefined)
      if (!(await store.write(membersTable, values, { table: groups, key: group, version }))) return false
    }
    return true
  }

  /** Who of those that a change is about is in the group: by the store, because memory may be late. */
  async function present(group: string, { replace, named }: MemberChange): Promise<ReadonlySet<string>> {
    const found = new Set<string>()
    let read = 0
    if (replace) {
      for await (const [key] of store.list(membersTable, group)) {
        found.add(memberOf(key).user)
        if (++read % ROWS_PER_TURN === 0) await yieldToEventLoop()
      }
      return found
    }
    for (const [user, isMember] of named) {
      // A record that cannot be read is in the way of whoever leaves, and is written again for whoever comes.
      const row = await store.get(membersTable, memberKey({ group, user })).catch((error: unknown) => {
        if (error instanceof AppError && error.code === 'ERR_STORE_CORRUPT') return isMember ? undefined : 'corrupt'
        throw error
      })
      if (row) found.add(user)
      if (++read % ROWS_PER_TURN === 0) await yieldToEventLoop()
    }
    return found
  }

  return { write, present }
}
