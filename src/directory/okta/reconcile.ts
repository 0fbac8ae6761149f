import { AppError, toAppError, faultFields } from '../../errors.ts'
import { pause } from '../../lib/wait.ts'
import { groupKey } from '../../policy/membership.ts'
import { nearest } from '../../policy/nearest.ts'
import type { Clock, Logger, Span, SourceTime, Subject } from '../../types.ts'
import type { Group } from '../model.ts'
import type { LiveDirectory } from '../directory.ts'
import type { Signal } from '../signals.ts'
import { DATE_PRECISION, EVIDENCE_MARGIN, LIST_PAGE, type OktaAnswer } from './answer.ts'
import type { CallOptions, OktaClient } from './client.ts'
import { isOktaGroup, isOktaUser, type OktaGroup, type OktaUser, statusOf, toGroup } from './shapes.ts'
import { asSourceTime, earlier, earliest, isoTime, later, latest, NEVER, sourceTime } from '../../lib/time.ts'

/** Delta filters ask again for what may have been indexed late (docs/directory.md). */
const OVERLAP: Span = 60_000
/** Between two pages of a list that nobody waits for. */
const LEISURE: Span = 20_000
const OKTA_GROUP_ID = /^00g[A-Za-z0-9]{17}$/

/** What the change feed may have missed, found by comparing (docs/directory.md). Repairs have the lowest priority. */
export interface Reconcile {
  /** All groups: what names in policies mean, and which groups are gone. `leisurely`: in no hurry at all. */
  catalogue(leisurely: boolean, signal: AbortSignal): Promise<void>
  /** What changed since the last time, or since `from` (Okta's time): the members of changed groups, and people's statuses. */
  changes(scope: 'policies' | 'all', from: SourceTime, signal: AbortSignal): Promise<void>
  /** The members of every group that policies name. */
  members(signal: AbortSignal): Promise<void>
  /** One group as it is now: renamed, or gone. */
  group(id: string, signal: AbortSignal): Promise<void>
  /** Records that could not be read and were left out. */
  skipped(): number
}

interface Listed {
  readonly group: Group
  readonly membersAt: string
  readonly updatedAt: SourceTime | undefined
}

/** `wanted`: ids and names of groups as policies write them. */
export function createReconcile(deps: {
  readonly client: OktaClient
  readonly directory: Pick<LiveDirectory, 'absorb' | 'known'>
  readonly clock: Clock
  readonly logger: Logger
  readonly wanted: () => readonly string[]
}): Reconcile {
  const { client, directory, clock, logger, wanted } = deps
  let listed: ReadonlyMap<string, Listed> = new Map()
  /** `lastMembershipUpdated` of groups whose members have been read. */
  const readAt = new Map<string, string>()
  const said = new Set<string>()
  /** Newest dates seen; Okta's clock. */
  let groupsSeen: SourceTime | undefined
  let usersSeen: SourceTime | undefined
  let skipped = 0

  function recordsOf<T>({ body }: OktaAnswer, path: string, is: (value: unknown) => value is T): readonly T[] {
    if (!Array.isArray(body)) throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} is not a list`)
    const readable = body.filter(is)
    if (readable.length < body.length) {
      skipped += body.length - readable.length
      logger.warn(
        { path, unreadable: body.length - readable.length },
        'okta: records that cannot be read were left out',
      )
    }
    return readable
  }

  /** The ids that policies mean; what they name and Okta does not have is said once. */
  function wantedIds(): ReadonlySet<string> {
    const ids = new Set<string>()
    for (const value of wanted()) {
      const matching = [...listed.values()].filter(({ group }) => means(value, group))
      for (const { group } of matching) ids.add(group.id)
      if (matching.length === 1 || listed.size === 0 || said.has(value)) continue
      said.add(value)
      if (matching.length > 1) {
        const found = matching.map(({ group }) => group.id)
        logger.warn(
          { group: value, ids: found },
          'okta: several groups have the name that a policy asks for: each of them counts',
        )
      } else {
        const suggestion = nearestName(
          value,
          [...listed.values()].map(({ group }) => group),
        )
        logger.warn(
          { group: value, ...(suggestion && { suggestion }) },
          'okta: no group is what a policy asks for: no person is in it',
        )
      }
    }
    return ids
  }

  /** Reads the members and tells the directory who is in and who is not. A group that is gone has none. */
  async function readMembers({ group, membersAt }: Listed, options: CallOptions): Promise<void> {
    // All people, at a page for each 200 of them; rules take `Everyone` for granted.
    if (group.type === 'BUILT_IN') return
    const path = `/api/v1/groups/${group.id}/users`
    const members = new Set<Subject>()
    let at: SourceTime | undefined
    let upTo: SourceTime = NEVER
    for await (const page of client.pages(path, { limit: LIST_PAGE }, options)) {
      const date = page.date ?? asSourceTime(clock.now())
      at ??= earlier(date, EVIDENCE_MARGIN)
      upTo = later(date, DATE_PRECISION)
      for (const user of membersOf(page, path)) members.add(user)
    }
    if (at === undefined) return readGroup(group.id, options.signal)
    await directory.absorb([{ kind: 'members', group, members, at, upTo }], 'log')
    readAt.set(group.id, membersAt)
  }

  /** Whoever cannot be read is left as they are: the whole list is, because it would say that they are gone. */
  function membersOf(page: OktaAnswer, path: string): readonly Subject[] {
    const before = skipped
    const users = recordsOf(page, path, isOktaUser)
    if (skipped > before)
      throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} holds members that cannot be read`)
    return users.map(({ id }) => id)
  }

  /** One group whose list cannot be used, too long a one for example, must not cost all others. */
  async function tryMembers(each: Listed, options: CallOptions): Promise<void> {
    try {
      await readMembers(each, options)
    } catch (error) {
      if (toAppError(error).code !== 'ERR_DIRECTORY_BAD_ANSWER') throw error
      logger.warn({ group_id: each.group.id, ...faultFields(error) }, 'okta: the members of a group cannot be compared')
      readAt.set(each.group.id, each.membersAt)
    }
  }

  async function readGroup(id: string, signal: AbortSignal): Promise<void> {
    const path = `/api/v1/groups/${id}`
    const answer = await client.get(path, {}, { signal, priority: 'confirm' })
    const at = earlier(answer?.date ?? asSourceTime(clock.now()), EVIDENCE_MARGIN)
    if (!answer) return directory.absorb([{ kind: 'group-deleted', group: id, at }], 'log')
    if (!isOktaGroup(answer.body) || answer.body.id !== id) {
      throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${path} is not the group`)
    }
    await directory.absorb([{ kind: 'group', group: toGroup(answer.body), at }], 'log')
  }

  function list(group: OktaGroup): Listed {
    return { group: toGroup(group), membersAt: group.lastMembershipUpdated ?? '', updatedAt: parse(group.lastUpdated) }
  }

  async function changedGroups(from: SourceTime, options: CallOptions): Promise<readonly Listed[]> {
    const since = quote(earlier(groupsSeen ?? from, OVERLAP))
    const query = { filter: `lastUpdated gt ${since} or lastMembershipUpdated gt ${since}`, limit: LIST_PAGE }
    const changed: Listed[] = []
    for await (const page of client.pages('/api/v1/groups', query, options)) {
      for (const record of recordsOf(page, '/api/v1/groups', isOktaGroup)) {
        groupsSeen = newestOf(page, groupsSeen, record.lastUpdated, record.lastMembershipUpdated)
        changed.push(list(record))
      }
    }
    listed = new Map([...listed, ...changed.map((each) => [each.group.id, each] as const)])
    return changed
  }

  async function changedStatuses(from: SourceTime, options: CallOptions): Promise<void> {
    const query = { filter: `lastUpdated gt ${quote(earlier(usersSeen ?? from, OVERLAP))}`, limit: LIST_PAGE }
    const known = new Map([...directory.known()].map(([user, { status, asOf }]) => [user, { status, asOf }]))
    for await (const page of client.pages('/api/v1/users', query, options)) {
      const signals: Signal[] = []
      for (const record of recordsOf(page, '/api/v1/users', isOktaUser)) {
        usersSeen = newestOf(page, usersSeen, record.lastUpdated, record.statusChanged)
        const person = known.get(record.id)
        if (person && person.status !== statusOf(record.status))
          signals.push(statusSignal(record, person.asOf, page.date))
      }
      await directory.absorb(signals, 'log')
    }
  }

  /** What the list says happened after our reading counts; anything else needs another reading. */
  function statusSignal(user: OktaUser, asOf: SourceTime | undefined, date = asSourceTime(clock.now())): Signal {
    const changed = parse(user.statusChanged) ?? parse(user.lastUpdated)
    const out = statusOf(user.status) === 'inactive' && changed !== undefined && asOf !== undefined && changed > asOf
    return out
      ? { kind: 'inactive', user: user.id, statusText: user.status, at: earliest(changed, date) }
      : { kind: 'reread', user: user.id, at: date }
  }

  return {
    async catalogue(leisurely, signal) {
      const startedAt = clock.now()
      const found = new Map<string, Listed>()
      for await (const page of client.pages(
        '/api/v1/groups',
        { limit: LIST_PAGE },
        { signal, priority: 'reconcile' },
      )) {
        for (const record of recordsOf(page, '/api/v1/groups', isOktaGroup)) found.set(record.id, list(record))
        if (leisurely && page.next !== undefined) await pause(clock, LEISURE, signal)
        if (signal.aborted) return
      }
      const complete = found.size > 0
      listed = found
      wantedIds()
      if (!complete) return
      const gone = new Set<string>()
      const renamed = new Map<string, Signal>()
      for (const [, { groups, readAt: at }] of directory.known()) {
        for (const { id, name } of groups) {
          const now = found.get(id)
          if (at < startedAt && OKTA_GROUP_ID.test(id) && !now) gone.add(id)
          if (now && now.group.name !== name)
            renamed.set(id, { kind: 'group', group: now.group, at: now.updatedAt ?? asSourceTime(at) })
        }
      }
      await directory.absorb([...renamed.values()], 'log')
      for (const id of gone) await readGroup(id, signal)
    },

    async changes(scope, from, signal) {
      // Without the log this is the feed, and no repair that could wait.
      const options = { signal, priority: scope === 'all' ? 'background' : 'reconcile' } as const
      const changed = await changedGroups(from, options)
      const ids = wantedIds()
      for (const each of changed) {
        if (scope === 'policies' && !ids.has(each.group.id)) continue
        if (readAt.get(each.group.id) === each.membersAt && each.membersAt !== '') continue
        await tryMembers(each, options)
      }
      const renamed = changed.map(({ group, updatedAt }): Signal => ({ kind: 'group', group, at: updatedAt ?? from }))
      await directory.absorb(renamed, 'log')
      await changedStatuses(from, options)
    },

    async members(signal) {
      const ids = wantedIds()
      for (const id of ids) {
        const each = listed.get(id)
        if (each) await tryMembers(each, { signal, priority: 'reconcile' })
      }
    },

    group: readGroup,
    skipped: () => skipped,
  }
}

/** Is the group what a policy calls `value`? Imported groups are meant by id only. */
export function means(value: string, { id, name, type }: Group): boolean {
  return groupKey(value) === `id:${id}` || (type !== 'APP_GROUP' && groupKey(value) === `name:${name}`)
}

/** What a policy may have meant by `value`, which is no group: a name that it could have written. */
export function nearestName(value: string, groups: readonly Group[]): string | undefined {
  const names = groups.filter(({ type }) => type !== 'APP_GROUP').map(({ name }) => name)
  return nearest(value, names)
}

function quote(at: SourceTime): string {
  return `"${isoTime(at)}"`
}

function parse(date: string | null | undefined): SourceTime | undefined {
  const at = date ? Date.parse(date) : Number.NaN
  // Before 1970, or no date.
  return at >= 0 ? sourceTime(at) : undefined
}

/** A date from the future would hide every change until then; it counts as the date of the answer. */
function newestOf(
  { date }: OktaAnswer,
  known: SourceTime | undefined,
  ...dates: readonly (string | null | undefined)[]
): SourceTime | undefined {
  const all = [known, ...dates.map(parse)].filter((at) => at !== undefined)
  const newest = all.length > 0 ? all.reduce(latest) : undefined
  return newest !== undefined && date !== undefined ? earliest(newest, date) : newest
}
