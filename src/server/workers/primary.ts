/** The process that serves nothing: it starts workers, replaces those that end, and gives all of them one configuration. */
import { randomBytes } from 'node:crypto'
import { type AppError, messageOf, toAppError, faultFields } from '../../errors.ts'
import { every } from '../../lib/clock.ts'
import { elapsed } from '../../lib/time.ts'
import type { Clock, Logger, Monotonic, Span, Unsubscribe } from '../../types.ts'
import { countsOf, type Metric, together } from '../exposition.ts'
import type { Component } from '../health.ts'
import { createRegistry } from '../registry.ts'
import { worstOf } from './components.ts'
import type { ConfigInput, InForce, Started } from './messages.ts'
import type { WorkerProcess } from './process.ts'

export interface Workers {
  /** Resolves when all of them serve. Rejects with the fault of the first that cannot; none is left then. */
  start(input: ConfigInput): Promise<Started>
  /** Puts it into force in all of them or in none. Rejects with the reason. */
  reload(input: ConfigInput): Promise<void>
  /** Tells all of them why a configuration was not taken over. */
  refuse(problem: string): void
  /** One of them at the least serves. */
  areServing(): boolean
  components(): Promise<readonly Component[]>
  metrics(): Promise<readonly Metric[]>
  /** Resolves when the last has drained, or was ended after `patience`. */
  drain(patience: Span): Promise<void>
  /** Resolves with the last fault when none of them can be kept running. */
  readonly failed: Promise<AppError>
}

/** A start reads the store and asks for a lease; a store that is not there yet is waited for. */
const START_PATIENCE: Span = 120_000
/** An event loop that stands still for so long serves nobody. */
const RELOAD_PATIENCE: Span = 30_000
/** Probes and scrapes have a few seconds. */
const REPORT_PATIENCE: Span = 2000
/** A worker that ended after less is started again later each time. */
const STEADY: Span = 10_000
const FIRST_PAUSE: Span = 500
const LONGEST_PAUSE: Span = 30_000
/** Starts in a row that fail while no worker serves. */
const LAST_ATTEMPT = 5
/** Whoever learns the keys of session tickets reads what was said under them: they are in use for so long. */
const TICKET_KEYS_LIFE: Span = 12 * 3_600_000
/** Of TLS session tickets (RFC 5077 §4), as Node takes them. */
const TICKET_KEYS = 48

/** A place for one worker after the other. */
interface Seat {
  readonly worker: number
  running: Running | undefined
  /** Ends in a row that came too soon. */
  failures: number
  stopWaiting: Unsubscribe
}

interface Running {
  readonly process: WorkerProcess
  readonly since: Monotonic
  serves: boolean
  /** What it said last. */
  counted: readonly Metric[]
}

export function createWorkers(deps: {
  readonly count: number
  readonly spawn: () => WorkerProcess
  readonly clock: Clock
  readonly logger: Logger
}): Workers {
  const { count, spawn, clock, logger } = deps
  const seats = Array.from({ length: count }, (_, i): Seat => {
    return { worker: i + 1, running: undefined, failures: 0, stopWaiting: () => {} }
  })
  /** As long as Postern runs, workers begin with the fixed keys that the others have. */
  let inForce: InForce | undefined
  let ticketKeys = randomBytes(TICKET_KEYS)
  /** What workers had counted that have ended since. */
  let ended: readonly Metric[] = []
  let restarts = 0
  let isClosing = false
  /** The first start and reloads, one after the other. */
  let queue: Promise<unknown> = Promise.resolve()
  let fail: (fault: AppError) => void = () => {}
  const failed = new Promise<AppError>((resolve) => (fail = resolve))
  const stopRotating = every(clock, TICKET_KEYS_LIFE, () => {
    ticketKeys = randomBytes(TICKET_KEYS)
    for (const { process } of serving()) {
      process.ask({ kind: 'ticket-keys', keys: ticketKeys }, RELOAD_PATIENCE).catch(() => process.kill())
    }
  })

  const registry = createRegistry()
  registry.gauge('workers', 'Processes that serve requests.', () => serving().length)
  registry.totals('worker_restarts_total', 'Workers that ended and were started again.', [], () => [[[], restarts]])

  function serving() {
    return seats.flatMap(({ running }) => (running?.serves ? [running] : []))
  }

  function inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = queue.then(work)
    queue = result.catch(() => undefined)
    return result
  }

  async function launch(seat: Seat, given: InForce): Promise<Started> {
    const running: Running = { process: spawn(), since: clock.monotonic(), serves: false, counted: [] }
    seat.running = running
    void untilEnd(seat, running)
    try {
      const { worker } = seat
      const started = await running.process.ask({ kind: 'start', worker, inForce: given, ticketKeys }, START_PATIENCE)
      running.serves = true
      return started
    } catch (error) {
      running.process.kill()
      if (seat.running === running) seat.running = undefined
      throw error
    }
  }

  async function untilEnd(seat: Seat, running: Running): Promise<void> {
    const how = await running.process.ended
    ended = together([ended, countsOf(running.counted)])
    if (seat.running !== running) return
    seat.running = undefined
    if (running.serves) replace(seat, how, elapsed(clock.monotonic(), running.since))
  }

  /** A worker has ended that nobody told to. */
  function replace(seat: Seat, how: string, served: Span): void {
    if (isClosing) return
    seat.failures = served < STEADY ? seat.failures + 1 : 0
    logger.error({ error: 'ERR_WORKER', worker: seat.worker, how, restart_in: pauseOf(seat) }, 'a worker ended')
    restart(seat)
  }

  function restart(seat: Seat): void {
    restarts++
    seat.stopWaiting = clock.after(pauseOf(seat), () => void relaunch(seat))
  }

  async function relaunch(seat: Seat): Promise<void> {
    const given = inForce
    if (isClosing || !given) return
    try {
      await launch(seat, given)
      logger.info({ worker: seat.worker }, 'a worker was replaced')
    } catch (error) {
      if (inForce !== given) return relaunch(seat)
      const fault = toAppError(error)
      seat.failures++
      if (isClosing) return
      logger.error({ worker: seat.worker, ...faultFields(fault) }, 'a worker cannot start')
      if (seat.failures >= LAST_ATTEMPT && serving().length === 0) fail(fault)
      else restart(seat)
    }
  }

  async function load(next: ConfigInput): Promise<void> {
    const all = serving()
    const prepared = await Promise.allSettled(
      all.map(({ process }) => process.ask({ kind: 'prepare', input: next }, RELOAD_PATIENCE)),
    )
    const refusal = prepared.find((each) => each.status === 'rejected')
    if (!refusal && inForce) {
      inForce = { fixed: inForce.fixed, live: next }
      // One that began before and waits for its store, perhaps for minutes: no reload waits for it.
      for (const { running } of seats) if (running && !all.includes(running)) running.process.kill()
    }
    // Whoever can do neither has another configuration than the rest.
    const kind = refusal ? 'abandon' : 'commit'
    await Promise.all(all.map(({ process }) => process.ask({ kind }, RELOAD_PATIENCE).catch(() => process.kill())))
    if (refusal) throw refusal.reason
  }

  /** What each says; what it said last when it does not answer. */
  async function reports(): Promise<readonly (readonly Component[])[]> {
    return Promise.all(
      seats.map(async ({ worker, running }): Promise<readonly Component[]> => {
        if (!running?.serves) return []
        try {
          const { components, metrics } = await running.process.ask({ kind: 'report' }, REPORT_PATIENCE)
          running.counted = metrics
          return components
        } catch (error) {
          return [{ name: 'workers', status: 'degraded', detail: `worker ${worker}: ${messageOf(error)}` }]
        }
      }),
    )
  }

  function describeSeats(): Component {
    const now = serving().length
    const isWhole = now === count
    return { name: 'workers', status: isWhole ? 'ok' : 'degraded', detail: `${now} of ${count}` }
  }

  async function endAll(): Promise<void> {
    isClosing = true
    stopRotating()
    for (const seat of seats) seat.stopWaiting()
    const processes = seats.flatMap(({ running }) => (running ? [running.process] : []))
    for (const process of processes) process.kill()
    await Promise.all(processes.map((process) => process.ended))
  }

  return {
    failed,
    areServing: () => serving().length > 0,

    start: (first) =>
      inTurn(async () => {
        const given = (inForce = { fixed: first, live: first })
        try {
          const [started] = await Promise.all(seats.map((seat) => launch(seat, given)))
          return started as Started
        } catch (error) {
          await endAll()
          throw error
        }
      }),

    reload: (next) => inTurn(() => load(next)),

    refuse(problem) {
      // One that does not hear of it shows nothing that is wrong.
      for (const { process } of serving()) process.ask({ kind: 'refused', problem }, REPORT_PATIENCE).catch(() => {})
    },

    async components() {
      return worstOf([[describeSeats()], ...(await reports())])
    },

    async metrics() {
      await reports()
      const running = seats.flatMap((seat) => seat.running ?? [])
      return together([await registry.read(), ended, ...running.map(({ counted }) => counted)])
    },

    async drain(patience) {
      isClosing = true
      stopRotating()
      for (const seat of seats) seat.stopWaiting()
      const stopWaiting = clock.after(patience, () => void endAll())
      await Promise.all(
        seats.map(async ({ running }) => {
          if (!running) return
          // It ends with its answer, or could not start.
          running.process.ask({ kind: 'drain' }, patience).then(
            (metrics) => (running.counted = metrics),
            () => running.process.kill(),
          )
          await running.process.ended
        }),
      )
      stopWaiting()
    },
  }
}

function pauseOf({ failures }: Seat): Span {
  return failures === 0 ? 0 : Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
}
