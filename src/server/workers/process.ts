/** A worker as its primary sees it: a process that is asked, answers, and may end at any moment. */
import cluster from 'node:cluster'
import { AppError, ERRORS } from '../../errors.ts'
import { systemClock } from '../../lib/clock.ts'
import type { Owe, Span } from '../../types.ts'
import {
  type Answered,
  type AnswerTo,
  type Asked,
  type Fault,
  LISTENS,
  type Order,
  type Owed,
  type Owing,
} from './messages.ts'

export interface WorkerProcess {
  readonly pid: number
  /** Rejects with the fault of the worker; with ERR_INTERNAL when it ends before, or says nothing for `patience`. */
  ask<K extends Order['kind']>(order: Extract<Order, { kind: K }>, patience: Span): Promise<AnswerTo<K>>
  /** Why it ended: `SIGKILL`, `exit code 1`. */
  readonly ended: Promise<string>
  kill(): void
}

/** Starts this program once more, as a worker. `owe`: what all workers have in common. */
export function spawnWorker(owe: Owe): WorkerProcess {
  // Workers accept connections themselves, whichever is free. Node's round robin accepts them here, which costs each of
  // them, and one that was handed to a worker as it is killed hangs for ever.
  cluster.schedulingPolicy = cluster.SCHED_NONE
  cluster.setupPrimary({ serialization: 'advanced' })
  const worker = cluster.fork()
  const waiting = new Map<
    number,
    { readonly resolve: (value: never) => void; readonly reject: (error: Error) => void }
  >()
  let asked = LISTENS
  const listens = new Promise<void>((resolve, reject) => waiting.set(LISTENS, { resolve, reject }))
  // Whoever asks is told.
  listens.catch(() => {})

  worker.on('message', (message: unknown) => {
    const answer = message as Partial<Answered> | null
    const waiter = typeof answer?.id === 'number' ? waiting.get(answer.id) : undefined
    if (!answer || !waiter) return
    if ('fault' in answer) waiter.reject(errorOf(answer.fault))
    // Typed by the order that was asked, and answered by the same program.
    else waiter.resolve(('value' in answer ? answer.value : undefined) as never)
  })
  worker.on('message', (message: unknown) => {
    const { owing, debts } = message as Partial<Owing>
    if (owing !== undefined && debts) void answerDebts(owing, debts)
  })
  const ended = new Promise<string>((resolve) => {
    const end = (how: string): void => {
      for (const { reject } of waiting.values())
        reject(unanswered(`worker process ${worker.process.pid} ended: ${how}`))
      resolve(how)
    }
    worker.once('exit', (code, signal) => end(signal || `exit code ${code}`))
    worker.on('error', (error) => {
      worker.process.kill('SIGKILL')
      // What could not be started does not exit either.
      if (worker.process.pid === undefined) end(error.message)
    })
  })

  async function answerDebts(owing: number, debts: Owing['debts']): Promise<void> {
    const owed = await owe(debts)
    // Whoever is gone needs no answer.
    if (worker.isConnected()) worker.send({ owing, owed } satisfies Owed, () => {})
  }

  return {
    pid: worker.process.pid ?? 0,
    ended,
    kill: () => void worker.process.kill('SIGKILL'),
    async ask(order, patience) {
      const id = ++asked
      let stopWaiting = (): void => {}
      try {
        return await new Promise((resolve, reject) => {
          waiting.set(id, { resolve, reject })
          stopWaiting = systemClock.after(patience, () =>
            reject(unanswered(`worker process ${worker.process.pid} does not answer`)),
          )
          void listens.then(
            () =>
              worker.send(
                { id, order } satisfies Asked,
                (error: Error | null) => error && reject(unanswered(error.message)),
              ),
            reject,
          )
        })
      } finally {
        stopWaiting()
        waiting.delete(id)
      }
    },
  }
}

function errorOf({ code, message, cause }: Fault): AppError {
  return new AppError(
    code in ERRORS ? code : 'ERR_INTERNAL',
    message,
    cause === undefined ? {} : { cause: new Error(cause) },
  )
}

function unanswered(message: string): AppError {
  return new AppError('ERR_INTERNAL', message)
}
