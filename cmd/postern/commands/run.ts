import { formatIssues, type Loaded, loadConfig } from '../../../src/config/load.ts'
import type { Config } from '../../../src/config/model.ts'
import { record } from '../../../src/config/recorded.ts'
import { type AppError, messageOf, toAppError } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createLogger, type ProcessLogger } from '../../../src/lib/log.ts'
import type { Operations } from '../../../src/server/operations.ts'
import { checksumOf, type Trigger } from '../../../src/server/reload.ts'
import { watchFiles } from '../../../src/server/watch.ts'
import { availableCores } from '../../../src/server/workers/cores.ts'
import type { ConfigInput } from '../../../src/server/workers/messages.ts'
import { isWorker, obeyPrimary } from '../../../src/server/workers/worker.ts'
import type { Logger } from '../../../src/types.ts'
import { createServiceManager } from '../service-manager.ts'

/** Starts Postern, follows its files, and resolves with the exit code when it has been asked to stop. */
export async function runCommand({ config: file }: { readonly config: string | undefined }): Promise<number> {
  if (isWorker()) {
    const { createWorker } = await import('../../../src/worker.ts')
    return obeyPrimary(createWorker())
  }
  const { loaded, input } = await load(file)
  if (loaded.kind === 'invalid') {
    for (const line of formatIssues(loaded.issues)) process.stderr.write(`${line}\n`)
    return 3
  }
  // From here on a signal is an order, not the end of the process.
  const stop = stopSignal()
  const { config } = loaded
  const logger = createLogger(config.live.logLevel)
  try {
    logger.prepare(config.live).commit()
  } catch (error) {
    return end(toAppError(error), 'cannot start', logger)
  }
  for (const line of formatIssues(loaded.warnings)) logger.warn({ at: line }, 'configuration')
  const running = await Promise.race([start(config, input, logger).catch(toAppError), stop])
  if (typeof running === 'string') {
    logger.info({ signal: running }, 'stopped before it had started')
    // A store that does not answer is still waited for. Workers end with this process.
    process.exit(0)
  }
  if (running instanceof Error) return end(running, 'cannot start', logger)
  const manager = createServiceManager({ serves: () => running.serves(), clock: systemClock, logger })
  const { address, workers, operations } = running
  const ready = (problem?: string): void =>
    manager.ready(
      `listening on ${address}${problem === undefined ? '' : `; the last change is not in force: ${problem}`}`,
    )
  const stopFollowing = await followFiles(running, file, loaded, logger, {
    reloading: () => manager.reloading(),
    ready,
  })
  logger.info(
    {
      address,
      routes: config.live.routes.length,
      authenticate: config.fixed.authenticateServiceUrl.href,
      ...(workers > 1 && { workers }),
    },
    'listening',
  )
  logger.audit(
    {
      event: 'configuration',
      outcome: 'accepted',
      trigger: 'start',
      routes: config.live.routes.length,
      checksum: checksumOf(config.fixed, config.live),
    },
    'configuration in force',
  )
  const { health, metrics } = operations
  if (health || metrics)
    logger.info({ health: shown(health?.address), metrics: shown(metrics?.address) }, 'side listeners')
  ready()

  const over = await Promise.race([stop, running.failed])
  // Whoever asks twice does not want to wait.
  for (const again of STOP_SIGNALS) process.once(again, () => process.exit(130))
  stopFollowing()
  const told = manager.stopping()
  if (over instanceof Error) {
    await running.close()
    return end(over, 'no worker can be kept running', logger)
  }
  logger.info({ signal: over }, 'stopping')
  await Promise.all([running.close(), told])
  logger.info({}, 'stopped')
  logger.flush()
  return 0
}

/** Postern in this process, or in workers of it. */
interface Running {
  /** `host:port`. */
  readonly address: string
  readonly workers: number
  readonly operations: Operations
  serves(): boolean
  reload(next: Config, input: ConfigInput, trigger: Trigger): Promise<void>
  refuse(problem: string, trigger: Trigger): void
  /** Resolves when it ends by itself. */
  readonly failed: Promise<AppError>
  close(): Promise<void>
}

/** What the many do not need the one does not load, and the other way round. */
async function start(config: Config, input: ConfigInput, logger: ProcessLogger): Promise<Running> {
  const workers = workersOf(config)
  if (workers > 1) {
    const { startPrimary } = await import('../../../src/primary.ts')
    return { ...(await startPrimary({ config, input, count: workers, logger })), workers }
  }
  const { startApp } = await import('../../../src/single.ts')
  const app = await startApp({ config, logger })
  return {
    workers,
    address: shown(app.listener.address),
    operations: app.operations,
    serves: () => true,
    reload: async (next, _input, trigger) => void app.reload(next, trigger),
    refuse: (problem, trigger) => app.refuse(problem, trigger),
    failed: new Promise(() => {}),
    close: () => app.close('drained'),
  }
}

function workersOf({ fixed: { workers, storage } }: Config): number {
  if (workers !== 'auto') return workers
  // Sessions in memory are known to one process alone.
  return storage.kind === 'memory' ? 1 : availableCores()
}

async function load(file: string | undefined): Promise<{ readonly loaded: Loaded; readonly input: ConfigInput }> {
  const { readBytes, files } = record()
  const loaded = await loadConfig(file, undefined, readBytes)
  return { loaded, input: { file, files } }
}

/** A changed file, or SIGHUP, loads everything again; what is not valid is refused and named, and the last good one stays. */
async function followFiles(
  running: Running,
  file: string | undefined,
  first: Loaded,
  logger: Logger,
  tell: { readonly reloading: () => void; readonly ready: (problem?: string) => void },
): Promise<() => void> {
  let loading: Promise<void> = Promise.resolve()
  const reload = (trigger: Trigger): void => {
    loading = loading.then(() => takeOver(trigger))
  }
  async function takeOver(trigger: Trigger): Promise<void> {
    tell.reloading()
    const problem = await loadAnew(trigger).catch(messageOf)
    if (problem !== undefined) running.refuse(problem, trigger)
    tell.ready(problem)
  }
  /** Why not, when what was read is refused. */
  async function loadAnew(trigger: Trigger): Promise<string | undefined> {
    const { loaded, input } = await load(file)
    await watch.follow(loaded.files)
    if (loaded.kind === 'invalid') {
      const errors = loaded.issues.filter(({ severity }) => severity === 'error')
      return formatIssues(errors).join('; ')
    }
    for (const line of formatIssues(loaded.warnings)) logger.warn({ at: line }, 'configuration')
    await running.reload(loaded.config, input, trigger)
    return undefined
  }
  const watch = watchFiles(() => reload('file'), { clock: systemClock })
  await watch.follow(first.files)
  const onSignal = (): void => reload('signal')
  process.on('SIGHUP', onSignal)
  return () => {
    process.off('SIGHUP', onSignal)
    watch.close()
  }
}

/** Says why, and gives the exit code. */
function end({ code, message, cause, info }: AppError, what: string, logger: ProcessLogger): number {
  logger.error({ error: code, error_message: message, cause: cause instanceof Error ? cause.message : undefined }, what)
  logger.flush()
  process.stderr.write(`postern: ${message}\n`)
  return info.exit ?? 1
}

function shown(address: { readonly address: string; readonly port: number }): string
function shown(address: { readonly address: string; readonly port: number } | undefined): string | undefined
function shown(address: { readonly address: string; readonly port: number } | undefined): string | undefined {
  return address && `${address.address}:${address.port}`
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const

function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of STOP_SIGNALS) process.once(signal, resolve)
  })
}
