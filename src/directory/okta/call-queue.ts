import type { Clock, Span, Monotonic, Unsubscribe } from '../../types.ts'
import type { ReadPriority } from '../model.ts'
import type { Budget } from './budget.ts'
import { earliest, elapsed, later, NEVER } from '../../lib/time.ts'

const RANK: Readonly<Record<ReadPriority, number>> = { 'sign-in': 0, confirm: 1, background: 2, reconcile: 3 }

/** Repairs stand back for so long, call for call, while anybody else waits. */
const REPAIR_PATIENCE: Span = 15_000

interface Waiter {
  readonly since: Monotonic
  readonly bucket: string
  readonly priority: ReadPriority
  readonly start: (release: () => void) => void
  readonly refuse: (reason: unknown) => void
}

/** Where calls wait for the budget and for a free connection: the urgent first, equals in their order of arrival. */
export interface CallQueue {
  /** Resolves when the call may be made; the caller releases when it has ended. Rejects with the signal's reason. */
  take(bucket: string, priority: ReadPriority, signal: AbortSignal): Promise<() => void>
  /** Whoever waits is rejected. */
  close(): void
}

export function createCallQueue({ budget, clock }: { readonly budget: Budget; readonly clock: Clock }): CallQueue {
  let waiting: Waiter[] = []
  let running = 0
  let disarm: Unsubscribe = () => {}

  /** The background never takes the last connection, so that a sign-in finds one; repairs run one at a time. */
  function hasRoom(priority: ReadPriority): boolean {
    const room = budget.parallelism(clock.monotonic())
    if (priority === 'reconcile') return running === 0
    return running < (priority === 'background' ? Math.max(1, room - 1) : room)
  }

  /** Until when the call stands back for others who wait, whatever bucket they wait for. */
  function standsBackUntil({ priority, since }: Waiter): Monotonic {
    const yields = priority === 'reconcile' && waiting[0] !== undefined && waiting[0].priority !== 'reconcile'
    return yields ? later(since, REPAIR_PATIENCE) : NEVER
  }

  function startWhatMay(): void {
    disarm()
    const now = clock.monotonic()
    let next: Monotonic | undefined
    waiting = waiting.filter((waiter) => {
      if (!hasRoom(waiter.priority)) return true
      const patient = standsBackUntil(waiter)
      if (patient > now) {
        next = earliest(next ?? patient, patient)
        return true
      }
      const turn = budget.ask(waiter.bucket, waiter.priority, now)
      if (!turn.go) {
        next = earliest(next ?? turn.waitUntil, turn.waitUntil)
        return true
      }
      running++
      waiter.start(release())
      return false
    })
    if (next !== undefined) disarm = clock.after(Math.max(0, elapsed(next, now)), startWhatMay)
  }

  function release(): () => void {
    let released = false
    return () => {
      if (released) return
      released = true
      running--
      startWhatMay()
    }
  }

  return {
    take(bucket, priority, signal) {
      return new Promise((resolve, reject) => {
        const giveUp = (): void => {
          waiting = waiting.filter((other) => other !== waiter)
          waiter.refuse(signal.reason)
        }
        const waiter: Waiter = {
          since: clock.monotonic(),
          bucket,
          priority,
          start(done) {
            signal.removeEventListener('abort', giveUp)
            resolve(done)
          },
          refuse(reason) {
            signal.removeEventListener('abort', giveUp)
            reject(reason instanceof Error ? reason : new Error('given up'))
          },
        }
        if (signal.aborted) return waiter.refuse(signal.reason)
        signal.addEventListener('abort', giveUp, { once: true })
        const behind = waiting.findIndex((other) => RANK[other.priority] > RANK[priority])
        waiting.splice(behind === -1 ? waiting.length : behind, 0, waiter)
        startWhatMay()
      })
    },

    close() {
      disarm()
      for (const waiter of waiting.splice(0)) waiter.refuse(new Error('closed'))
    },
  }
}
