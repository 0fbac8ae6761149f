/** Which evidence about a person counts. Pure: what is known, and what came in, make what is known next. */
import type { SourceTime, Subject, WallTime } from '../types.ts'
import { elapsed, later, latest, sourceTime } from '../lib/time.ts'
import type { Entry, Group, UserStatus } from './model.ts'
import type { Signal, Trust } from './signals.ts'

/** What a source said about one person; `entry` undefined: it has no such person. */
export interface Reading {
  readonly entry: Entry | undefined
  /** Our clock when the reading began. Ages are measured with it, whatever the source's clock says. */
  readonly readAt: WallTime
}

/** How new a reading is. */
export interface Evidence {
  /** The source's time; undefined when it has no such person and so named no time. */
  readonly asOf: SourceTime | undefined
  /** What happened up to here may be in the reading; absent: `asOf`. */
  readonly upTo?: SourceTime
  readonly readAt: WallTime
}

/** The newest that was told about one group after the reading: `group` when it was given, else it was taken away. */
export interface GroupEvent {
  readonly at: SourceTime
  readonly group?: Group
}

/** Suspended, deactivated, deleted: told after the reading. */
export interface Inactivation {
  readonly at: SourceTime
  readonly statusText: string
}

interface State {
  readonly status: UserStatus
  readonly statusText: string
  readonly groups: readonly Group[]
}

/** What is known about one person: the newest reading, and what was told since. Status and groups are what counts. */
export interface Known extends Evidence, State {
  /** What the reading said, where something told since changes it. */
  readonly read?: State
  /** By group id. An event hides or shows its group until a reading with later evidence, and dies with it. */
  readonly events?: ReadonlyMap<string, GroupEvent>
  readonly inactive?: Inactivation
}

/** A reading, and what was told since, before it is worked out what counts. */
export type Facts = Evidence & Pick<Known, 'events' | 'inactive'> & State

export interface Told {
  /** undefined: more was told than is kept of one person. Only a reading knows them again. */
  readonly known: Known | undefined
  /** Read the person: the news was taken on suspicion, or not taken because it was in doubt. */
  readonly confirm: boolean
}

/** No reading takes longer. */
const LONGEST_READING = 5 * 60_000
const MOST_EVENTS = 1000
/** Of somebody whom the source does not have: later than all evidence. */
const NOT_THERE: SourceTime = sourceTime(Number.POSITIVE_INFINITY)

/** What counts, given a reading and what was told since. */
export function knownFrom(facts: Facts): Known {
  const { asOf, readAt, upTo, status, statusText, groups } = facts
  const read: State = { status, statusText, groups }
  const evidence = { asOf, readAt, ...(upTo !== undefined && { upTo }) }
  if (asOf === undefined) return { ...evidence, ...read }
  const shown = new Set(groups.map(({ id }) => id))
  const events = new Map<string, GroupEvent>()
  for (const [id, event] of facts.events ?? []) if (outlives(event, facts, shown.has(id))) events.set(id, event)
  const inactive = facts.inactive && facts.inactive.at >= asOf ? facts.inactive : undefined
  if (events.size === 0 && !inactive) return { ...evidence, ...read }
  const kept = groups.filter(({ id }) => !events.has(id))
  const added = [...events.values()].flatMap(({ group }) => group ?? [])
  return {
    ...evidence,
    status: inactive ? 'inactive' : status,
    statusText: inactive?.statusText ?? statusText,
    groups: [...kept, ...added],
    read,
    ...(events.size > 0 && { events }),
    ...(inactive && { inactive }),
  }
}

/**
 * A removal counts until a reading is surely later. An addition that the reading may know of, and does not show, may have
 * been taken back before it; one that it shows is kept, so that an earlier removal still on its way does not count.
 */
function outlives({ at, group }: GroupEvent, { asOf, upTo }: Facts, shown: boolean): boolean {
  if (asOf === undefined) return false
  return group ? at > asOf && (shown || at > (upTo ?? asOf)) : at >= asOf
}

/** The reading and what was told since, as they were told. */
export function factsOf(known: Known): Facts {
  return { ...known, ...known.read }
}

/**
 * Strictly. By the source's time where both have one. Our own, which the clocks of replicas blur, decides the rest,
 * and readings that began long after one another: one answer with a wrong date must not outlive the truth.
 */
export function isOlder(left: Evidence, right: Evidence): boolean {
  const comparable = left.asOf !== undefined && right.asOf !== undefined && left.asOf !== right.asOf
  if (comparable && Math.abs(elapsed(left.readAt, right.readAt)) <= LONGEST_READING) return left.asOf < right.asOf
  if (left.readAt !== right.readAt) return left.readAt < right.readAt
  // Of combined sources one was read again, and the others are as old as they were.
  return left.upTo !== undefined && right.upTo !== undefined && left.upTo < right.upTo
}

/** A late reading never overwrites a newer one: undefined, and what is known stays. */
export function takeReading(known: Known | undefined, { entry, readAt }: Reading): Told | undefined {
  const said: State = entry ?? { status: 'inactive', statusText: 'NOT_FOUND', groups: [] }
  const upTo = entry?.upTo !== undefined && { upTo: entry.upTo }
  const told = known && {
    ...(known.events && { events: known.events }),
    ...(known.inactive && { inactive: known.inactive }),
  }
  const facts = { ...state(said), asOf: entry?.asOf, readAt, ...upTo, ...told }
  if (known && isOlder(facts, known)) return undefined
  const next = knownFrom(facts)
  // What was told speaks against a reading that is hardly older: one more, a little later, decides.
  return { known: next, confirm: isContradicted(next) || (known !== undefined && losesAddition(known, next)) }
}

function state({ status, statusText, groups }: State): State {
  return { status, statusText, groups }
}

function isContradicted({ inactive, read, events }: Known): boolean {
  return (
    inactive !== undefined ||
    (read?.groups.some(({ id }) => events?.get(id)?.group === undefined && events?.has(id)) ?? false)
  )
}

function losesAddition(before: Known, after: Known): boolean {
  for (const [id, { group }] of before.events ?? []) if (group && !holds(after, id)) return true
  return false
}

/**
 * What two know together who heard different things: the newer reading, and over it the newest that either heard. The
 * same whoever is asked, so that processes that exchange what they know end up with one state.
 */
export function combine(left: Known, right: Known): Told & { readonly known: Known } {
  const [older, newer] =
    isOlder(left, right) || (!isOlder(right, left) && textOf(left) > textOf(right)) ? [left, right] : [right, left]
  const events = new Map(newer.events)
  for (const [id, event] of older.events ?? []) if (isNewer(event, events.get(id))) events.set(id, event)
  const inactive = isNewer(older.inactive, newer.inactive) ? older.inactive : newer.inactive
  const known = knownFrom({ ...factsOf(newer), events, ...(inactive && { inactive }) })
  return { known, confirm: losesAddition(older, known) }
}

/** Two readings of one instant that differ: one of somebody inactive counts, else either, if it is the same for all. */
function textOf(known: Known): string {
  const { status, statusText, groups } = known.read ?? known
  return JSON.stringify([Number(status === 'active'), statusText, groups.map(({ id, name, type }) => [id, name, type])])
}

/** At the same instant a removal is the newer one: in doubt a person loses. */
function isNewer(event: GroupEvent | undefined, than: GroupEvent | undefined): boolean {
  if (!event || !than) return event !== undefined
  return event.at > than.at || (event.at === than.at && !event.group && than.group !== undefined)
}

/** Is it the same reading with the same events? Then there is nothing to store. */
export function isSame(left: Known, right: Known): boolean {
  return (
    left.readAt === right.readAt &&
    left.asOf === right.asOf &&
    left.upTo === right.upTo &&
    left.inactive?.at === right.inactive?.at &&
    (left.events?.size ?? 0) === (right.events?.size ?? 0) &&
    [...(left.events ?? [])].every(([id, { at }]) => right.events?.get(id)?.at === at) &&
    !isChanged(left.read ?? left, right.read ?? right) &&
    !isChanged(left, right)
  )
}

/** Which people hold the group, for news about the group itself. */
export function holds(known: Known, group: string): boolean {
  return known.groups.some(({ id }) => id === group)
}

/**
 * What one signal says about one person. undefined: nothing new. Duplicates, late and reordered news are harmless; in
 * doubt a person loses, and is read. `given`: the group as an addition of the log may give it; absent, an addition only
 * asks for a reading.
 */
export function apply(known: Known, user: Subject, signal: Signal, trust: Trust, given?: Group): Told | undefined {
  const asOf = known.asOf ?? NOT_THERE
  const upTo = known.upTo ?? asOf
  switch (signal.kind) {
    case 'member':
      return signal.member ? added() : removed(signal.group, signal.at, trust !== 'log')
    case 'group-deleted':
      return removed(signal.group, signal.at, trust !== 'log')
    case 'members':
      return listed(signal.group.id, signal)
    case 'inactive': {
      const news = signal.at >= asOf && (!known.inactive || signal.at > known.inactive.at)
      return news ? { known: knownFrom({ ...factsOf(known), inactive: signal }), confirm: true } : undefined
    }
    case 'group': {
      if (signal.at <= asOf || !holds(known, signal.group.id)) return undefined
      const next = knownFrom(withGroup(factsOf(known), signal.group))
      return isChanged(known, next) ? { known: next, confirm: false } : undefined
    }
    case 'reread':
      return known.asOf === undefined || signal.at > asOf ? { known, confirm: true } : undefined
    case 'sessions-ended':
    case 'group-sessions-ended':
      return undefined
    default:
      return signal satisfies never
  }

  /** When the newest evidence about the group is from. */
  function evidenceOf(group: string): SourceTime {
    return latest(asOf, known.events?.get(group)?.at ?? asOf)
  }

  function added(): Told | undefined {
    const { group, at } = signal as Extract<Signal, { kind: 'member' }>
    if (at <= evidenceOf(group)) return undefined
    // What the reading may know of, and does not show, may have been taken back before it: only another can tell.
    if (given && at > upTo) return withEvent(group, { at, group: given }, false)
    return holds(known, group) ? undefined : { known, confirm: true }
  }

  function removed(group: string, at: SourceTime, confirm: boolean): Told | undefined {
    const event = known.events?.get(group)
    if (at < asOf || (event && !isNewer({ at }, event))) return undefined
    return withEvent(group, { at }, confirm || at <= upTo)
  }

  /** A list of all members that was read from `at` to `upTo`. To put somebody out, its last page is enough. */
  function listed(group: string, list: Extract<Signal, { kind: 'members' }>): Told | undefined {
    const evidence = evidenceOf(group)
    if (list.members.has(user)) return !holds(known, group) && list.at > evidence ? { known, confirm: true } : undefined
    if (!holds(known, group) || list.upTo <= latest(evidence, known.events?.has(group) ? evidence : upTo))
      return undefined
    return withEvent(group, { at: latest(list.at, evidence) }, list.at <= evidence)
  }

  function withEvent(group: string, event: GroupEvent, confirm: boolean): Told {
    const events = new Map(known.events).set(group, event)
    if (events.size > MOST_EVENTS) return { known: undefined, confirm: true }
    return { known: knownFrom({ ...factsOf(known), events }), confirm }
  }
}

/**
 * The group is another now: renamed, or of another type. A millisecond tells it from the same reading with the old name,
 * which is in the store and in other processes.
 */
function withGroup(facts: Facts, group: Group): Facts {
  const groups = facts.groups.map((each) => (each.id === group.id ? group : each))
  const event = facts.events?.get(group.id)
  return {
    ...facts,
    readAt: later(facts.readAt, 1),
    groups,
    ...(event?.group && { events: new Map(facts.events).set(group.id, { ...event, group }) }),
  }
}

/** Another status or other groups. */
export function isChanged(before: State, after: State): boolean {
  return before.status !== after.status || !sameGroups(before.groups, after.groups)
}

/** In any order, the first of each id. */
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

function byId(groups: readonly Group[]): ReadonlyMap<string, Group> {
  const found = new Map<string, Group>()
  for (const group of groups) if (!found.has(group.id)) found.set(group.id, group)
  return found
}
