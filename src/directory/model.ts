/** People and groups as sources see them, and the seams of the directory. Types only. */
import type { ErrorCode } from '../errors.ts'
import type { PersonKey, SourceTime, Subject, Unsubscribe, WallTime } from '../types.ts'

export interface Group {
  readonly id: string
  readonly name: string
  /** CLAIM: a value of the groups claim, where id and name are the same. */
  readonly type: 'OKTA_GROUP' | 'BUILT_IN' | 'APP_GROUP' | 'CLAIM'
}

/**
 * `asOf`: the source's time of the evidence, where a source named one. `keys`: what rules may match, built by
 * policy/membership.ts. `freshAt`: until when a change would have been heard of.
 */
export interface Membership {
  readonly groups: readonly Group[]
  readonly asOf?: SourceTime
  readonly freshAt: WallTime
  readonly source: string
  readonly keys: ReadonlySet<string>
}

export type UserStatus = 'active' | 'inactive'

/** One person as a source sees them. */
export interface Entry {
  readonly subject: Subject
  readonly status: UserStatus
  /** The source's own word: `SUSPENDED`. */
  readonly statusText: string
  readonly groups: readonly Group[]
  readonly asOf: SourceTime
  /** Server time: what happened up to here may be in it already. Absent: `asOf`. */
  readonly upTo?: SourceTime
  /** Which of several combined sources said so. */
  readonly source?: string
}

/** Who goes first when a source limits its callers: a sign-in before a confirmation before the background before repairs. */
export type ReadPriority = 'sign-in' | 'confirm' | 'background' | 'reconcile'

export interface DirectorySource {
  readonly name: string
  /**
   * undefined: the source has no such person. Rejects with ERR_DIRECTORY_… and never answers with half a set.
   * `priority` is `sign-in` unless said. `changed`: of several combined sources the one that has news; what the others said
   * last still counts.
   */
  lookup(user: Subject, signal: AbortSignal, priority?: ReadPriority, changed?: string): Promise<Entry | undefined>
}

export interface DirectoryHealth {
  readonly source: string
  readonly lastSuccess: WallTime | undefined
  readonly lastError: { readonly at: WallTime; readonly code: ErrorCode; readonly message: string } | undefined
}

/** Takes Okta's event hooks (okta-api.md#event-hooks). */
export interface EventHook {
  isAuthorized(authorization: string | undefined): boolean
  /** What to answer Okta's verification request with; undefined: the challenge is none. */
  verify(challenge: string | undefined): string | undefined
  /**
   * Judges a delivery at once and works on it afterwards: Okta waits no longer than three seconds. `too-large`: nothing
   * of it was used, the System Log has it all; `busy`: try again.
   */
  receive(authorization: string | undefined, body: string): 'ok' | 'unauthorized' | 'malformed' | 'too-large' | 'busy'
}

/** The SCIM 2.0 server, without HTTP: `path` is below its base, still encoded. Never rejects. */
export interface ScimServer {
  isAuthorized(authorization: string | undefined): boolean
  handle(request: {
    readonly method: string
    readonly path: string
    readonly query: URLSearchParams
    readonly authorization: string | undefined
    readonly body: string
  }): Promise<{ readonly status: number; readonly headers: Readonly<Record<string, string>>; readonly body: string }>
}

/**
 * In memory and synchronous where requests are judged: a decision never waits for Okta. It speaks for the people of one
 * issuer; of everybody else it knows nothing, whatever their subject.
 */
export interface Directory {
  /** 'unknown': never read, or older than `max_staleness`. Marks the person as live, so that they are kept fresh. */
  membership(person: PersonKey): Membership | 'unknown'
  status(person: PersonKey): UserStatus | 'unknown'
  /** Nothing is known here yet: what another process has just stored, or an earlier run, is looked for. Never rejects. */
  recall(person: PersonKey): Promise<void>
  /** Reads one person now (sign-in). Single flight per person. Never rejects: a failure leaves what was known. */
  refresh(person: PersonKey, signal: AbortSignal): Promise<Membership | 'unknown'>
  /** Takes what a sign-in's claims say; used by the claims source. */
  observe(person: PersonKey, entry: Entry): void
  health(): DirectoryHealth
  /** Why nothing newer is known of the person: the source has failed, and not answered since. undefined: nothing is wrong there. */
  trouble(person: PersonKey): DirectoryHealth['lastError']
  /** Status became inactive, or groups changed. */
  onChange(listener: (person: PersonKey, status: UserStatus | 'unknown') => void): Unsubscribe
  close(): Promise<void>
}
