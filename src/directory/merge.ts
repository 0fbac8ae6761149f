/** Which evidence about a person counts (okta.md §3.5). Pure: what is known, and what came in, make what is known next. */
import type { Entry, Group, UserStatus } from './model.ts'
import type { Millis, SourceTime, WallTime } from '../types.ts'
import { elapsed, latest, NEVER, sourceTime } from '../lib/time.ts'

/** What a source said about one person; `entry` undefined: it has no such person. */
export interface Reading {
  readonly entry: Entry | undefined
  /** Our clock when the reading began. Ages are measured with it, whatever the source's clock says. */
  readonly readAt: WallTime
}

export interface Evidence {
  /** The source's time; undefined when it has no such person and so named no time. */
  readonly asOf: SourceTime | undefined
  readonly readAt: WallTime
}

/**
 * Newer than the reading, about one group. `at` and `upTo` are the source's time: the evidence is no older than `at`
 * and may know what happened up to `upTo` (absent: `at`). What is kept of a removal is a tombstone.
 */
export interface Mark {
  readonly group: string
  readonly member: boolean
  readonly at: SourceTime
  readonly upTo?: SourceTime
}

/** What is known about one person: the newest reading, and what has been heard since. */
export interface Known extends Evidence {
  readonly status: UserStatus
  readonly statusText: string
  readonly groups: readonly Group[]
  /** What happened up to here may be in it already; absent: `asOf`. */
  readonly upTo?: SourceTime
  readonly marks?: readonly Mark[]
  /** Marks up to here have been forgotten: what is older and speaks for a membership may have been overtaken. */
  readonly forgottenUpTo?: SourceTime
  /** The source's time of the event that made the person inactive after the reading. */
  readonly statusAt?: SourceTime
}

/** What somebody says about a person between readings. Times are the source's. */
export type PersonNews =
  /** An event. `trusted` false: it may take away, but not give. `group` is an id when its name is not known. */
  | {
      readonly kind: 'member'
      readonly group: Group | string
      readonly member: boolean
      readonly at: SourceTime
      readonly trusted: boolean
    }
  /** A list of a group's members, read between `at` and `upTo`. */
  | {
      readonly kind: 'listed'
      readonly group: Group
      readonly member: boolean
      readonly at: SourceTime
      readonly upTo: SourceTime
    }
  | { readonly kind: 'inactive'; readonly statusText: string; readonly at: SourceTime }
  /** The group is another now: renamed, or of another type. */
  | { readonly kind: 'group'; readonly group: Group; readonly at: SourceTime }
  /** Something that only a reading can tell. */
  | { readonly kind: 'reread'; readonly at: SourceTime }

export interface Merged {
  readonly known: Known
  /** Another status or other groups than before; the first reading of a person counts when it is bad news. */
  readonly changed: boolean
}

export interface Heard extends Merged {
  /** Ask the source again: the news was taken on suspicion, or not taken because it was in doubt. */
  readonly confirm: boolean
}

const NEVER_HEARD: SourceTime = NEVER
/** Of somebody whom the source does not have: later than all evidence. */
const NOT_THERE: SourceTime = sourceTime(Number.POSITIVE_INFINITY)
/** No reading takes longer. */
const LONGEST_READING: Millis = 5 * 60_000
/** How long a tombstone stays at least, in the source's time (okta.md §3.5, rule 6). */
const MARKS_KEPT: Millis = 2 * 3_600_000
const MOST_MARKS = 1000

/** A late reading never overwrites a newer one: undefined, and what is known stays. What was heard after a reading outlives it. */
export function merge(known: Known | undefined, { entry, readAt }: Reading): Merged | undefined {
  const read: Known = entry
    ? {
        status: entry.status,
        statusText: entry.statusText,
        groups: entry.groups,
        asOf: entry.asOf,
        readAt,
        ...(entry.upTo !== undefined && { upTo: entry.upTo }),
      }
    : { status: 'inactive', statusText: 'NOT_FOUND', groups: [], asOf: undefined, readAt }
  if (!known) return { known: read, changed: read.status === 'inactive' }
  if (isOlder(read, known)) return undefined
  const next = withWhatWasHeard(read, known)
  return { known: next, changed: isChanged(known, next) }
}

/**
 * Strictly. By the source's time where both have one. Our own, which the clocks of replicas blur, decides the rest,
 * and readings that began long after one another: one answer with a wrong date must not outlive the truth.
 */
export function isOlder(left: Evidence, right: Evidence): boolean {
  const comparable = left.asOf !== undefined && right.asOf !== undefined && left.asOf !== right.asOf
  if (!comparable || Math.abs(elapsed(left.readAt, right.readAt)) > LONGEST_READING) return left.readAt < right.readAt
  return left.asOf < right.asOf
}

/** undefined: nothing new. Duplicates, late and reordered news are harmless; in doubt a person loses, and the source is asked. */
export function hear(known: Known, news: PersonNews): Heard | undefined {
  switch (news.kind) {
    case 'member':
      return news.member ? hearAdded(known, news) : hearRemoved(known, idOf(news.group), news.at, !news.trusted)
    case 'listed':
      return hearListed(known, news)
    case 'inactive':
      return hearInactive(known, news.statusText, news.at)
    case 'group':
      return hearRegrouped(known, news)
    case 'reread':
      return known.asOf === undefined || news.at > known.asOf ? { known, changed: false, confirm: true } : undefined
    default:
      return news satisfies never
  }
}

/**
 * What two who heard different things know together: the newer reading, and over it what either heard since. The same
 * whoever is asked, so that processes that exchange what they know end up with one state. `doubtful`: a membership was
 * taken because of what one of them may have heard and forgotten.
 */
export function unite(left: Known, right: Known): { readonly known: Known; readonly doubtful: boolean } {
  const base = isOlder(left, right) ? right : left
  const known = withWhatWasHeard(base, base === left ? right : left)
  const marked = new Set(known.marks?.map(({ group }) => group))
  return { known, doubtful: base.groups.some(({ id }) => !holds(known, id) && !marked.has(id)) }
}

/** Is it the same reading with the same news? Then there is nothing to store. */
export function isSame(left: Known, right: Known): boolean {
  const [mine, theirs] = [left.marks ?? [], right.marks ?? []]
  return (
    left.readAt === right.readAt &&
    left.asOf === right.asOf &&
    left.statusAt === right.statusAt &&
    left.upTo === right.upTo &&
    left.forgottenUpTo === right.forgottenUpTo &&
    mine.length === theirs.length &&
    mine.every((mark) => theirs.some((other) => sameMark(mark, other))) &&
    !isChanged(left, right)
  )
}

function sameMark(left: Mark, right: Mark): boolean {
  return left.group === right.group && left.member === right.member && left.at === right.at && left.upTo === right.upTo
}

/** Which people hold the group, for news about the group itself. */
export function holds(known: Known, group: string): boolean {
  return known.groups.some(({ id }) => id === group)
}

// ---- a reading over what was heard

function withWhatWasHeard(base: Known, other: Known): Known {
  const { marks: heard = [], ...reading } = base
  const { asOf } = reading
  if (asOf === undefined) return base
  const marks = new Map(heard.map((mark) => [mark.group, mark]))
  let groups = base.groups
  for (const mark of other.marks ?? []) {
    const own = marks.get(mark.group)
    if (mark.at <= asOf || (own && !isNewer(mark, own))) continue
    // An addition that the reading may know of, and does not show, may have been taken back before it. One that it
    // shows is kept: an earlier removal that is still on its way must not count against both.
    if (mark.member && mark.at <= knownUpTo(base) && !holds(base, mark.group)) continue
    marks.set(mark.group, mark)
    groups = without(groups, mark.group)
    if (mark.member) groups = [...groups, ...other.groups.filter(({ id }) => id === mark.group)]
  }
  // A removal that the other may have heard and forgotten counts against what is no newer.
  for (const { id } of groups) {
    if (holds(other, id) || (marks.get(id)?.at ?? asOf) > (other.forgottenUpTo ?? NEVER)) continue
    groups = without(groups, id)
    marks.delete(id)
  }
  const { statusAt } = other
  const out = statusAt !== undefined && statusAt > asOf && statusAt > (base.statusAt ?? NEVER)
  return {
    ...reading,
    groups,
    ...upToOf(latest(base.upTo ?? NEVER, other.upTo ?? NEVER)),
    ...(marks.size > 0 && { marks: [...marks.values()] }),
    ...forgottenOf(latest(base.forgottenUpTo ?? NEVER, other.forgottenUpTo ?? NEVER), asOf),
    ...(out && { status: 'inactive', statusText: other.statusText, statusAt }),
  }
}

// ---- news

/** What is known of one pair of person and group. */
function evidenceOf(known: Known, group: string): { readonly at: SourceTime; readonly upTo: SourceTime } {
  const mark = known.marks?.find((each) => each.group === group)
  const at = mark?.at ?? known.asOf ?? NOT_THERE
  // A removal that outlived a reading does not hide that the reading, later, did not show the membership either.
  return { at, upTo: latest(latest(at, mark?.upTo ?? NEVER), mark?.member ? NEVER : knownUpTo(known)) }
}

function hearAdded(known: Known, news: Extract<PersonNews, { kind: 'member' }>): Heard | undefined {
  const { group, at, trusted } = news
  const id = idOf(group)
  const evidence = evidenceOf(known, id)
  if (at <= evidence.at) return undefined
  const is = holds(known, id)
  // Whatever took the person out may have happened after this: only a reading can tell.
  if (!is && (!trusted || at <= evidence.upTo || typeof group === 'string')) {
    return { known, changed: false, confirm: true }
  }
  if (at <= evidence.upTo) return undefined
  // An untrusted word must not shield the membership from an earlier removal that is still on its way.
  if (!trusted || typeof group === 'string') return undefined
  return marked(known, { group: id, member: true, at }, is ? known.groups : [...known.groups, group], false)
}

function hearRemoved(known: Known, group: string, at: SourceTime, confirm: boolean): Heard | undefined {
  const mark = known.marks?.find((each) => each.group === group)
  const evidence = evidenceOf(known, group)
  if (at < evidence.at || (mark?.member === false && at === mark.at)) return undefined
  const upTo = mark?.member === false ? (mark.upTo ?? NEVER) : knownUpTo(known)
  const next: Mark = { group, member: false, at, ...(upTo > at && { upTo }) }
  return marked(known, next, without(known.groups, group), confirm)
}

function hearListed(
  known: Known,
  { group, member, at, upTo }: Extract<PersonNews, { kind: 'listed' }>,
): Heard | undefined {
  const evidence = evidenceOf(known, group.id)
  // To be let in, the list must be newer from its first page on; to be put out, its last page is enough.
  if (upTo <= evidence.upTo || (member && at <= evidence.at)) return undefined
  // What nothing new was said about needs no mark: a reading and a list that agree are the usual case.
  if (holds(known, group.id) === member) return undefined
  const groups = member ? [...known.groups, group] : without(known.groups, group.id)
  const mark: Mark = { group: group.id, member, at: latest(at, evidence.at), upTo }
  return marked(known, mark, groups, at <= evidence.at)
}

function hearInactive(known: Known, statusText: string, at: SourceTime): Heard | undefined {
  if (at < (known.asOf ?? NOT_THERE) || at <= (known.statusAt ?? NEVER)) return undefined
  const next: Known = { ...known, status: 'inactive', statusText, statusAt: at }
  return { known: next, changed: isChanged(known, next), confirm: true }
}

function hearRegrouped(known: Known, { group, at }: Extract<PersonNews, { kind: 'group' }>): Heard | undefined {
  if (at <= (known.asOf ?? NOT_THERE) || !holds(known, group.id)) return undefined
  const groups = known.groups.map((each) => (each.id === group.id ? group : each))
  const next = { ...known, groups }
  return isChanged(known, next) ? { known: next, changed: true, confirm: false } : undefined
}

function marked(known: Known, mark: Mark, groups: readonly Group[], confirm: boolean): Heard {
  const { kept, forgottenUpTo } = prune([...(known.marks ?? []).filter(({ group }) => group !== mark.group), mark])
  const forgotten = forgottenOf(latest(known.forgottenUpTo ?? NEVER, forgottenUpTo), known.asOf ?? NEVER)
  const next: Known = { ...known, groups, marks: kept, ...forgotten }
  return { known: next, changed: isChanged(known, next), confirm }
}

/** What a forgotten mark knew becomes doubt about everything as old: an addition from then needs a reading. */
function prune(marks: readonly Mark[]): { readonly kept: readonly Mark[]; readonly forgottenUpTo: SourceTime } {
  const newest = marks.map(({ at }) => at).reduce(latest, NEVER)
  const fresh = marks.filter(({ at }) => elapsed(newest, at) <= MARKS_KEPT)
  const kept = fresh.length > MOST_MARKS ? fresh.toSorted((a, b) => elapsed(a.at, b.at)).slice(-MOST_MARKS) : fresh
  if (kept.length === marks.length) return { kept, forgottenUpTo: NEVER }
  const names = new Set(kept)
  return {
    kept,
    forgottenUpTo: marks
      .filter((mark) => !names.has(mark))
      .map(({ at, upTo }) => upTo ?? at)
      .reduce(latest, NEVER),
  }
}

/** In doubt a removal is the newer one, as it is at the same instant. */
function isNewer(left: Mark, right: Mark): boolean {
  const [mine, theirs] = [left.upTo ?? left.at, right.upTo ?? right.at]
  if (left.member !== right.member) return left.member ? mine > theirs : mine >= theirs
  return left.at === right.at ? mine > theirs : left.at > right.at
}

/** What happened up to here may be known already, one way or another. */
function knownUpTo({ asOf, upTo, forgottenUpTo }: Known): SourceTime {
  return latest(upTo ?? asOf ?? NEVER, forgottenUpTo ?? NEVER)
}

/** What is older than the reading does not count beside it. */
function forgottenOf(upTo: SourceTime, asOf: SourceTime): { readonly forgottenUpTo?: SourceTime } {
  return upTo > asOf ? { forgottenUpTo: upTo } : {}
}

function upToOf(upTo: SourceTime): { readonly upTo?: SourceTime } {
  return upTo > NEVER_HEARD ? { upTo } : {}
}

function idOf(group: Group | string): string {
  return typeof group === 'string' ? group : group.id
}

function without(groups: readonly Group[], id: string): readonly Group[] {
  return groups.some((group) => group.id === id) ? groups.filter((group) => group.id !== id) : groups
}

/** Another status or other groups. */
export function isChanged(before: Known, after: Known): boolean {
  return before.status !== after.status || !sameGroups(before.groups, after.groups)
}

function sameGroups(left: readonly Group[], right: readonly Group[]): boolean {
  if (left === right) return true
  const [mine, theirs] = [byId(left), byId(right)]
  if (mine.size !== theirs.size) return false
  for (const [id, group] of mine) {
    const other = theirs.get(id)
    if (other?.name !== group.name || other.type !== group.type) return false
  }
  return true
}

/** The first of each id counts. */
function byId(groups: readonly Group[]): ReadonlyMap<string, Group> {
  const found = new Map<string, Group>()
  for (const group of groups) if (!found.has(group.id)) found.set(group.id, group)
  return found
}
