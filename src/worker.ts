/** One of several processes that serve requests: what it does at the word of its primary. */
import { loadConfig } from './config/load.ts'
import type { Config } from './config/model.ts'
import { replay } from './config/recorded.ts'
import { formatIssues } from './config/issues.ts'
import { AppError } from './errors.ts'
import { createLogger, type ProcessLogger } from './lib/log.ts'
import { type Serving, startServing } from './app.ts'
import type { ConfigInput, InForce } from './server/workers/messages.ts'
import { createPreparation } from './server/workers/preparation.ts'
import { askPrimary, type Worker } from './server/workers/worker.ts'

export function createWorker(): Worker {
  let logger: ProcessLogger | undefined
  let serving: Serving | undefined
  const preparation = createPreparation({ read: configOf, build: (next) => serving?.prepare(next) })

  return {
    async start({ worker, inForce, ticketKeys }) {
      const config = await configInForce(inForce)
      logger = createLogger(config.live.logLevel, undefined, worker)
      logger.prepare(config.live).commit()
      serving = await startServing({ config, logger, owe: askPrimary() })
      serving.listener.setTicketKeys(ticketKeys)
      const { address, port } = serving.listener.address
      return { address: `${address}:${port}` }
    },
    ...preparation,
    refuse: (problem) => serving?.refuse(problem),
    report: async () => ({ components: serving?.components() ?? [], metrics: (await serving?.metrics()) ?? [] }),
    setTicketKeys: (keys) => serving?.listener.setTicketKeys(keys),
    async drain() {
      await serving?.close('drained')
      logger?.flush()
      return (await serving?.metrics()) ?? []
    },
  }
}

/** A key that needs a restart needs that of all workers. */
async function configInForce({ fixed, live }: InForce): Promise<Config> {
  const first = await configOf(fixed)
  if (live === fixed) return first
  const { live: changed, warnings = [] } = await configOf(live)
  return { ...first, live: changed, warnings }
}

/** What the primary has read and judged. */
async function configOf({ file, files }: ConfigInput): Promise<Config> {
  const loaded = await loadConfig(file, undefined, replay(files))
  if (loaded.kind === 'ok') return loaded.config
  throw new AppError('ERR_CONFIG_INVALID', formatIssues(loaded.issues).join('; '))
}
