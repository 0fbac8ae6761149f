/** Postern in one process: it serves, and has the side listeners. Of several processes: primary.ts and worker.ts. */
import { type Serving, startServing } from './app.ts'
import type { ServingOptions } from './process.ts'
import type { Config } from './config/model.ts'
import { systemClock } from './lib/clock.ts'
import { openAll } from './lib/closing.ts'
import { type Operations, startOperations } from './server/operations.ts'
import { compareConfig, type Reload, type Trigger } from './server/reload.ts'

/** A whole Postern in this process. */
export interface App extends Pick<Serving, 'listener' | 'redirect'> {
  readonly operations: Operations
  /** Puts a new configuration into force as far as it can change while running. */
  reload(next: Config, trigger?: Trigger): Reload
  /** A configuration that was not accepted: the last good one stays, and says so. */
  refuse(problem: string, trigger?: Trigger): void
  /** As `Serving` closes; not ready from now on. */
  close(how?: 'now' | 'drained'): Promise<void>
}

/** Rejects when something cannot be opened; what was opened before it is closed then. */
export function startApp(options: ServingOptions): Promise<App> {
  return openAll(async (closing) => {
    const { config, logger, clock = systemClock } = options
    const { fixed } = config
    let { live } = config
    const serving = await startServing(options)
    closing.add(() => serving.close())
    const operations = await startOperations({
      fixed,
      components: async () => serving.components(),
      metrics: () => serving.metrics(),
      serves: () => true,
      clock,
      logger,
    })
    operations.setReady(true)
    return {
      listener: serving.listener,
      redirect: serving.redirect,
      operations,
      reload(next, trigger = 'file') {
        const outcome = compareConfig(fixed, live, next)
        serving.prepare(next).commit()
        ;({ live } = next)
        operations.reloaded(outcome, trigger)
        return outcome
      },
      refuse(problem, trigger = 'file') {
        serving.refuse(problem)
        operations.reloaded({ problem }, trigger)
      },
      async close(how) {
        operations.setReady(false)
        await serving.close(how)
        await operations.close()
      },
    }
  })
}
