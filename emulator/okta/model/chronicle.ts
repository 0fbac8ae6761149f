import { randomUUID } from 'node:crypto'
import type { Unsubscribe } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Occurrence } from './types.ts'

/** The occurrences in the org, in order, for listeners. */
export interface Chronicle {
  record(eventType: string, facts: Partial<Occurrence>): void
  /** Occurrences within `work` are not recorded. */
  quietly(run: () => void): void
  /** Oldest first; at least the last 100,000. */
  history(): readonly Occurrence[]
  onOccurrence(listener: (occurrence: Occurrence) => void): Unsubscribe
}

const KEPT = 100_000

export function createChronicle(clock: Clock): Chronicle {
  const happened: Occurrence[] = []
  const listeners = new Set<(occurrence: Occurrence) => void>()
  let quiet = false
  return {
    record(eventType, facts) {
      if (quiet) return
      const occurrence: Occurrence = { uuid: randomUUID(), at: clock.now(), eventType, outcome: 'SUCCESS', ...facts }
      happened.push(occurrence)
      if (happened.length > 2 * KEPT) happened.splice(0, KEPT)
      for (const listener of listeners) listener(occurrence)
    },
    quietly(run) {
      const before = quiet
      quiet = true
      try {
        run()
      } finally {
        quiet = before
      }
    },
    history: () => happened,
    onOccurrence(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
