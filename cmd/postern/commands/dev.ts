import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { formatIssues, parseConfig } from '../../../src/config/load.ts'
import { AppError, toAppError } from '../../../src/errors.ts'
import { every, systemClock } from '../../../src/lib/clock.ts'
import { createLogger } from '../../../src/lib/log.ts'
import { findPackage } from '../../../src/lib/version.ts'
import { startApp } from '../../../src/single.ts'
import type { Span } from '../../../src/types.ts'
import type { DevOptions } from '../dev/options.ts'
import type { DevProvider, DevProviderOptions, StartDevProvider } from '../dev/provider.ts'
import type { Io } from '../io.ts'

/**
 * One's own application behind Postern, with an identity provider of its own, until a signal. Everything listens on
 * loopback, answers to names below `localhost` alone, and is kept in memory. Exit code 0.
 */
export async function devCommand(options: DevOptions, io: Io): Promise<number> {
  const stopped = stopSignal()
  const origins = originsOf(options)
  const startProvider = await loadProvider()
  const provider = await startProvider({ origins, as: options.as })
  try {
    const judged = parseConfig(configOf(options, origins, provider), 'postern dev', {}, noFile)
    if (judged.kind === 'invalid') {
      for (const line of formatIssues(judged.issues)) io.err(line)
      return 2
    }
    const { config } = judged
    const logger = createLogger(config.live.logLevel)
    // Lines for people on a terminal.
    logger.prepare(config.live).commit()
    const app = await startApp({ config, logger }).catch(nameThePort)
    try {
      for (const line of welcome(options, origins)) io.err(line)
      await stopped
      return 0
    } finally {
      await app.close('now')
    }
  } finally {
    await provider.close()
  }
}

function originsOf({ name, port }: DevOptions): DevProviderOptions['origins'] {
  const at = (host: string): string => new URL(`http://${host}.localhost:${port}`).origin
  return { app: at(name), authenticate: at('authenticate'), people: at('people') }
}

/** It is in the npm package and in a checkout; the image has nothing for development. */
async function loadProvider(): Promise<StartDevProvider> {
  const file = new URL('dist/dev/provider.js', findPackage()?.root)
  if (!existsSync(file)) {
    throw new AppError('ERR_USAGE', 'dev: its identity provider is not part of the image; run it from the npm package')
  }
  const { startDevProvider } = (await import(file.href)) as { readonly startDevProvider: StartDevProvider }
  return startDevProvider
}

/** JSON is YAML. */
function configOf(
  { to, name, port }: DevOptions,
  origins: DevProviderOptions['origins'],
  provider: DevProvider,
): string {
  return JSON.stringify({
    authenticate_service_url: origins.authenticate,
    address: `127.0.0.1:${port}`,
    shared_secret: randomBytes(32).toString('base64'),
    idp_provider: 'okta',
    idp_provider_url: origins.people,
    idp_internal_url: provider.origin,
    idp_client_id: provider.clientId,
    idp_client_secret: provider.clientSecret,
    idp_service_account: provider.apiToken,
    directory: { okta: { url: provider.origin, log_interval: '1s' } },
    storage: { type: 'memory' },
    pass_identity_headers: true,
    jwt_claims_headers: ['email', 'name', 'groups'],
    routes: [
      // A first compilation may take its time.
      { name, from: origins.app, to, timeout: '0s', allow_any_authenticated_user: true },
      {
        name: 'people',
        from: origins.people,
        to: provider.origin,
        allow_public_unauthenticated_access: true,
        pass_identity_headers: false,
      },
    ],
  })
}

/** The person has written no `address`. */
function nameThePort(error: unknown): never {
  const fault = toAppError(error)
  if (fault.code !== 'ERR_LISTEN') throw fault
  throw new AppError('ERR_LISTEN', `${fault.message}; choose another one with --port`, { cause: fault })
}

function noFile(path: string): never {
  throw new TypeError(`${path}: the configuration of dev names no file`)
}

function welcome({ to, as }: DevOptions, { app, people }: DevProviderOptions['origins']): readonly string[] {
  const groups = as.groups.length > 0 ? ` (${as.groups.join(', ')})` : ''
  return [
    '',
    `  ${app}   ${to}, as ${as.login}${groups}`,
    `  ${people}   become somebody else`,
    '',
    `  The application gets X-Postern-Jwt-Assertion and X-Postern-Claim-Email, -Name and -Groups;`,
    `  keys to verify the former: http://127.0.0.1:${new URL(app).port}/.well-known/postern/jwks.json`,
    '',
    '  Ctrl-C ends everything.',
    '',
  ]
}

/** What is left behind holds the port. */
const SHELL_INTERVAL: Span = 200
const STOP_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/** Whoever asks twice does not want to wait. */
function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of STOP_SIGNALS) {
      process.once(signal, () => {
        process.once(signal, () => process.exit(130))
        resolve()
      })
    }
    // npm passes SIGTERM on to the shell between us, which ends and tells nobody.
    const shell = process.env['npm_command'] === undefined ? undefined : process.ppid
    if (shell !== undefined) every(systemClock, SHELL_INTERVAL, () => process.ppid !== shell && resolve())
  })
}
