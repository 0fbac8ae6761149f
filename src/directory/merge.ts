import type { Entry, Group, Millis, UserStatus } from '../types.ts'

/** What a source said about one person; `entry` undefined: it has no such person. */
export interface Reading {
  readonly entry: Entry | undefined
  /** Our clock when the reading began. Ages are measured with it, whatever the source's clock says. */
  readonly readAt: Millis
}

/** What is known about one person: the newest reading. */
export interface Known {
  readonly status: UserStatus
  readonly statusText: string
  readonly groups: readonly Group[]
  /** The source's time of the evidence; undefined when it has no such person and so named no time. */
  readonly asOf: Millis | undefined
  readonly readAt: Millis
}

export interface Merged {
  readonly known: Known
  /** Another status or other groups than before; the first reading of a person counts when it is bad news. */
  readonly changed: boolean
}

/** A late reading never overwrites a newer one: undefined, and what is known stays. Pure. */
export function merge(known: Known | undefined, { entry, readAt }: Reading): Merged | undefined {
  const next: Known = entry
    ? { status: entry.status, statusText: entry.statusText, groups: entry.groups, asOf: entry.asOf, readAt }
    : { status: 'inactive', statusText: 'NOT_FOUND', groups: [], asOf: undefined, readAt }
  if (!known) return { known: next, changed: next.status === 'inactive' }
  if (isOlder(next, known)) return undefined
  return { known: next, changed: next.status !== known.status || !sameGroups(next.groups, known.groups) }
}

/** By the source's time where both have one; our own, which clocks of replicas blur, decides the rest. */
function isOlder(next: Known, known: Known): boolean {
  if (next.asOf === undefined || known.asOf === undefined || next.asOf === known.asOf) return next.readAt < known.readAt
  return next.asOf < known.asOf
}

function sameGroups(left: readonly Group[], right: readonly Group[]): boolean {
  if (left.length !== right.length) return false
  const byId = new Map(right.map((group) => [group.id, group]))
  return left.every((group) => {
    const other = byId.get(group.id)
    return other !== undefined && other.name === group.name && other.type === group.type
  })
}
