import { AppError, toAppError, faultFields } from '../../errors.ts'
import type { Clock, Logger, Span, SourceTime, Subject, WallTime } from '../../types.ts'
import type { Known } from '../evidence.ts'
import type { LiveDirectory } from '../directory.ts'
import type { Signal } from '../signals.ts'
import { DATE_PRECISION, EVIDENCE_MARGIN, LIST_PAGE, type OktaAnswer } from './answer.ts'
import type { CallOptions, OktaClient } from './client.ts'
import { createListedGroups, type Listed, nearestName } from './listed.ts'
import { isOktaGroup, isOktaUser, type OktaGroup, type OktaUser, statusOf, toGroup } from './shapes.ts'
import { asSourceTime, earlier, earliest, isoTime, later, latest, NEVER, sourceTime } from '../../lib/time.ts'

/** Delta filters ask again for what may have been indexed late (docs/directory.md). */
const OVERLAP: Span = 60_000
/** Of a list of the org, or of the members that nothing else tells of: a million records. */
const MOST_PAGES = 5000
const OKTA_GROUP_ID = /^00g[A-Za-z0-9]{17}$/

/** What the change feed may have missed, found by comparing (docs/directory.md). Repairs have the lowest priority. */
export interface Reconcile {
  /** All groups: what names in policies mean, and which groups are gone. `goOn`: asked before each further page. */
  catalogue(signal: AbortSignal, goOn?: () => Promise<boolean>): Promise<void>
  /** What changed since the last time, or since `from` (our clock): the members of changed groups, and people's statuses. */
  changes(scope: 'policies' | 'all', from: WallTime, signal: AbortSignal): Promise<void>
  /** The members of every group that policies name. */
  members(signal: AbortSignal): Promise<void>
  /** One group as it is now: renamed, or gone. */
  group(id: string, signal: AbortSignal): Promise<void>
  /** Records that could not be read and were left out. */
  skipped(): number
}

interface Changed {
  readonly groups: readonly Listed[]
  /** Okta's time up to which these are all. */
  readonly seen: SourceTime
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
  const listed = createListedGroups()
  /** `lastMembershipUpdated` of groups whose members have been read. */
  const readAt = new Map<string, string>()
  /** Groups of more members than one of many repairs may read; looked at again with the next list of all. */
  const tooLong = new Set<string>()
  /** Groups whose members could not be read the last time: they wait for all others. */
  const failed = new Set<string>()
  const said = new Set<string>()
  /** Newest dates seen of what has been worked on; Okta's clock. */
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
      const found = listed.meantBy(value)
      for (const id of found ?? []) ids.add(id)
      if (!found || found.length === 1 || listed.all.size === 0 || said.has(value)) continue
      said.add(value)
      if (found.length > 1) {
        logger.warn(
          { group: value, ids: found },
          'okta: several groups have the name that a policy asks for: each of them counts',
        )
      } else {
        const suggestion = nearestName(
          value,
          [...listed.all.values()].map(({ group }) => group),
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

  /**
   * One group whose list cannot be used must not cost all others. Where nothing else tells of changes, whoever is in it
   * is read.
   */
  async function tryMembers(each: Listed, scope: 'policies' | 'all', options: CallOptions): Promise<void> {
    const { id } = each.group
    if (scope === 'policies' && tooLong.has(id)) return
    try {
      await readMembers(each, scope === 'all' ? { ...options, mostPages: MOST_PAGES } : options)
      failed.delete(id)
    } catch (error) {
      const fault = toAppError(error)
      if (fault.code !== 'ERR_DIRECTORY_BAD_ANSWER' && fault.code !== 'ERR_DIRECTORY_FORBIDDEN') {
        failed.add(id)
        throw fault
      }
      logger.warn({ group_id: id, ...faultFields(fault) }, 'okta: the members of a group cannot be compared')
      if (fault.details['pages'] !== undefined) tooLong.add(id)
      readAt.set(id, each.membersAt)
      if (scope === 'all') await directory.absorb(rereadHolders(id), 'log')
    }
  }

  function rereadHolders(group: string): readonly Signal[] {
    const at = atOkta(clock.now())
    const holders = [...directory.known()].filter(([, { groups }]) => groups.some(({ id }) => id === group))
    return holders.map(([user]) => ({ kind: 'reread', user, at }))
  }

  const inOrder = (groups: Iterable<Listed>): readonly Listed[] =>
    [...groups].toSorted((left, right) => Number(failed.has(left.group.id)) - Number(failed.has(right.group.id)))

  /** Never later than it is there. */
  function atOkta(ours: WallTime): SourceTime {
    return earlier(asSourceTime(ours), Math.max(0, client.lead()))
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

  /** A name from the future would outlast every later one. */
  function list(group: OktaGroup, { date = asSourceTime(clock.now()) }: OktaAnswer): Listed {
    const updatedAt = parse(group.lastUpdated)
    return {
      group: toGroup(group),
      membersAt: group.lastMembershipUpdated ?? '',
      updatedAt: updatedAt && earliest(updatedAt, date),
    }
  }

  async function changedGroups(since: SourceTime, options: CallOptions): Promise<Changed> {
    const after = quote(earlier(since, OVERLAP))
    const query = { filter: `lastUpdated gt ${after} or lastMembershipUpdated gt ${after}`, limit: LIST_PAGE }
    const groups: Listed[] = []
    let seen = since
    for await (const page of client.pages('/api/v1/groups', query, options)) {
      for (const record of recordsOf(page, '/api/v1/groups', isOktaGroup)) {
        seen = newestOf(page, seen, record.lastUpdated, record.lastMembershipUpdated)
        groups.push(list(record, page))
      }
    }
    for (const each of groups) listed.add(each)
    return { groups, seen }
  }

  /** Up to where people are known now. */
  async function changedStatuses(since: SourceTime, options: CallOptions): Promise<SourceTime> {
    const query = { filter: `lastUpdated gt ${quote(earlier(since, OVERLAP))}`, limit: LIST_PAGE }
    let known: ReadonlyMap<Subject, Pick<Known, 'status' | 'asOf'>> | undefined
    let seen = since
    for await (const page of client.pages('/api/v1/users', query, options)) {
      const signals: Signal[] = []
      for (const record of recordsOf(page, '/api/v1/users', isOktaUser)) {
        seen = newestOf(page, seen, record.lastUpdated, record.statusChanged)
        known ??= new Map(directory.known())
        const person = known.get(record.id)
        if (person && person.status !== statusOf(record.status))
          signals.push(statusSignal(record, person.asOf, page.date))
      }
      await directory.absorb(signals, 'log')
    }
    return seen
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
    async catalogue(signal, goOn) {
      const startedAt = clock.now()
      const before = [...listed.all.keys()]
      const found = new Map<string, Listed>()
      const options = { signal, priority: 'reconcile', mostPages: MOST_PAGES } as const
      for await (const page of client.pages('/api/v1/groups', { limit: LIST_PAGE }, options)) {
        for (const record of recordsOf(page, '/api/v1/groups', isOktaGroup)) {
          const each = list(record, page)
          found.set(record.id, each)
          listed.add(each)
        }
        if (page.next !== undefined && goOn && !(await goOn())) return
        if (signal.aborted) return
      }
      if (found.size === 0) return
      for (const id of before) if (!found.has(id)) listed.drop(id)
      tooLong.clear()
      wantedIds()
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
      const long = { ...options, mostPages: MOST_PAGES }
      // What could not all be worked on is asked for again.
      usersSeen ??= atOkta(from)
      groupsSeen ??= atOkta(from)
      usersSeen = await changedStatuses(usersSeen, long)
      const { groups, seen } = await changedGroups(groupsSeen, long)
      const renamed = groups.map(({ group, updatedAt }): Signal => ({ kind: 'group', group, at: updatedAt ?? seen }))
      await directory.absorb(renamed, 'log')
      const ids = wantedIds()
      for (const each of inOrder(groups)) {
        if (scope === 'policies' && !ids.has(each.group.id)) continue
        if (readAt.get(each.group.id) === each.membersAt && each.membersAt !== '') continue
        await tryMembers(each, scope, options)
      }
      groupsSeen = seen
    },

    async members(signal) {
      const wantedGroups = [...wantedIds()].flatMap((id) => listed.all.get(id) ?? [])
      for (const each of inOrder(wantedGroups)) await tryMembers(each, 'policies', { signal, priority: 'reconcile' })
    },

    group: readGroup,
    skipped: () => skipped,
  }
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
  known: SourceTime,
  ...dates: readonly (string | null | undefined)[]
): SourceTime {
  const newest = dates.map((each) => parse(each) ?? known).reduce(latest, known)
  return date === undefined ? newest : earliest(newest, date)
}
