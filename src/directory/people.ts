import type { Monotonic, SourceTime, Subject, WallTime } from '../types.ts'
import { elapsed, latest, NEVER } from '../lib/time.ts'
import {
  apply,
  combine,
  factsOf,
  holds,
  isChanged,
  isSame,
  type Known,
  knownFrom,
  type Reading,
  takeReading,
  type Told,
} from './evidence.ts'
import type { Group } from './model.ts'
import type { Signal, Trust } from './signals.ts'

/** News is kept this long for readings that began before it and end after it, and for people another process reads. */
const NEWS_KEPT = 5 * 60_000
const MOST_NEWS = 20_000

export interface Person {
  known: Known | undefined
  askedAt: WallTime
  /** When the leader was last told that this person is here. */
  toldAt: Monotonic
  /** No reading begins before. */
  retryAt: Monotonic
  savedAt: WallTime
  /** Something is in doubt: only a reading that begins later settles it. Our clock. */
  doubtAt: WallTime | undefined
  /** Of several combined sources, the one that the doubt is about; undefined: all of them. */
  doubtOf: string | undefined
}

/** What came of a piece of news for one person. */
export interface Effect {
  readonly user: Subject
  /** Other groups or another status; the first reading of a person counts when it is bad news. */
  readonly changed: boolean
  /** Read the person again. */
  readonly confirm: boolean
}

/** Everybody who is known, in memory, and the rules of evidence.ts applied to them. No I/O, and time is a parameter. */
export interface People {
  readonly all: ReadonlyMap<Subject, Person>
  personOf(user: Subject, now: WallTime): Person
  forget(user: Subject): boolean
  /** undefined: the reading came late and was dropped. */
  learn(user: Subject, reading: Reading, now: WallTime): Effect | undefined
  /** What another process, or an earlier run, knows. undefined: nothing new. */
  adopt(user: Subject, known: Known, now: WallTime): Effect | undefined
  /** News about somebody who is not known has no effect, unless they become known soon. */
  tell(signal: Signal, trust: Trust, now: WallTime): readonly Effect[]
  /** Who is in the group, as far as is known. */
  holders(group: string): readonly Subject[]
  /** Groups that nobody is in may have other names by now: nobody reads them. */
  forgetNames(): void
}

interface News {
  readonly signal: Signal
  readonly trust: Trust
}

export function createPeople(): People {
  const all = new Map<Subject, Person>()
  const groups = new Map<string, Group>()
  /** Until when it is known who is in the group: all others are not, and an older addition proves nothing. */
  const listedUpTo = new Map<string, SourceTime>()
  /** When the newest that was told of a group's name is from. */
  const namedAt = new Map<string, SourceTime>()
  const recent = createRecentNews()

  function personOf(user: Subject, now: WallTime): Person {
    let person = all.get(user)
    if (!person) {
      person = {
        known: undefined,
        askedAt: now,
        toldAt: NEVER,
        retryAt: NEVER,
        savedAt: NEVER,
        doubtAt: undefined,
        doubtOf: undefined,
      }
      all.set(user, person)
    }
    return person
  }

  /**
   * One object for each group, however many people are in it: 20,000 people hold references, not copies. And one for
   * each id: a list that names a group twice would never be equal to what is kept of it, and be written for ever.
   */
  function pooled(from: readonly Group[]): readonly Group[] {
    const own = new Map<string, Group>()
    for (const group of from) if (!own.has(group.id)) own.set(group.id, shared(group))
    // Of its exact length: 20,000 people have one each.
    return Array.from(own.values()).slice()
  }

  function shared(group: Group): Group {
    const held = groups.get(group.id)
    if (held?.name === group.name && held.type === group.type) return held
    const kept: Group = { id: group.id, name: group.name, type: group.type }
    groups.set(group.id, kept)
    return kept
  }

  /** What an addition may give: a group that is known, by a log that tells of something newer than any list of it. */
  function givenBy(signal: Signal, trust: Trust): Group | undefined {
    if (signal.kind !== 'member' || trust !== 'log' || signal.at <= (listedUpTo.get(signal.group) ?? NEVER))
      return undefined
    return groups.get(signal.group)
  }

  function applyTo(user: Subject, person: Person, { signal, trust }: News): Effect | undefined {
    const before = person.known
    const told = before && apply(before, user, signal, trust, givenBy(signal, trust))
    if (!told) return undefined
    person.known = told.known
    return { user, changed: !told.known || isChanged(before, told.known), confirm: told.confirm }
  }

  /** What was told while the reading was made counts over it. */
  function settle(user: Subject, { known, confirm }: Told & { readonly known: Known }, now: WallTime): Effect {
    const person = personOf(user, now)
    const before = person.known
    person.known = known
    person.retryAt = NEVER
    let effect: Effect = { user, changed: before ? isChanged(before, known) : known.status === 'inactive', confirm }
    for (const news of recent.about([user, ...known.groups.map(({ id }) => id)], now)) {
      const each = applyTo(user, person, news)
      if (each) effect = { user, changed: effect.changed || each.changed, confirm: effect.confirm || each.confirm }
    }
    return effect
  }

  /** Of lists, whom they say something new about: most people are not, and a list may be read for each of 5,000 groups. */
  function concerned(signal: Signal): readonly Subject[] {
    if ('user' in signal) return [signal.user]
    if (signal.kind === 'group') return holders(signal.group.id)
    if (signal.kind === 'group-deleted') return holders(signal.group)
    if (signal.kind !== 'members') return []
    return matching((user, known) => holds(known, signal.group.id) !== signal.members.has(user))
  }

  function holders(group: string): readonly Subject[] {
    return matching((_user, known) => holds(known, group))
  }

  function matching(is: (user: Subject, known: Known) => boolean): readonly Subject[] {
    const found: Subject[] = []
    for (const [user, { known }] of all) if (known && is(user, known)) found.push(user)
    return found
  }

  return {
    all,
    personOf,
    forget: (user) => all.delete(user),

    learn(user, { entry, readAt }, now) {
      const person = personOf(user, now)
      const told = takeReading(person.known, { entry: entry && { ...entry, groups: pooled(entry.groups) }, readAt })
      if (!told?.known) return undefined
      if (person.doubtAt !== undefined && readAt >= person.doubtAt) {
        person.doubtAt = undefined
        person.doubtOf = undefined
      }
      return settle(user, { ...told, known: told.known }, now)
    },

    adopt(user, stored, now) {
      const mine = personOf(user, now).known
      const facts = factsOf(stored)
      const theirs = knownFrom({ ...facts, groups: pooled(facts.groups) })
      const told = mine ? combine(mine, theirs) : { known: theirs, confirm: false }
      return mine && isSame(mine, told.known) ? undefined : settle(user, told, now)
    },

    tell(signal, trust, now) {
      if (signal.kind === 'group') {
        if (signal.at < (namedAt.get(signal.group.id) ?? NEVER)) return []
        namedAt.set(signal.group.id, signal.at)
        shared(signal.group)
      }
      if (signal.kind === 'members' || signal.kind === 'group-deleted') {
        const [group, upTo] = signal.kind === 'members' ? [signal.group.id, signal.upTo] : [signal.group, signal.at]
        const before = listedUpTo.get(group) ?? NEVER
        // A list that comes home after a newer one knows nothing any more.
        if (signal.kind === 'members' && upTo <= before) return []
        listedUpTo.set(group, latest(before, upTo))
      }
      const news = { signal, trust }
      recent.keep(news, now)
      return concerned(signal).flatMap((user) => {
        const person = all.get(user)
        return (person && applyTo(user, person, news)) ?? []
      })
    },

    holders,

    forgetNames() {
      const held = new Set([...all.values()].flatMap(({ known }) => known?.groups ?? []))
      for (const [id, group] of groups) if (!held.has(group)) groups.delete(id)
    },
  }
}

/** Two halves: news falls into the new one, and the old one is dropped when the new one is as old or as full as is kept. */
function createRecentNews(): {
  keep(news: News, now: WallTime): void
  /** About any of these people and groups, in the order in which it came. */
  about(keys: readonly string[], now: WallTime): readonly News[]
} {
  type Half = Map<string, News[]>
  let old: Half = new Map()
  let young: Half = new Map()
  let youngSince: WallTime = NEVER
  let size = 0

  function turn(now: WallTime): void {
    if (elapsed(now, youngSince) < NEWS_KEPT && size < MOST_NEWS) return
    old = elapsed(now, youngSince) < 2 * NEWS_KEPT ? young : new Map()
    young = new Map()
    youngSince = now
    size = 0
  }

  return {
    keep(news, now) {
      turn(now)
      const key = keyOf(news.signal)
      const list = young.get(key)
      if (list) list.push(news)
      else young.set(key, [news])
      size++
    },
    about(keys, now) {
      turn(now)
      return keys.flatMap((key) => [...(old.get(key) ?? []), ...(young.get(key) ?? [])])
    },
  }
}

function keyOf(signal: Signal): string {
  if ('user' in signal) return signal.user
  return typeof signal.group === 'string' ? signal.group : signal.group.id
}
