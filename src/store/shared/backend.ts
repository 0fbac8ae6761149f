/** What a shared store is made of: a server that many processes reach. Types only. */
import type { Change, Span, Trouble, WallTime } from '../../types.ts'

/** A record as the server has it, without what only the secret opens. */
export interface StoredRecord {
  readonly version: number
  readonly expiresAt: WallTime | undefined
  /** Fingerprint of the value of the index. */
  readonly index: string | undefined
  readonly sealed: string
}

/** `unreadable`: not in a form that we write. */
export type Found = StoredRecord | 'unreadable' | undefined

/** Version 0: there must be no record, or an expired one. */
export interface Guard {
  readonly table: string
  readonly id: string
  readonly version: number
}

/** One record to be put or deleted. */
export interface Write {
  readonly kind: Change['kind']
  readonly table: string
  readonly id: string
  /** For the change log. */
  readonly sealedKey: string
  /** Of a put. */
  readonly record?: Omit<StoredRecord, 'version'> & {
    /** Until it expires, by our clock; undefined: it does not. */
    readonly ttl: Span | undefined
  }
}

/** One line of the change log. */
export interface LogEntry {
  /** Grows with each change, for ever: also when the server comes back empty or with an older state. */
  readonly sequence: number
  /** Of the change before it: whoever misses one sees the gap. */
  readonly previous: number
  readonly kind: Change['kind']
  readonly table: string
  readonly sealedKey: string
}

/** A connection that is made again whenever it is lost; calls fail meanwhile, and none waits. */
export interface Connected {
  /** Resolves when there is a connection, or it is closed. */
  connected(): Promise<void>
  /** undefined: there is a connection. */
  trouble(): Trouble | undefined
  /** Gives this connection up, and makes another. */
  drop(reason: string): void
  close(): void
}

export interface ChangeLog extends Connected {
  newest(): Promise<number>
  /** The changes after this one, at most `LOG_PAGE`; waits for one, and gives none after `LOG_SILENCE`. */
  after(sequence: number): Promise<readonly LogEntry[]>
}

/** What a server says of itself, for whoever checks a configuration. */
export interface ServerFacts {
  /** `Redis 7.0.15`; undefined: it does not tell everybody. */
  readonly version: string | undefined
  /** Works, and not for ever. */
  readonly doubt?: { readonly message: string; readonly remedy: string }
}

/** Every call rejects ERR_STORE_UNAVAILABLE when there is no connection, no answer in time, or the server refuses. */
export interface Backend extends Connected {
  /** What people call it: `Redis`. */
  readonly product: string
  readonly log: ChangeLog
  /** Resolves when the server answers. */
  ping(): Promise<void>
  facts(): Promise<ServerFacts>
  read(table: string, id: string): Promise<Found>
  /** Records of a table, or of one value of its index, in the order of their ids; of a page that is full there may be more. */
  page(table: string, index: string | undefined, after: string): Promise<readonly (readonly [id: string, Found])[]>
  /** Records of a table. */
  count(table: string): Promise<number>
  /**
   * All or none, in one step. Gives the sequence number of each change, undefined for a deletion of nothing; undefined when
   * the guard did not hold.
   * @param known sequence number that later ones must exceed.
   */
  commit(
    writes: readonly Write[],
    guard: Guard | undefined,
    now: WallTime,
    known: number,
  ): Promise<readonly (number | undefined)[] | undefined>
  /** Removes some of what has expired; true: there is more. */
  sweep(): Promise<boolean>
  /** By the server's clock; nothing of it need be on disk. `id`: of no use to whoever reads it. */
  owe(debts: readonly { readonly id: string; readonly more: Span; readonly most: Span }[]): Promise<readonly Span[]>
  /** By the server's clock. false: somebody else holds it. */
  takeLease(name: string, holder: string, ttl: Span): Promise<boolean>
  /** 0 gives it up. false: it is not ours any more. */
  holdLease(name: string, holder: string, ttl: Span): Promise<boolean>
}

export const LOG_PAGE = 256
/** An answer so often says that there is nothing new. */
export const LOG_SILENCE: Span = 500
export const RECORD_PAGE = 256
