import { AppError, messageOf } from '../../errors.ts'
import type { Clock, Logger, Store, Subject, Table, Unsubscribe } from '../../types.ts'
import { groupsTable, type ScimGroup } from './group.ts'
import { caseless, isRefusal, type Refusal, type Resource } from './message.ts'
import { createRows, type Rows } from './rows.ts'
import { type ScimUser, usersTable } from './user.ts'

/** One kind of resource: where it is kept, how it is found, and whom a change of it concerns. */
export interface Shelf<T extends Resource, Index extends string = string> {
  readonly table: Table<T>
  readonly rows: Rows<T, Index>
  readonly concerned: (before: T | undefined, after: T | undefined) => Iterable<Subject>
}

/**
 * The pushed people and groups. The store is the truth: a change reads, decides and writes there, and repeats when another
 * process was first. Memory is the copy in which they are found by name and by member; it follows the store's change feed.
 */
export interface Registry {
  readonly users: Shelf<ScimUser, 'userName' | 'externalId'>
  readonly groups: Shelf<ScimGroup, 'displayName' | 'externalId' | 'member'>
  /** Resolves when the store has been read; rejects with ERR_STORE_…, and the next call tries again. */
  ready(): Promise<void>
  /** From the store where memory does not have it (yet). */
  get<T extends Resource>(shelf: Shelf<T>, id: string): Promise<T | undefined>
  /** `decide` is asked again when somebody else was first. What it leaves as it was is not written. */
  change<T extends Resource>(
    shelf: Shelf<T>,
    id: string,
    decide: (current: T | undefined) => T | Refusal,
  ): Promise<T | Refusal>
  /** false: there was none. */
  remove<T extends Resource>(shelf: Shelf<T>, id: string): Promise<boolean>
  /** Somebody's status or groups are others than before, by whichever process. */
  onChange(listener: (subject: Subject) => void): Unsubscribe
  close(): Promise<void>
}

const ATTEMPTS = 8

export function createRegistry(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
}): Registry {
  const { store, clock, logger } = deps
  const users: Registry['users'] = {
    table: usersTable,
    rows: createRows({
      userName: (user: ScimUser) => [caseless(user.userName)],
      externalId: (user: ScimUser) => (user.externalId === undefined ? [] : [user.externalId]),
    }),
    concerned: concernedByUser,
  }
  const groups: Registry['groups'] = {
    table: groupsTable,
    rows: createRows({
      displayName: (group: ScimGroup) => [caseless(group.displayName)],
      externalId: (group: ScimGroup) => (group.externalId === undefined ? [] : [group.externalId]),
      member: (group: ScimGroup) => group.members,
    }),
    concerned: (before, after) => subjectsOf(concernedByGroup(before, after)),
  }
  const listeners = new Set<(subject: Subject) => void>()
  let last: Promise<unknown> = Promise.resolve()
  let loading: Promise<void> | undefined
  let loadedOnce = false
  let unwatch: Unsubscribe | undefined

  /** One after the other: what is decided on is what is written, and an older copy never replaces a newer one. */
  function inTurn<R>(work: () => Promise<R>): Promise<R> {
    const turn = last.then(work)
    // The caller hears of a failure; whoever comes next does not.
    last = turn.catch(() => {})
    return turn
  }

  // ---- memory

  function adopt<T extends Resource>(shelf: Shelf<T>, id: string, value: T | undefined): void {
    const before = value ? shelf.rows.set(value) : shelf.rows.delete(id)
    if (!loadedOnce) return
    for (const subject of new Set(shelf.concerned(before, value))) announce(subject)
  }

  function announce(subject: Subject): void {
    for (const listener of listeners) {
      try {
        listener(subject)
      } catch (error) {
        logger.error({ user_id: subject, error: messageOf(error) }, 'scim: a listener to changes failed')
      }
    }
  }

  function* subjectsOf(ids: Iterable<string>): Iterable<Subject> {
    for (const id of ids) {
      const subject = users.rows.get(id)?.externalId
      if (subject !== undefined) yield subject
    }
  }

  // ---- the store

  async function load<T extends Resource>(shelf: Shelf<T>): Promise<void> {
    const gone = new Set(shelf.rows.ids())
    for await (const [id, { value }] of store.list(shelf.table)) {
      gone.delete(id)
      adopt(shelf, id, value)
    }
    for (const id of gone) adopt(shelf, id, undefined)
  }

  function ready(): Promise<void> {
    unwatch ??= store.watch(({ table, key }) => {
      if (table === users.table.name) void inTurn(() => follow(users, key))
      else if (table === groups.table.name) void inTurn(() => follow(groups, key))
    })
    return (loading ??= inTurn(async () => {
      await load(users)
      await load(groups)
      loadedOnce = true
    }).catch((error: unknown) => {
      loading = undefined
      throw error
    }))
  }

  /** Never rejects: after a fault the next caller of `ready` reads everything again. */
  async function follow<T extends Resource>(shelf: Shelf<T>, id: string): Promise<void> {
    if (!loading) return
    try {
      adopt(shelf, id, (await store.get(shelf.table, id))?.value)
    } catch (error) {
      const corrupt = error instanceof AppError && error.code === 'ERR_STORE_CORRUPT'
      logger.error({ error: messageOf(error) }, 'scim: a change in the store could not be read')
      // As `list` does: a record that cannot be read is left out, and gives nobody anything.
      if (corrupt) adopt(shelf, id, undefined)
      else loading = undefined
    }
  }

  return {
    users,
    groups,
    ready,

    async get(shelf, id) {
      return shelf.rows.get(id) ?? (await store.get(shelf.table, id))?.value
    },

    change: (shelf, id, decide) =>
      inTurn(async () => {
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
          const stored = await store.get(shelf.table, id)
          const next = decide(stored?.value)
          if (isRefusal(next) || isSame(next, stored?.value)) return next
          const value = { ...next, changedAt: clock.now() }
          if (await store.put(shelf.table, id, value, { ifVersion: stored?.version ?? 0 })) {
            adopt(shelf, id, value)
            return value
          }
        }
        throw new AppError('ERR_STORE_UNAVAILABLE', `scim: ${shelf.table.name}: too many writers at once`)
      }),

    remove: (shelf, id) =>
      inTurn(async () => {
        const existed = (shelf.rows.get(id) ?? (await store.get(shelf.table, id))) !== undefined
        await store.delete(shelf.table, id)
        adopt(shelf, id, undefined)
        return existed
      }),

    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },

    async close() {
      unwatch?.()
      await last
    },
  }
}

function concernedByUser(before: ScimUser | undefined, after: ScimUser | undefined): readonly Subject[] {
  if (before?.active === after?.active && before?.externalId === after?.externalId) return []
  return [before?.externalId, after?.externalId].filter((subject) => subject !== undefined)
}

/** Ids of users: everybody in it when it is called otherwise now, else those who came or went. */
function concernedByGroup(before: ScimGroup | undefined, after: ScimGroup | undefined): Iterable<string> {
  const old = new Set(before?.members)
  if (before?.displayName !== after?.displayName) return [...old, ...(after?.members ?? [])]
  const came = (after?.members ?? []).filter((id) => !old.delete(id))
  return [...came, ...old]
}

/** Both made by the same function, so their attributes come in the same order. */
function isSame<T>(left: T, right: T | undefined): boolean {
  return right !== undefined && JSON.stringify(left) === JSON.stringify(right)
}
