/**
 * What changed in the embedded store: a log that every process tails. A record's version is the sequence number of its
 * change, so it never returns.
 */
import { earlier } from '../lib/time.ts'
import { yieldToEventLoop } from '../lib/wait.ts'
import type { Change, Clock, Logger, Span, Store, Unsubscribe, WallTime } from '../types.ts'

const PAGE = 256
/** Changes that are announced before others have their turn: about 2 ms. */
const PAGES_PER_TURN = 4
/** A process that did not look at the log for this long has more to fear than a missed change. */
const KEPT: Span = 600_000

interface StoredChange extends Change {
  readonly at: WallTime
}

/** The part of an LMDB map that holds the log; the map is store/lmdb.ts's. */
interface Entries {
  getKeys(options: { readonly reverse: true; readonly limit: number }): Iterable<number>
  getRange(options: {
    readonly start?: number
    readonly limit: number
  }): Iterable<{ readonly key: number; readonly value: string }>
  put(sequence: number, value: string): unknown
}

export interface ChangeLog {
  /** In a transaction, before anything is appended. */
  begin(): void
  /** In a transaction. The sequence number of this change. */
  append(table: string, key: string, kind: Change['kind']): number
  /** Announces what is new: a few pages at once, a backlog (another process wrote a lot) a few pages a turn. */
  deliver(): void
  /** Resolves when all that was new when it began has been announced; undefined: it has. */
  backlog(): Promise<void> | undefined
  /** Of the newest change; 0: none. */
  last(): number
  /** Of changes that nobody needs any more, the oldest first. Reads what is committed. */
  outdated(now: WallTime, limit: number): readonly number[]
  watch: Store['watch']
  close(): void
}

/** `read` sees what is committed now; `background` keeps what is thrown from whoever is not to blame. */
export function createChangeLog(deps: {
  readonly entries: Entries
  readonly read: <T>(work: () => T) => T
  readonly background: (what: string, work: () => void) => void
  readonly clock: Clock
  readonly logger: Logger
}): ChangeLog {
  const { entries, read, background, clock, logger } = deps
  const listeners = new Set<{ readonly onChange: (change: Change) => void; readonly onGap: (() => void) | undefined }>()
  let seen = last()
  let delivering = false
  let backlog: Promise<void> | undefined
  /** In a transaction: of the newest change. */
  let sequence = 0

  function last(): number {
    for (const newest of entries.getKeys({ reverse: true, limit: 1 })) return newest
    return 0
  }

  function deliver(): void {
    if (delivering || backlog || listeners.size === 0) return
    delivering = true
    let isDone = true
    background('change log', () => (isDone = announcePages()))
    delivering = false
    if (isDone) return
    backlog = yieldToEventLoop().then(() => {
      backlog = undefined
      deliver()
      return backlog
    })
  }

  /** false: there may be more. */
  function announcePages(): boolean {
    for (let pages = 0; pages < PAGES_PER_TURN; pages++) {
      const page = read(() => [...entries.getRange({ start: seen + 1, limit: PAGE })])
      for (const { key, value } of page) announce(key, JSON.parse(value) as StoredChange)
      if (page.length < PAGE) return true
    }
    return false
  }

  function announce(at: number, { table, key, kind }: StoredChange): void {
    const missed = at - seen - 1
    seen = at
    if (missed > 0) reportGap(missed)
    for (const { onChange } of listeners) background('listener', () => onChange({ table, key, kind }))
  }

  function reportGap(missed: number): void {
    logger.warn({ missed }, 'store: changes were missed')
    for (const { onGap } of listeners) if (onGap) background('listener', onGap)
  }

  return {
    begin() {
      sequence = last()
    },
    append(table, key, kind) {
      const change: StoredChange = { table, key, kind, at: clock.now() }
      void entries.put(++sequence, JSON.stringify(change))
      return sequence
    },
    deliver,
    backlog: () => backlog,
    last,
    outdated: (now, limit) =>
      read(() => {
        const newest = last()
        const old: number[] = []
        for (const { key, value } of entries.getRange({ limit })) {
          // The newest stays: the next sequence number is counted from it.
          if ((JSON.parse(value) as StoredChange).at > earlier(now, KEPT) || key === newest) break
          old.push(key)
        }
        return old
      }),
    watch(onChange, onGap): Unsubscribe {
      if (listeners.size === 0) seen = read(last)
      // An object of its own each time, so that one listener may watch twice and stop once.
      const own = { onChange, onGap }
      listeners.add(own)
      return () => listeners.delete(own)
    },
    close: () => listeners.clear(),
  }
}
