import { randomBytes } from 'node:crypto'
import type { Span, Unsubscribe } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Occurrence } from '../model/types.ts'

/** `seq`: order of persistence, which is not the order of `occurrence.at`. */
export interface LogEntry {
  readonly seq: number
  readonly persistedAt: Span
  readonly occurrence: Occurrence
}

/** Events that reach the log late, as Okta's sometimes do; the first fitting rule counts. */
export interface LogDelay {
  readonly by: Span
  /** Prefix of the event type; without it every event. */
  readonly eventType?: string
  /** How many events; without it all until `clearDelays`. */
  readonly times?: number
}

/** The stored events and their order (okta-api.md#system-log). */
export interface SystemLog {
  /** Part of every cursor: those of another log, or given out before `dropCursors`, are refused. */
  readonly epoch: string
  /** `seq` of the newest entry; 0 when there is none. */
  readonly last: number
  accept(occurrence: Occurrence): void
  /** Entries with a greater `seq`, in order of persistence. */
  after(seq: number): IterableIterator<LogEntry>
  /** `seq` of the last entry persisted at that instant or before. */
  position(at: Span): number
  delay(rule: LogDelay): void
  /** New events are stored at once again; delayed ones stay delayed. */
  clearDelays(): void
  dropCursors(): void
  close(): void
}

/** Okta keeps 90 days. */
const KEPT: Span = 90 * 24 * 3_600_000
/** Bounds the memory of a long benchmark; no client may be that far behind. */
const MOST = 400_000

export function createSystemLog(clock: Clock): SystemLog {
  let entries: LogEntry[] = []
  let last = 0
  let epoch = newEpoch()
  let delays: { rule: LogDelay; left: number }[] = []
  const late = new Set<Unsubscribe>()

  function persist(occurrence: Occurrence): void {
    last += 1
    entries.push({ seq: last, persistedAt: clock.now(), occurrence })
    const oldest = entries[0]
    if (entries.length > 2 * MOST) entries = entries.slice(-MOST)
    else if (oldest && oldest.persistedAt < clock.now() - KEPT) entries = entries.slice(indexAfter(clock.now() - KEPT))
  }
  /** Index of the first entry persisted later than `at`. */
  function indexAfter(at: Span): number {
    let low = 0
    let high = entries.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((entries[middle]?.persistedAt ?? 0) <= at) low = middle + 1
      else high = middle
    }
    return low
  }
  function lateness(eventType: string): Span {
    const found = delays.find(({ rule, left }) => left > 0 && eventType.startsWith(rule.eventType ?? ''))
    if (!found) return 0
    found.left -= 1
    return found.rule.by
  }

  return {
    get epoch() {
      return epoch
    },
    get last() {
      return last
    },
    accept(occurrence) {
      const by = lateness(occurrence.eventType)
      if (by === 0) {
        persist(occurrence)
        return
      }
      const cancel = clock.after(by, () => {
        late.delete(cancel)
        persist(occurrence)
      })
      late.add(cancel)
    },
    *after(seq) {
      const oldest = clock.now() - KEPT
      // Entries are consecutive, so the index follows from the number.
      for (let at = Math.max(0, seq + 1 - (entries[0]?.seq ?? 1)); at < entries.length; at++) {
        const entry = entries[at]
        if (entry && entry.persistedAt >= oldest) yield entry
      }
    },
    position: (at) => (entries[0]?.seq ?? last + 1) + indexAfter(at) - 1,
    delay: (rule) => void delays.push({ rule, left: rule.times ?? Number.POSITIVE_INFINITY }),
    clearDelays() {
      delays = []
    },
    dropCursors() {
      epoch = newEpoch()
    },
    close() {
      for (const cancel of late) cancel()
      late.clear()
    },
  }
}

const newEpoch = (): string => randomBytes(6).toString('base64url')
