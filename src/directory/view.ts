/** What rules see of what is known: the same for a running Postern and for a command line that reads the store beside it. */
import { createRecent } from '../lib/recent.ts'
import { createMembership } from '../policy/membership.ts'
import type { DirectoryConfig } from '../config/model.ts'
import type { Membership } from './model.ts'
import type { Subject, WallTime } from '../types.ts'
import { CLAIMS_SOURCE } from './claims.ts'
import type { Known } from './evidence.ts'
import { latest } from '../lib/time.ts'

/**
 * What a feed promises, on our clock: whatever happened to a person read at `since` or later, and before `upTo`,
 * has been heard. Nobody needs to be read again for as long as it goes on.
 */
export interface Coverage {
  readonly since: WallTime
  readonly upTo: WallTime
}

const INACTIVE_KEYS: ReadonlySet<string> = new Set()

/** What records of this configuration's sources carry as their `source`, together (combine.ts). */
export function sourceNameOf({ order }: DirectoryConfig): string {
  return order.join('+') || CLAIMS_SOURCE
}

/** Has whatever happened since the reading been heard? */
export function isCovered(
  readAt: WallTime,
  doubtAt: WallTime | undefined,
  coverage: Coverage | undefined,
): coverage is Coverage {
  return coverage !== undefined && doubtAt === undefined && readAt >= coverage.since
}

/** Until when a change would be known, on our clock: the reading, or what has been heard without a gap since. */
export function freshAtOf(readAt: WallTime, doubtAt: WallTime | undefined, coverage: Coverage | undefined): WallTime {
  return isCovered(readAt, doubtAt, coverage) ? latest(readAt, coverage.upTo) : readAt
}

export function toMembership({ groups, asOf, status }: Known, freshAt: WallTime, source: string): Membership {
  const membership = { ...createMembership(groups, freshAt, source), ...(asOf !== undefined && { asOf }) }
  // `Everyone` is any active person, and this one is none.
  return status === 'active' ? membership : { ...membership, keys: INACTIVE_KEYS }
}

/** What rules look up is built when it is asked for (about 1 µs for each ten groups), and kept for so many people. */
const MOST_KEPT = 4096

export interface Memberships {
  of(user: Subject, known: Known, freshAt: WallTime): Membership
}

export function createMemberships(source: string): Memberships {
  const recent = createRecent<Subject, { readonly known: Known; readonly membership: Membership }>(MOST_KEPT)
  return {
    of(user, known, freshAt) {
      const built = recent.get(user)
      const same = built?.known === known ? built.membership : undefined
      if (same?.freshAt === freshAt) return same
      const membership = same ? { ...same, freshAt } : toMembership(known, freshAt, source)
      recent.set(user, { known, membership })
      return membership
    },
  }
}
