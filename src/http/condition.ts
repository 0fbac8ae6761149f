/** Types only. */
import type { Span, WallTime } from '../types.ts'
import type { UpstreamState } from './upstream-state.ts'

/** How this process is doing. */
export interface Condition {
  readonly version: string
  readonly process: number
  readonly startedAt: WallTime
  /** The requests are shared with others of this machine (`workers`). */
  readonly shared: boolean
  readonly components: readonly {
    readonly name: string
    readonly status: string
    readonly since?: WallTime
    readonly detail?: string
  }[]
  readonly upstreams: readonly UpstreamState[]
  /** Okta's rate limits, in calls a minute. */
  readonly limits: readonly {
    readonly name: string
    readonly limit: number
    readonly remaining: number
    readonly allowance: number
  }[]
  /** One for each issuer that has people. */
  readonly directories: readonly DirectoryCondition[]
  /** Whose groups are in memory. */
  readonly people: number
  /** Open requests and tunnels to applications. */
  readonly streams: number
  readonly configuration: {
    readonly checksum: number
    readonly inForceSince: WallTime
    readonly routes: number
    readonly warnings: readonly string[]
    /** Keys that changed since the start and are read once. */
    readonly needsRestart: readonly string[]
    /** A later one that was not taken over. */
    readonly refused?: { readonly at: WallTime; readonly problem: string }
  }
}

export interface DirectoryCondition {
  readonly issuer: string
  /** `okta`, `scim`, `claims`, … */
  readonly source: string
  readonly people: number
  /** Since what is known was known to be up to date; absent: not read yet. */
  readonly staleness?: Span
  /** This process reads it. */
  readonly leading: boolean
  /** Of the last attempt, when it failed. */
  readonly trouble?: { readonly at: WallTime; readonly code: string; readonly message: string }
}

/** One request that was judged, as its log line says it; nothing of it can be used again. */
export interface RecentDecision {
  readonly at: WallTime
  readonly requestId: string
  readonly method: string
  readonly host: string
  /** Without the query. */
  readonly path: string
  readonly route: string
  readonly outcome: string
  readonly reasons: readonly string[]
  /** Address, or subject. Absent: nobody was signed in. */
  readonly person?: string
  /** Absent: the client had gone. */
  readonly status?: number
}
