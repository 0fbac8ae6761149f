import { type App, startApp } from '../../../src/app.ts'
import { formatIssues, type Loaded, loadConfig } from '../../../src/config/load.ts'
import { messageOf, toAppError } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createLogger } from '../../../src/lib/log.ts'
import { watchFiles } from '../../../src/server/watch.ts'
import type { Logger } from '../../../src/types.ts'

/** Starts Postern, follows its files, and resolves with the exit code when it has been asked to stop. */
export async function runCommand({ config: file }: { readonly config: string | undefined }): Promise<number> {
  const loaded = await loadConfig(file)
  if (loaded.kind === 'invalid') {
    for (const line of formatIssues(loaded.issues)) process.stderr.write(`${line}\n`)
    return 3
  }
  // From here on a signal is an order, not the end of the process.
  const stop = stopSignal()
  const { config } = loaded
  const logger = createLogger(config.live.logLevel)
  for (const line of formatIssues(loaded.warnings)) logger.warn({ at: line }, 'configuration')
  const app = await startApp({ config, logger }).catch(toAppError)
  if (app instanceof Error) {
    logger.error(
      {
        error: app.code,
        error_message: app.message,
        cause: app.cause instanceof Error ? app.cause.message : undefined,
      },
      'cannot start',
    )
    logger.flush()
    process.stderr.write(`postern: ${app.message}\n`)
    return app.info.exit ?? 1
  }
  const stopFollowing = await followFiles(app, file, loaded, logger)
  const { address, port } = app.listener.address
  logger.info(
    {
      address: `${address}:${port}`,
      routes: config.live.routes.length,
      authenticate: config.fixed.authenticateServiceUrl.href,
    },
    'listening',
  )
  const { health, metrics } = app.operations
  if (health || metrics)
    logger.info({ health: shown(health?.address), metrics: shown(metrics?.address) }, 'side listeners')

  const signal = await stop
  // Whoever asks twice does not want to wait.
  for (const again of STOP_SIGNALS) process.once(again, () => process.exit(130))
  logger.info({ signal }, 'stopping')
  stopFollowing()
  await app.close('drained')
  logger.info({}, 'stopped')
  logger.flush()
  return 0
}

/** A changed file, or SIGHUP, loads everything anew; what is not valid is refused and named, and the last good one stays. */
async function followFiles(app: App, file: string | undefined, first: Loaded, logger: Logger): Promise<() => void> {
  let loading: Promise<void> = Promise.resolve()
  const reload = (): void => {
    loading = loading.then(load).catch((error: unknown) => app.refuse(messageOf(error)))
  }
  async function load(): Promise<void> {
    const loaded = await loadConfig(file)
    await watch.follow(loaded.files)
    if (loaded.kind === 'invalid') {
      const errors = loaded.issues.filter(({ severity }) => severity === 'error')
      app.refuse(formatIssues(errors).join('; '))
      return
    }
    for (const line of formatIssues(loaded.warnings)) logger.warn({ at: line }, 'configuration')
    app.reload(loaded.config)
  }
  const watch = watchFiles(reload, { clock: systemClock })
  await watch.follow(first.files)
  process.on('SIGHUP', reload)
  return () => {
    process.off('SIGHUP', reload)
    watch.close()
  }
}

function shown(address: { readonly address: string; readonly port: number } | undefined): string | undefined {
  return address && `${address.address}:${address.port}`
}

const STOP_SIGNALS = ['SIGINT', 'SIGTERM'] as const

function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of STOP_SIGNALS) process.once(signal, resolve)
  })
}
