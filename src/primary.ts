/** Several processes as one Postern: workers serve, this one has the side listeners and hands on the configuration. */
import type { Config } from './config/model.ts'
import { openAll } from './lib/closing.ts'
import { systemClock } from './lib/clock.ts'
import { createDebts } from './lib/debts.ts'
import type { ProcessLogger } from './lib/log.ts'
import { type Operations, startOperations } from './server/operations.ts'
import { compareConfig, type Trigger } from './server/reload.ts'
import type { ConfigInput } from './server/workers/messages.ts'
import { createWorkers } from './server/workers/primary.ts'
import { spawnWorker } from './server/workers/process.ts'
import type { AppError } from './errors.ts'
import type { Clock, Span } from './types.ts'

export interface Primary {
  /** `host:port` of the listener. */
  readonly address: string
  readonly operations: Operations
  /** Some worker takes requests now. */
  serves(): boolean
  /** Puts a new configuration into force in all workers, as far as it can change while running. Rejects when one of them cannot have it; then nothing has changed. */
  reload(next: Config, input: ConfigInput, trigger: Trigger): Promise<void>
  /** A configuration that was not accepted: the last good one stays, and says so. */
  refuse(problem: string, trigger: Trigger): void
  /** Resolves when no worker can be kept running. */
  readonly failed: Promise<AppError>
  /** Not ready from now on; resolves when all workers have drained. */
  close(): Promise<void>
}

/** A worker that has not ended by itself so long after `drain_timeout` is killed. */
const LAST_GRACE: Span = 5000

/** `input`: what `config` was made of. Rejects when a worker cannot start; nothing is left then. */
export function startPrimary(options: {
  readonly config: Config
  readonly input: ConfigInput
  /** Workers, two or more. */
  readonly count: number
  readonly logger: ProcessLogger
  readonly clock?: Clock
}): Promise<Primary> {
  const { config, input, count, logger, clock = systemClock } = options
  const { fixed } = config
  let { live } = config
  const owe = createDebts({ clock })
  const workers = createWorkers({ count, spawn: () => spawnWorker(owe), clock, logger })
  const drain = (): Promise<void> => workers.drain(live.drainDelay + live.drainTimeout + LAST_GRACE)
  return openAll(async (closing) => {
    const { address } = await workers.start(input)
    // Nobody has been told that it serves.
    closing.add(() => workers.drain(0))
    const operations = await startOperations({
      fixed,
      components: () => workers.components(),
      metrics: () => workers.metrics(),
      serves: () => workers.areServing(),
      clock,
      logger,
    })
    operations.setReady(true)
    return {
      address,
      operations,
      serves: () => workers.areServing(),
      failed: workers.failed,
      async reload(next, made, trigger) {
        const outcome = compareConfig(fixed, live, next)
        const log = logger.prepare(next.live)
        try {
          await workers.reload(made)
        } catch (error) {
          log.abandon()
          throw error
        }
        ;({ live } = next)
        log.commit()
        operations.reloaded(outcome, trigger)
      },
      refuse(problem, trigger) {
        workers.refuse(problem)
        operations.reloaded({ problem }, trigger)
      },
      async close() {
        operations.setReady(false)
        await drain()
        await operations.close()
      },
    }
  })
}
