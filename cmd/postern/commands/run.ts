import { type App, startApp } from '../../../src/app.ts'
import { formatIssue, loadConfig } from '../../../src/config/load.ts'
import { toAppError } from '../../../src/errors.ts'
import { createLogger } from '../../../src/lib/log.ts'


/** Starts Postern and resolves with the exit code when it has been asked to stop. */
export async function runCommand({ config: file }: { readonly config: string | undefined }): Promise<number> {
  const loaded = await loadConfig(file)
  if (loaded.kind === 'invalid') {
    for (const issue of loaded.issues) process.stderr.write(`${formatIssue(issue)}\n`)
    return 3
  }
  const { config } = loaded
  const logger = createLogger(config.log.level)
  for (const warning of loaded.warnings) logger.warn({ at: formatIssue(warning) }, 'configuration')
  let app: App
  try {
    app = await startApp({ config, logger })
  } catch (thrown) {
    const error = toAppError(thrown)
    logger.error(
      {
        error: error.code,
        error_message: error.message,
        cause: error.cause instanceof Error ? error.cause.message : undefined,
      },
      'cannot start',
    )
    logger.flush()
    process.stderr.write(`postern: ${error.message}\n`)
    return error.info.exit ?? 1
  }
  const { address, port } = app.listener.address
  logger.info(
    { address: `${address}:${port}`, routes: config.routes.length, authenticate: config.authenticate.url.href },
    'listening',
  )

  const signal = await stopSignal()
  logger.info({ signal }, 'stopping')
  process.once(signal, () => process.exit(130))
  await app.close({ delay: config.operations.drainDelay, timeout: config.operations.drainTimeout })
  logger.flush()
  return 0
}

function stopSignal(): Promise<NodeJS.Signals> {
  return new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve(signal))
  })
}
