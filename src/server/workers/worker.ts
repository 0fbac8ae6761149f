/** The worker's end of the channel to its primary. */
import cluster from 'node:cluster'
import { toAppError } from '../../errors.ts'
import {
  type Answered,
  type AnswerTo,
  type Asked,
  type ConfigInput,
  type Fault,
  LISTENS,
  type Order,
  type Started,
  type WorkerReport,
} from './messages.ts'

/** What a worker does when it is told to; a rejection is told to the primary. */
export interface Worker {
  start(order: Extract<Order, { kind: 'start' }>): Promise<Started>
  prepare(input: ConfigInput): Promise<void>
  commit(): void
  abandon(): void
  report(): Promise<WorkerReport>
  setTicketKeys(keys: Buffer): void
  /** Resolves when nothing is left to do; the process ends then. */
  drain(): Promise<void>
}

/** Was this process started by a primary? */
export function isWorker(): boolean {
  return cluster.isWorker
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
      const { id, order } = message as Asked
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
