import type { FaultLog } from '../../lib/fault-tally.ts'
import type { Subject, Unsubscribe } from '../../types.ts'

/** Each of them may be looked up again at once, which costs more than telling. */
const TOLD_PER_TURN = 100
const SEEN_PER_TURN = 2000

/** Tells listeners of people; of a few at once, of many some a turn. */
export interface Announcer {
  announce(subjects: Iterable<Subject>): void
  /** As many as a group has; undefined is passed over. */
  announceMany(subjects: Iterable<Subject | undefined>): void
  onChange(listener: (subject: Subject) => void): Unsubscribe
}

export function createAnnouncer(report: FaultLog): Announcer {
  const listeners = new Set<(subject: Subject) => void>()
  const waiting = new Set<Subject>()
  const crowds: Iterator<Subject | undefined>[] = []
  let told = 0
  let scheduled = false

  function tell(subject: Subject): void {
    told++
    for (const listener of listeners) {
      try {
        listener(subject)
      } catch (error) {
        report(error, 'scim: a listener to changes failed', { user_id: subject })
      }
    }
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(() => {
      scheduled = false
      told = 0
      for (const subject of waiting) {
        if (told >= TOLD_PER_TURN) return schedule()
        waiting.delete(subject)
        tell(subject)
      }
      tellCrowd()
    })
  }

  function tellCrowd(): void {
    const [crowd] = crowds
    if (!crowd) return
    for (let seen = 0; seen < SEEN_PER_TURN && told < TOLD_PER_TURN; seen++) {
      const next = crowd.next()
      if (next.done === true) {
        crowds.shift()
        break
      }
      if (next.value !== undefined) tell(next.value)
    }
    if (crowds.length > 0) schedule()
  }

  return {
    announce(subjects) {
      for (const subject of new Set(subjects)) {
        if (told < TOLD_PER_TURN && waiting.size === 0) tell(subject)
        else waiting.add(subject)
        schedule()
      }
    },
    announceMany(subjects) {
      crowds.push(subjects[Symbol.iterator]())
      if (crowds.length === 1) tellCrowd()
    },
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
