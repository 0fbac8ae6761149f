import { yieldToEventLoop } from '../../lib/wait.ts'
import type { Store, Table } from '../../types.ts'
import { olderGroupsTable, type ScimGroup } from './group.ts'
import { ROWS_PER_TURN } from './member-records.ts'
import { type Member, memberKey } from './members.ts'
import { olderUsersTable, type ScimUser } from './user.ts'

/**
 * Until 0.1 there was one set of records, of whatever issuer, and a group held its members. They become those of the issuer
 * that is configured when they are first opened: whoever pushed them had its token. Every write stands under the older
 * record, which goes last: a crash in between leaves it to be moved again, and of two processes the slower one writes nothing
 * over what the faster one has finished.
 */
export async function moveOlderRecords(deps: {
  readonly store: Store
  readonly users: Table<ScimUser>
  readonly groups: Table<ScimGroup>
  readonly members: Table<Member>
}): Promise<void> {
  const { store, users, groups, members } = deps
  for await (const [key, { value, version }] of store.list(olderUsersTable)) {
    const isOurs = await store.write(users, new Map([[key, value]]), { table: olderUsersTable, key, version })
    if (isOurs) await store.delete(olderUsersTable, key)
    await yieldToEventLoop()
  }
  for await (const [key, { value, version }] of store.list(olderGroupsTable)) {
    const { members: ids, ...group } = value
    const older = { table: olderGroupsTable, key, version }
    let isOurs = await store.write(groups, new Map([[key, group]]), older)
    for (let from = 0; isOurs && from < ids.length; from += ROWS_PER_TURN) {
      const rows = ids.slice(from, from + ROWS_PER_TURN).map((user) => ({ group: key, user }))
      isOurs = await store.write(members, new Map(rows.map((row) => [memberKey(row), row])), older)
      await yieldToEventLoop()
    }
    if (isOurs) await store.delete(olderGroupsTable, key)
  }
}
