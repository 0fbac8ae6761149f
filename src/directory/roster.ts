import type { Group } from './model.ts'
import type { Millis, SourceTime, Subject, WallTime } from '../types.ts'
import { hear, holds, isChanged, isSame, type Known, merge, type PersonNews, type Reading, unite } from './merge.ts'
import type { Signal, Trust } from './signals.ts'
import { elapsed, latest, NEVER } from '../lib/time.ts'

/** News is kept this long for readings that began before it and end after it, and for people another process reads. */
const NEWS_KEPT: Millis = 5 * 60_000
const MOST_NEWS = 20_000

export interface Person {
  known: Known | undefined
  askedAt: WallTime
  /** No reading begins before. */
  retryAt: WallTime
  savedAt: WallTime
  /** Something is in doubt: only a reading that begins later settles it. Our clock. */
  doubtAt: WallTime | undefined
}

/** What came of a piece of news for one person. */
export interface Effect {
  readonly user: Subject
  /** Other groups or another status. */
  readonly changed: boolean
  /** Read the person again. */
  readonly confirm: boolean
}

/** Everybody who is known, in memory, and the rules of merge.ts applied to them. No I/O, and time is a parameter. */
export interface Roster {
  readonly people: ReadonlyMap<Subject, Person>
  personOf(user: Subject, now: WallTime): Person
  forget(user: Subject): boolean
  /** undefined: the reading came late and was dropped. */
  learn(user: Subject, reading: Reading, now: WallTime): Effect | undefined
  /** What another process, or an earlier run, knows. undefined: nothing new. */
  adopt(user: Subject, known: Known, now: WallTime): Effect | undefined
  /** News about somebody who is not known has no effect, unless they become known soon. */
  hear(signal: Signal, trust: Trust, now: WallTime): readonly Effect[]
  /** Who is in the group, as far as is known. */
  holders(group: string): readonly Subject[]
  /** As last seen. */
  group(id: string): Group | undefined
}

interface News {
  readonly signal: Signal
  readonly trust: Trust
}

export function createRoster(): Roster {
  const people = new Map<Subject, Person>()
  const groups = new Map<string, Group>()
  /** Until when it is known who is in the group: all others are not, and an older addition proves nothing. */
  const settledUpTo = new Map<string, SourceTime>()
  const recent = createRecentNews()

  function personOf(user: Subject, now: WallTime): Person {
    let person = people.get(user)
    if (!person) {
      person = {
        known: undefined,
        askedAt: now,
        retryAt: NEVER,
        savedAt: NEVER,
        doubtAt: undefined,
      }
      people.set(user, person)
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
    return [...own.values()]
  }

  function shared(group: Group): Group {
    const held = groups.get(group.id)
    if (held?.name === group.name && held.type === group.type) return held
    const kept: Group = { id: group.id, name: group.name, type: group.type }
    groups.set(group.id, kept)
    return kept
  }

  function isSettled(group: string, upTo: SourceTime): void {
    settledUpTo.set(group, latest(settledUpTo.get(group) ?? NEVER, upTo))
  }

  /** A new reading, and over it what was heard while it was made. */
  function settle(user: Subject, known: Known, changed: boolean, now: WallTime): Effect {
    const person = personOf(user, now)
    person.known = known
    let effect: Effect = { user, changed, confirm: false }
    const news = recent.about([user, ...known.groups.map(({ id }) => id)], now)
    for (const { signal, trust } of news) {
      for (const each of newsFor(user, signal, trust)) {
        const heard = hear(person.known, each)
        if (!heard) continue
        person.known = heard.known
        effect = { user, changed: effect.changed || heard.changed, confirm: effect.confirm || heard.confirm }
      }
    }
    return effect
  }

  /** A signal as news of one person it concerns. */
  function newsFor(user: Subject, signal: Signal, trust: Trust): readonly PersonNews[] {
    switch (signal.kind) {
      case 'member': {
        const { group, member, at } = signal
        const trusted = trust === 'log' && at > (settledUpTo.get(group) ?? NEVER)
        return [
          {
            kind: 'member',
            group: groups.get(group) ?? group,
            member,
            at,
            trusted: member ? trusted : trust === 'log',
          },
        ]
      }
      case 'inactive':
        return [{ kind: 'inactive', statusText: signal.statusText, at: signal.at }]
      case 'reread':
        return [{ kind: 'reread', at: signal.at }]
      case 'group-deleted':
        return [{ kind: 'member', group: signal.group, member: false, at: signal.at, trusted: trust === 'log' }]
      case 'group':
        return [{ kind: 'group', group: groups.get(signal.group.id) ?? signal.group, at: signal.at }]
      case 'members': {
        const { group, members, at, upTo } = signal
        return [{ kind: 'listed', group: groups.get(group.id) ?? group, member: members.has(user), at, upTo }]
      }
      case 'sessions-ended':
      case 'group-sessions-ended':
        return []
      default:
        return signal satisfies never
    }
  }

  function concerned(signal: Signal): readonly Subject[] {
    switch (signal.kind) {
      case 'member':
      case 'inactive':
      case 'reread':
        return [signal.user]
      case 'group-deleted':
        return holders(signal.group)
      case 'group':
        return holders(signal.group.id)
      case 'members':
        return differing(signal.group.id, signal.members)
      case 'sessions-ended':
      case 'group-sessions-ended':
        return []
      default:
        return signal satisfies never
    }
  }

  function holders(group: string): readonly Subject[] {
    const found: Subject[] = []
    for (const [user, { known }] of people) if (known && holds(known, group)) found.push(user)
    return found
  }

  /** Whoever the list says something new about: most people are not, and a list may be read for each of 5,000 groups. */
  function differing(group: string, members: ReadonlySet<Subject>): readonly Subject[] {
    const found: Subject[] = []
    for (const [user, { known }] of people) if (known && holds(known, group) !== members.has(user)) found.push(user)
    return found
  }

  return {
    people,
    personOf,
    forget: (user) => people.delete(user),

    learn(user, { entry, readAt }, now) {
      const person = personOf(user, now)
      const heardAdded = entry ? addedSince(person.known, entry.asOf) : []
      const merged = merge(person.known, { entry: entry && { ...entry, groups: pooled(entry.groups) }, readAt })
      if (!merged) return undefined
      person.retryAt = NEVER
      if (person.doubtAt !== undefined && readAt >= person.doubtAt) person.doubtAt = undefined
      const effect = settle(user, merged.known, merged.changed, now)
      // What was heard speaks against a reading that is hardly older: one more, a little later, decides.
      const { known } = person
      const contradicted = entry && known && isChanged(known, { ...known, status: entry.status, groups: entry.groups })
      const lost = known && heardAdded.some((id) => !holds(known, id))
      return contradicted || lost ? { ...effect, confirm: true } : effect
    },

    adopt(user, stored, now) {
      const person = personOf(user, now)
      const theirs: Known = { ...stored, groups: pooled(stored.groups) }
      const { known: next, doubtful } = person.known ? unite(person.known, theirs) : { known: theirs, doubtful: false }
      if (person.known && isSame(person.known, next)) return undefined
      const changed = person.known ? isChanged(person.known, next) : next.status === 'inactive'
      person.retryAt = NEVER
      const effect = settle(user, next, changed, now)
      return doubtful ? { ...effect, confirm: true } : effect
    },

    hear(signal, trust, now) {
      if (signal.kind === 'group') pooled([signal.group])
      // A list that comes home after a newer one knows nothing any more.
      if (signal.kind === 'members' && signal.upTo <= (settledUpTo.get(signal.group.id) ?? NEVER)) return []
      if (signal.kind === 'members') pooled([signal.group])
      if (signal.kind === 'members') isSettled(signal.group.id, signal.upTo)
      if (signal.kind === 'group-deleted') isSettled(signal.group, signal.at)
      recent.keep({ signal, trust }, now)
      const effects: Effect[] = []
      for (const user of concerned(signal)) {
        const person = people.get(user)
        if (!person) continue
        for (const news of newsFor(user, signal, trust)) {
          const heard = person.known && hear(person.known, news)
          if (!heard) continue
          person.known = heard.known
          effects.push({ user, changed: heard.changed, confirm: heard.confirm })
        }
      }
      return effects
    },

    holders,
    group: (id) => groups.get(id),
  }
}

function addedSince(known: Known | undefined, asOf: SourceTime): readonly string[] {
  return (known?.marks ?? []).filter(({ member, at }) => member && at > asOf).map(({ group }) => group)
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
