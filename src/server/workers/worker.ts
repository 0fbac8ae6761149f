/** The worker's end of the channel to its primary. */
import cluster from 'node:cluster'
import { AppError, toAppError } from '../../errors.ts'
import { systemClock } from '../../lib/clock.ts'
import type { Owe, Span } from '../../types.ts'
import type { Metric } from '../exposition.ts'
import {
  type Answered,
  type AnswerTo,
  type Asked,
  type ConfigInput,
  type Fault,
  LISTENS,
  type Order,
  type Owed,
  type Owing,
  type Started,
  type WorkerReport,
} from './messages.ts'

/** What a worker does when it is told to; a rejection is told to the primary. */
export interface Worker {
  start(order: Extract<Order, { kind: 'start' }>): Promise<Started>
  prepare(input: ConfigInput): Promise<void>
  commit(): void
  abandon(): void
  refuse(problem: string): void
  report(): Promise<WorkerReport>
  setTicketKeys(keys: Buffer): void
  /** Resolves when nothing is left to do, with all that it has counted; the process ends then. */
  drain(): Promise<readonly Metric[]>
}

/** Was this process started by a primary? */
export function isWorker(): boolean {
  return cluster.isWorker
}

/** An event loop of the primary that stands still for so long answers nobody. */
const DEBTS_PATIENCE: Span = 2000

/** Debts in the memory of the primary, and so of all workers. Rejects when it does not answer. */
export function askPrimary(): Owe {
  const waiting = new Map<number, (owed: readonly Span[]) => void>()
  let asked = 0
  process.on('message', (message: unknown) => {
    const { owing, owed } = message as Partial<Owed>
    if (owing !== undefined && owed) waiting.get(owing)?.(owed)
  })
  return async (debts) => {
    const owing = ++asked
    let stopWaiting = (): void => {}
    try {
      return await new Promise((resolve, reject) => {
        const fail = (): void => reject(new AppError('ERR_INTERNAL', 'the primary does not answer'))
        waiting.set(owing, resolve)
        stopWaiting = systemClock.after(DEBTS_PATIENCE, fail)
        process.send?.({ owing, debts } satisfies Owing, undefined, undefined, (error: Error | null) => error && fail())
      })
    } finally {
      stopWaiting()
      waiting.delete(owing)
    }
  }
}

/** Until the worker has drained or could not start; then the process ends, as it does at once when its primary dies. */
export function obeyPrimary(worker: Worker): Promise<never> {
  // They are sent to all processes of a terminal or of a service: the primary says what is to be done.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})

  // Node ends a worker that has lost its primary.
  const end = (): void => process.disconnect?.()
  return new Promise(() => {
    process.on('message', (message: unknown) => {
      // Of the same program, over a channel that nobody else has.
      const { id, order } = message as Partial<Asked>
      if (id === undefined || !order) return
      void obey(order).then(
        (value) => answer({ id, value }, () => order.kind === 'drain' && end()),
        (error: unknown) => {
          const fault = faultOf(error)
          answer({ id, fault }, () => order.kind === 'start' && end())
        },
      )
    })
    answer({ id: LISTENS, value: undefined }, () => {})
  })

  async function obey(order: Order): Promise<AnswerTo<Order['kind']>> {
    switch (order.kind) {
      case 'start':
        return worker.start(order)
      case 'prepare':
        return worker.prepare(order.input)
      case 'commit':
        return worker.commit()
      case 'abandon':
        return worker.abandon()
      case 'refused':
        return worker.refuse(order.problem)
      case 'report':
        return worker.report()
      case 'ticket-keys':
        return worker.setTicketKeys(Buffer.from(order.keys))
      case 'drain':
        return worker.drain()
    }
  }
}

/** `sent` runs when it was, or when there is nobody left to tell. */
function answer(message: Answered, sent: () => void): void {
  process.send?.(message, undefined, undefined, sent)
}

function faultOf(error: unknown): Fault {
  const { code, message, cause } = toAppError(error)
  return { code, message, ...(cause instanceof Error && { cause: cause.message }) }
}
