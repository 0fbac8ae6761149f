import { AppError, messageOf } from '../../errors.ts'
import { createFaultTally } from '../../lib/fault-tally.ts'
import { elapsed } from '../../lib/time.ts'
import type { Clock, Logger, Span, Trouble } from '../../types.ts'
import { unavailable } from '../record.ts'
import type { Connected } from './backend.ts'

const FIRST_PAUSE: Span = 50
const LONGEST_PAUSE: Span = 400
const STABLE: Span = 1000

/** A connection in use. */
export interface Session<C> {
  /** For the log: where it leads. */
  readonly name: string
  readonly connection: C
  /** Resolves with the reason when it is lost or closed. */
  readonly ended: Promise<string>
  close(reason?: string): void
}

export interface Link<C> extends Connected {
  /** Rejects ERR_STORE_UNAVAILABLE without a connection, and for what the work rejects with. */
  use<T>(work: (connection: C) => Promise<T>): Promise<T>
}

/** A connection that is made again whenever it is lost. Calls wait for nothing: without a connection they fail. */
export function createLink<C>(deps: {
  readonly connect: () => Promise<Session<C>>
  readonly clock: Clock
  readonly logger: Logger
  /** For messages: `Redis`. */
  readonly product: string
  /** For the log: what it is for. */
  readonly purpose: string
}): Link<C> {
  const { connect, clock, logger, product, purpose } = deps
  let current: Session<C> | undefined
  let trouble: Trouble | undefined = { since: clock.now(), reason: 'there is no connection yet' }
  let waiting: (() => void)[] = []
  let endPause = (): void => {}
  /** What the log said last. */
  let told: 'connected' | 'lost' | undefined
  let tally = createFaultTally(clock)
  let closed = false

  function lost(reason: string): void {
    current = undefined
    if (closed) return
    // Each reason once in an outage, and then how often: what it was lost by is seldom what keeps it away. Other figures
    // (a time limit, a port) are no other reason.
    if (told !== 'lost') tally = createFaultTally(clock)
    const repeated = tally(reason.replaceAll(/\d+/g, ''), 'lost')
    if (repeated !== undefined)
      logger.error(
        { purpose, error: 'ERR_STORE_UNAVAILABLE', error_message: reason, ...(repeated > 0 && { repeated }) },
        `store: no connection to ${product}`,
      )
    told = 'lost'
    trouble = { since: trouble?.since ?? clock.now(), reason }
  }

  function connected(node: string): void {
    if (told !== 'connected') logger.info({ purpose, node }, `store: connected to ${product}`)
    told = 'connected'
  }

  function wake(): void {
    const all = waiting
    waiting = []
    for (const resolve of all) resolve()
  }

  async function keep(): Promise<void> {
    for (let failures = 0; !closed; ) {
      try {
        const session = await connect()
        if (closed) return session.close()
        const since = clock.monotonic()
        current = session
        trouble = undefined
        wake()
        // After an outage it has to last before the log says that it is over.
        const stop = clock.after(told === 'lost' ? STABLE : 0, () => connected(session.name))
        const reason = await session.ended
        stop()
        lost(reason)
        // One that is given up at once, for what the server says over it, is no success.
        failures = elapsed(clock.monotonic(), since) < STABLE ? failures + 1 : 0
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

  void keep()
  return {
    async use(work) {
      if (closed) throw unavailable('it is closed')
      if (!current) throw unavailable(`no connection to ${product}: ${trouble?.reason ?? 'it was lost'}`)
      try {
        return await work(current.connection)
      } catch (error) {
        if (closed) throw unavailable('it is closed')
        // The one place where errors of the server become ours.
        throw error instanceof AppError ? error : unavailable(`${product}: ${messageOf(error)}`, error)
      }
    },
    connected: () => (current || closed ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
    trouble: () => trouble,
    drop(reason) {
      if (!current) return
      current.close(reason)
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
