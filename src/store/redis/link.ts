import { AppError, messageOf } from '../../errors.ts'
import type { Clock, Logger, Span, StoreTrouble } from '../../types.ts'
import { unavailable } from '../record.ts'
import { type Connection, Refusal, type Reply } from './connection.ts'
import { addressOf } from './locate.ts'
import type { Script } from './scripts.ts'

const PATIENCE: Span = 3000
const FIRST_PAUSE: Span = 50
const LONGEST_PAUSE: Span = 1000

/** Another node is the right one by now, or this one cannot serve yet: look for it again. */
const ELSEWHERE: ReadonlySet<string> = new Set([
  'READONLY',
  'MOVED',
  'ASK',
  'CLUSTERDOWN',
  'LOADING',
  'MASTERDOWN',
  'TRYAGAIN',
])

/** A connection to the master that is made again whenever it is lost. Calls wait for nothing: without a connection they fail. */
export interface Link {
  /** Rejects ERR_STORE_UNAVAILABLE: no connection, no answer in time, or Redis refuses. */
  call(args: readonly string[], patience?: Span): Promise<Reply>
  /** A script and its arguments; the first is the key that says which slot is meant. */
  run(script: Script, key: string, args: readonly string[]): Promise<Reply>
  /** Resolves when there is a connection, or the link is closed. */
  connected(): Promise<void>
  /** undefined: there is a connection. */
  trouble(): StoreTrouble | undefined
  /** Gives this connection up, and makes another. */
  drop(reason: string): void
  close(): void
}

export function createLink(deps: {
  readonly connect: () => Promise<Connection>
  readonly clock: Clock
  readonly logger: Logger
  /** For the log: what it is for. */
  readonly purpose: string
}): Link {
  const { connect, clock, logger, purpose } = deps
  let current: Connection | undefined
  let trouble: StoreTrouble | undefined = { since: clock.now(), reason: 'there is no connection yet' }
  let waiting: (() => void)[] = []
  let endPause = (): void => {}
  let closed = false

  function lost(reason: string): void {
    current = undefined
    if (closed) return
    // Once for each outage, not for each attempt.
    if (!trouble || trouble.reason === 'there is no connection yet')
      logger.error({ purpose, reason }, 'store: no connection to Redis')
    trouble = { since: trouble?.since ?? clock.now(), reason }
  }

  function wake(): void {
    const all = waiting
    waiting = []
    for (const resolve of all) resolve()
  }

  async function keep(): Promise<void> {
    for (let failures = 0; !closed; ) {
      try {
        const connection = await connect()
        if (closed) return connection.close()
        failures = 0
        current = connection
        trouble = undefined
        logger.info({ purpose, node: addressOf(connection.node) }, 'store: connected to Redis')
        wake()
        lost(await connection.ended)
      } catch (error) {
        failures++
        lost(messageOf(error))
      }
      if (!closed) await pause(Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE))
    }
  }

  function pause(span: Span): Promise<void> {
    return new Promise((resolve) => {
      // Not all replicas at the same moment.
      const stop = clock.after(span * (0.5 + Math.random() / 2), resolve)
      endPause = () => {
        stop()
        resolve()
      }
    })
  }

  async function send(args: readonly string[], patience: Span): Promise<Reply> {
    if (closed) throw unavailable('it is closed')
    const connection = current
    if (!connection) throw unavailable(`no connection to Redis: ${trouble?.reason ?? 'it was lost'}`)
    try {
      return await connection.call(args, patience)
    } catch (error) {
      if (error instanceof Refusal && ELSEWHERE.has(error.kind)) connection.close()
      throw error
    }
  }

  /** The one place where errors of Redis become ours. */
  async function guarded(work: () => Promise<Reply>): Promise<Reply> {
    try {
      return await work()
    } catch (error) {
      if (closed) throw unavailable('it is closed')
      throw error instanceof AppError ? error : unavailable(`Redis: ${messageOf(error)}`, error)
    }
  }

  void keep()
  return {
    call: (args, patience = PATIENCE) => guarded(() => send(args, patience)),
    run: (script, key, args) =>
      guarded(async () => {
        try {
          return await send(['EVALSHA', script.sha1, '1', key, ...args], PATIENCE)
        } catch (error) {
          if (!(error instanceof Refusal) || error.kind !== 'NOSCRIPT') throw error
          return send(['EVAL', script.text, '1', key, ...args], PATIENCE)
        }
      }),
    connected: () => (current || closed ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    trouble: () => trouble,
    drop(reason) {
      current?.close()
      lost(reason)
    },
    close() {
      closed = true
      current?.close()
      endPause()
      wake()
    },
  }
}
