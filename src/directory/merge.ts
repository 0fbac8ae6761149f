import type { Entry, Group, Millis, UserStatus } from '../types.ts'

/** What a source said about one person; `entry` undefined: it has no such person. */
export interface Reading {
  readonly entry: Entry | undefined
  /** Our clock when the reading began. Ages are measured with it, whatever the source's clock says. */
  readonly readAt: Millis
}

export interface Evidence {
  /** The source's time; undefined when it has no such person and so named no time. */
  readonly asOf: Millis | undefined
  readonly readAt: Millis
}

/** What is known about one person: the newest reading. */
export interface Known extends Evidence {
  readonly status: UserStatus
  readonly statusText: string
  readonly groups: readonly Group[]
}

export interface Merged {
  readonly known: Known
  /** Another status or other groups than before; the first reading of a person counts when it is bad news. */
  readonly changed: boolean
}

/** No reading takes longer. */
const LONGEST_READING: Millis = 5 * 60_000

/** A late reading never overwrites a newer one: undefined, and what is known stays. Pure. */
export function merge(known: Known | undefined, { entry, readAt }: Reading): Merged | undefined {
  const next: Known = entry
    ? { status: entry.status, statusText: entry.statusText, groups: entry.groups, asOf: entry.asOf, readAt }
    : { status: 'inactive', statusText: 'NOT_FOUND', groups: [], asOf: undefined, readAt }
  if (!known) return { known: next, changed: next.status === 'inactive' }
  if (isOlder(next, known)) return undefined
  return { known: next, changed: next.status !== known.status || !sameGroups(next.groups, known.groups) }
}

/**
 * Strictly. By the source's time where both have one. Our own, which the clocks of replicas blur, decides the rest,
 * and readings that began long after one another: one answer with a wrong date must not outlive the truth.
 */
export function isOlder(left: Evidence, right: Evidence): boolean {
  const comparable = left.asOf !== undefined && right.asOf !== undefined && left.asOf !== right.asOf
  if (!comparable || Math.abs(left.readAt - right.readAt) > LONGEST_READING) return left.readAt < right.readAt
  return left.asOf < right.asOf
}

function sameGroups(left: readonly Group[], right: readonly Group[]): boolean {
  if (left.length !== right.length) return false
  const byId = new Map(right.map((group) => [group.id, group]))
  return left.every((group) => {
    const other = byId.get(group.id)
    return other !== undefined && other.name === group.name && other.type === group.type
  })
}
