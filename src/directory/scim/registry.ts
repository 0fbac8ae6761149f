import { createFaultLog } from '../../lib/fault-tally.ts'
import { AppError } from '../../errors.ts'
import { randomId, sha256 } from '../../lib/crypto.ts'
import { personKey } from '../../lib/person.ts'
import { epochMillis } from '../../lib/time.ts'
import { inPieces, yieldToEventLoop } from '../../lib/wait.ts'
import type { Clock, Logger, Store, Subject, Table, Unsubscribe, Versioned } from '../../types.ts'
import { createAnnouncer } from './announcer.ts'
import { createGroupsTable, type ScimGroup } from './group.ts'
import {
  createMemberships,
  createMembersTable,
  MAX_MEMBERS,
  MEMBERS_PER_TURN,
  type Member,
  type MemberChange,
  memberKey,
  memberOf,
  type Memberships,
  tooMany,
} from './members.ts'
import { caseless, isRefusal, type Refusal, type Resource } from './message.ts'
import { moveOlderRecords } from './older.ts'
import { createMemberRecords, ROWS_PER_TURN } from './member-records.ts'
import { createRows, type Rows } from './rows.ts'
import { createUsersTable, type ScimUser } from './user.ts'

/** One kind of resource: where it is kept, how it is found, and whom a change of it concerns. */
export interface Collection<T extends Resource, Index extends string = string> {
  readonly table: Table<T>
  readonly rows: Rows<T, Index>
  readonly announce: (before: T | undefined, after: T | undefined) => void
}

/** What is decided about a resource; asked again when somebody else was first. */
export type Decide<T> = (current: T | undefined) => T | Refusal

/**
 * The pushed people and groups of one issuer. The store is the truth: a change reads, decides and writes there, and repeats
 * when another process was first. Memory is the copy in which they are found by name and by member; it follows the
 * store's change feed.
 */
export interface Registry {
  readonly users: Collection<ScimUser, 'userName' | 'externalId'>
  readonly groups: Collection<ScimGroup, 'displayName' | 'externalId'>
  readonly members: Pick<Memberships, 'users' | 'groups'>
  /** Resolves when the store has been read; rejects with ERR_STORE_…, and the next call tries again. */
  ready(): Promise<void>
  /** From the store where memory does not have it (yet). */
  get<T extends Resource>(collection: Collection<T>, id: string): Promise<T | undefined>
  /** What `decide` leaves as it was is not written. */
  change<T extends Resource>(collection: Collection<T>, id: string, decide: Decide<T>): Promise<T | Refusal>
  /** A group and its members. Stopped in the middle it has added nobody who was not asked for, and a repeat completes it. */
  changeGroup(id: string, decide: Decide<ScimGroup>, members: MemberChange): Promise<ScimGroup | Refusal>
  /** false: there was none. */
  remove<T extends Resource>(collection: Collection<T>, id: string): Promise<boolean>
  /** Somebody's status or groups are others than before, by whichever process. */
  onChange(listener: (subject: Subject) => void): Unsubscribe
  close(): Promise<void>
}

const ATTEMPTS = 8

/** The subjects of two issuers never meet, not even in one store. */
export function createScimTables(issuer: string) {
  const tag = sha256(personKey({ issuer, subject: '' })).slice(0, 22)
  return { users: createUsersTable(tag), groups: createGroupsTable(tag), members: createMembersTable(tag) }
}

/** `adoptsOlder`: records of before issuers were told apart become those of this one. */
export function createRegistry(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly issuer: string
  readonly adoptsOlder?: boolean
}): Registry {
  const { store, clock, adoptsOlder = true } = deps
  const tell = createFaultLog(deps)
  const members = createMemberships()
  const tables = createScimTables(deps.issuer)
  const users: Registry['users'] = {
    table: tables.users,
    rows: createRows({
      userName: (user: ScimUser) => [caseless(user.userName)],
      externalId: (user: ScimUser) => (user.externalId === undefined ? [] : [user.externalId]),
    }),
    announce: (before, after) => announcer.announce(concernedByUser(before, after)),
  }
  const groups: Registry['groups'] = {
    table: tables.groups,
    rows: createRows({
      displayName: (group: ScimGroup) => [caseless(group.displayName)],
      externalId: (group: ScimGroup) => (group.externalId === undefined ? [] : [group.externalId]),
    }),
    announce(before, after) {
      // Under another name, or gone: all its members have other groups now.
      if (before?.displayName === after?.displayName) return
      announcer.announceMany(subjectsOf([...members.users((after ?? before)?.id ?? '')]))
    },
  }
  const records = createMemberRecords({ store, members: tables.members, groups: groups.table })
  const announcer = createAnnouncer(tell)
  /** By group: one change of its members after the other. */
  const groupQueues = new Map<string, Promise<unknown>>()
  let last: Promise<unknown> = Promise.resolve()
  let loading: Promise<void> | undefined
  let loadedOnce = false
  /** Keys of memberships that changed while they are being loaded: what the list says of them may be older. */
  let changedMeanwhile: Set<string> | undefined
  let unwatch: Unsubscribe | undefined

  /** One after the other: what is decided on is what is written, and an older copy never replaces a newer one. */
  function inTurn<R>(work: () => Promise<R>): Promise<R> {
    const result = last.then(work)
    // The caller hears of a failure; whoever comes next does not.
    last = result.catch(() => {})
    return result
  }

  /** As `inTurn`, for one group: a push of 100,000 members takes seconds, and a deactivation does not wait for it. */
  async function inGroupOrder<R>(group: string, work: () => Promise<R>): Promise<R> {
    const result = (groupQueues.get(group) ?? Promise.resolve()).then(work)
    const settled = result.catch(() => {})
    groupQueues.set(group, settled)
    try {
      return await result
    } finally {
      if (groupQueues.get(group) === settled) groupQueues.delete(group)
    }
  }

  // ---- memory

  function adopt<T extends Resource>(collection: Collection<T>, id: string, value: T | undefined): void {
    const before = value ? collection.rows.set(value) : collection.rows.delete(id)
    if (loadedOnce) collection.announce(before, value)
  }

  function adoptMember(member: Member, isMember: boolean): void {
    if (members.set(member, isMember) && loadedOnce && groups.rows.get(member.group)) {
      const subject = users.rows.get(member.user)?.externalId
      if (subject !== undefined) announcer.announce([subject])
    }
  }

  function* subjectsOf(ids: Iterable<string>): Iterable<Subject | undefined> {
    for (const id of ids) yield users.rows.get(id)?.externalId
  }

  // ---- the store

  async function load<T extends Resource>(collection: Collection<T>): Promise<void> {
    const gone = new Set(collection.rows.ids())
    let read = 0
    for await (const [id, { value }] of store.list(collection.table)) {
      gone.delete(id)
      adopt(collection, id, value)
      if (++read % ROWS_PER_TURN === 0) await yieldToEventLoop()
    }
    for (const id of gone) adopt(collection, id, undefined)
  }

  async function loadMembers(): Promise<void> {
    const changed = (changedMeanwhile = new Set())
    const gone = new Set<string>()
    for (const group of members.all()) for (const user of members.users(group)) gone.add(memberKey({ group, user }))
    let read = 0
    for await (const [key] of store.list(tables.members)) {
      gone.delete(key)
      if (!changed.has(key)) adoptMember(memberOf(key), true)
      if (++read % ROWS_PER_TURN === 0) await yieldToEventLoop()
    }
    for (const key of gone) if (!changed.has(key)) adoptMember(memberOf(key), false)
    changedMeanwhile = undefined
  }

  function ready(): Promise<void> {
    unwatch ??= store.watch(({ table, key, kind }) => {
      if (table === users.table.name) void inTurn(() => follow(users, key))
      else if (table === groups.table.name) void inTurn(() => follow(groups, key))
      else if (table === tables.members.name) {
        changedMeanwhile?.add(key)
        adoptMember(memberOf(key), kind === 'put')
      }
    }, readAgain)
    return (loading ??= inTurn(async () => {
      if (adoptsOlder)
        await moveOlderRecords({ store, users: users.table, groups: groups.table, members: tables.members })
      await load(users)
      await load(groups)
      await loadMembers()
      loadedOnce = true
      void removeOrphans()
    }).catch((error: unknown) => {
      loading = undefined
      throw error
    }))
  }

  /** Changes were missed. A fault leaves it to the next caller of `ready`. */
  function readAgain(): void {
    loading = undefined
    ready().catch((error: unknown) => tell(error, 'scim: the store could not be read again'))
  }

  /** Never rejects: after a fault the next caller of `ready` reads everything again. */
  async function follow<T extends Resource>(collection: Collection<T>, id: string): Promise<void> {
    if (!loading) return
    try {
      adopt(collection, id, (await store.get(collection.table, id))?.value)
    } catch (error) {
      const corrupt = error instanceof AppError && error.code === 'ERR_STORE_CORRUPT'
      tell(error, 'scim: a change in the store could not be read')
      // As `list` does: a record that cannot be read is left out, and gives nobody anything.
      if (corrupt) adopt(collection, id, undefined)
      else loading = undefined
    }
  }

  // ---- memberships

  /** Gives the version that it has then; undefined: somebody else was first. */
  async function writeGroup(value: ScimGroup, ifVersion: number): Promise<number | undefined> {
    const writer = randomId()
    if (!(await store.put(groups.table, value.id, { ...value, writer }, { ifVersion }))) return undefined
    const written = await store.get(groups.table, value.id)
    return written?.value.writer === writer ? written.version : undefined
  }

  /**
   * Who leaves, then the group, then who comes: at no point is anybody in a group of a name that they were not meant to be
   * in. Everything stands under the version of the group: whoever removes members makes a new version first, and another
   * process that is still adding them stops with a fault. It does not begin again, because the later request wins.
   * undefined: somebody was first before anything was written; begin again.
   */
  async function tryChange(
    id: string,
    decide: Decide<ScimGroup>,
    change: MemberChange,
  ): Promise<ScimGroup | Refusal | undefined> {
    const { replace, named } = change
    const stored = await store.get(groups.table, id)
    const first = decide(stored?.value)
    if (isRefusal(first)) return first
    let version: number | undefined = stored?.version ?? 0
    const stopsOthers = stored?.value.adding === true && change.mayRemove
    if (stopsOthers) version = await writeGroup(stored.value, version)
    if (version === undefined) return undefined

    const before = await records.present(id, change)
    const leaving: string[] = []
    for await (const users of inPieces(before, MEMBERS_PER_TURN)) {
      for (const user of users) if (!(named.get(user) ?? !replace)) leaving.push(user)
    }
    const coming: string[] = []
    for await (const piece of inPieces(named, MEMBERS_PER_TURN)) {
      for (const [user, isMember] of piece) if (isMember && !before.has(user)) coming.push(user)
    }
    const size = (replace ? before.size : members.users(id).size) - leaving.length + coming.length
    if (size > MAX_MEMBERS) return tooMany()
    if (stored && leaving.length > 0 && !stopsOthers) version = await writeGroup(stored.value, version)
    if (version === undefined) return undefined
    if (!(await records.write(id, leaving, false, version))) throw overtaken()

    const isChanged = leaving.length + coming.length > 0
    const written = await inTurn(() => rewriteGroup(id, decide, version, isChanged, coming.length > 0))
    if (!written && (stopsOthers || leaving.length > 0)) throw overtaken()
    if (!written || isRefusal(written)) return written
    if (coming.length === 0) return written.value
    if (!(await records.write(id, coming, true, written.version))) throw overtaken()
    await writeGroup({ ...written.value, adding: undefined }, written.version)
    return written.value
  }

  /** The group itself, with the version that it has then. undefined: begin again. */
  async function rewriteGroup(
    id: string,
    decide: Decide<ScimGroup>,
    version: number,
    isChanged: boolean,
    adding: boolean,
  ): Promise<Versioned<ScimGroup> | Refusal | undefined> {
    const current = await store.get(groups.table, id)
    if ((current?.version ?? 0) !== version) return undefined
    const next = decide(current?.value)
    if (isRefusal(next)) return next
    if (!isChanged && isSame(next, current?.value)) return { value: next, version }
    const value = { ...next, changedAt: epochMillis(clock.now()), adding: adding || undefined }
    const written = await writeGroup(value, version)
    if (written === undefined) return undefined
    adopt(groups, id, value)
    return { value, version: written }
  }

  /** What a crash left of groups that were being removed; without its group nobody is in it. */
  async function removeOrphans(): Promise<void> {
    try {
      const found = [...members.all()]
      for (const group of found) {
        if (groups.rows.get(group) || (await store.get(groups.table, group))) continue
        await records.write(group, [...members.users(group)], false, 0)
      }
    } catch (error) {
      tell(error, 'scim: members of a removed group could not be removed')
    }
  }

  return {
    users,
    groups,
    members,
    ready,

    async get(collection, id) {
      return collection.rows.get(id) ?? (await store.get(collection.table, id))?.value
    },

    change: (collection, id, decide) =>
      inTurn(async () => {
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
          const stored = await store.get(collection.table, id)
          const next = decide(stored?.value)
          if (isRefusal(next) || isSame(next, stored?.value)) return next
          const value = { ...next, changedAt: epochMillis(clock.now()) }
          if (await store.put(collection.table, id, value, { ifVersion: stored?.version ?? 0 })) {
            adopt(collection, id, value)
            return value
          }
        }
        throw tooManyWriters(collection.table)
      }),

    changeGroup: (id, decide, change) =>
      inGroupOrder(id, async () => {
        for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
          const changed = await tryChange(id, decide, change)
          if (changed) return changed
        }
        throw tooManyWriters(groups.table)
      }),

    remove: (collection, id) =>
      inGroupOrder(id, async () => {
        const existed = await inTurn(async () => {
          const found = (collection.rows.get(id) ?? (await store.get(collection.table, id))) !== undefined
          await store.delete(collection.table, id)
          adopt(collection, id, undefined)
          return found
        })
        // Nobody is in a group that is not there; these records are only in the way.
        await records.write(id, [...members.users(id)], false, 0)
        return existed
      }),

    onChange: (listener) => announcer.onChange(listener),

    async close() {
      unwatch?.()
      await Promise.all(groupQueues.values())
      await last
    },
  }
}

function tooManyWriters({ name }: Table<unknown>): AppError {
  return new AppError('ERR_STORE_UNAVAILABLE', `scim: ${name}: too many writers at once`)
}

function overtaken(): AppError {
  return new AppError('ERR_STORE_UNAVAILABLE', 'scim: another process changed the group meanwhile')
}

function concernedByUser(before: ScimUser | undefined, after: ScimUser | undefined): readonly Subject[] {
  if (before?.active === after?.active && before?.externalId === after?.externalId) return []
  return [before?.externalId, after?.externalId].filter((subject) => subject !== undefined)
}

/** Both made by the same function, so their attributes come in the same order. */
function isSame<T>(left: T, right: T | undefined): boolean {
  return right !== undefined && JSON.stringify(left) === JSON.stringify(right)
}
