import type { Entry, Group } from './model.ts'
import type { Subject, WallTime } from '../types.ts'
import { asSourceTime } from '../lib/time.ts'

/** Name of the source when nothing but a sign-in's claims tells groups. */
export const CLAIMS_SOURCE = 'claims'

/**
 * What a sign-in says about a person where no directory is read, for `Directory.observe`. Whoever could
 * sign in was active then; nothing is heard of them until they sign in again. `asOf`: when the token was issued.
 * A sign-in without the claim says nothing about groups and makes no entry: use `forget`.
 */
export function entryFromClaims(subject: Subject, groups: readonly Group[], at: WallTime): Entry {
  return { subject, status: 'active', statusText: 'SIGNED_IN', groups, asOf: asSourceTime(at) }
}
