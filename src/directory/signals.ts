import type { Group } from './model.ts'
import type { SourceTime, Subject, WallTime } from '../types.ts'

/** Something that happened in the directory, as a feed reports it. `at`: the source's time. */
export type Signal =
  /** `group`: its id. */
  | {
      readonly kind: 'member'
      readonly user: Subject
      readonly group: string
      readonly member: boolean
      readonly at: SourceTime
    }
  /** Suspended, deactivated, deleted, locked out: `statusText` is the source's word for it. */
  | { readonly kind: 'inactive'; readonly user: Subject; readonly statusText: string; readonly at: SourceTime }
  /** Something about the person that only a reading can tell: activated again, for example. */
  | { readonly kind: 'reread'; readonly user: Subject; readonly at: SourceTime }
  /** Sessions begun before, on our clock, are over. */
  | { readonly kind: 'sessions-ended'; readonly user: Subject; readonly before: WallTime }
  /** The same for whoever is in the group: the application was taken away from it. */
  | { readonly kind: 'group-sessions-ended'; readonly group: string; readonly before: WallTime }
  | { readonly kind: 'group-deleted'; readonly group: string; readonly at: SourceTime }
  /** The group as it is now. */
  | { readonly kind: 'group'; readonly group: Group; readonly at: SourceTime }
  /** All members of a group, from a list that was read between `at` and `upTo`. */
  | {
      readonly kind: 'members'
      readonly group: Group
      readonly members: ReadonlySet<Subject>
      readonly at: SourceTime
      readonly upTo: SourceTime
    }

/** What a signal asks of those who can call the source; nobody's membership follows from it. */
export type Request =
  /** Renamed or made again: read it and say how it is. */
  | { readonly kind: 'read-group'; readonly group: string }
  /** Too much happened to be told one by one: compare what is known with the source. */
  | { readonly kind: 'reconcile' }

/** `log`: Okta's own record, authenticated by the connection. `hook`: an unsigned message, which may only take away. */
export type Trust = 'log' | 'hook'
