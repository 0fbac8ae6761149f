import { AppError, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { hookOf, installOktaHook } from '../../../src/okta-account.ts'
import type { IdpConfig } from '../../../src/config/model.ts'
import { readConfiguration } from '../configuration.ts'
import { OKTA_TIMEOUT_MS, withDeadline } from '../deadline.ts'
import type { Io } from '../io.ts'
import { providerNamed } from '../judge.ts'
import { printable } from '../text.ts'
import { describeHook } from './registration.ts'

/**
 * Makes the event hook at Okta, or makes it right, and has Okta verify it. Exit code 0, 2 (nothing to install), 3 (not
 * valid) or 4 (Okta refused it, or could not verify it).
 */
export async function oktaHookInstallCommand(
  { config: file, provider }: { readonly config: string | undefined; readonly provider: string | undefined },
  io: Io,
) {
  const loaded = await readConfiguration(file, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  const { config } = loaded
  const idp = providerNamed(config, provider)
  const hook = hookOf(config, idp)
  if (!hook) {
    throw new AppError(
      'ERR_USAGE',
      'Okta shows a secret with each event: configure idp_service_account and directory.okta.event_hook_secret (`postern secrets generate shared --format raw`)',
    )
  }
  const org = idp.directory.kind === 'okta' ? idp.directory.url.origin : ''
  if (!hook.uri.startsWith('https:')) {
    const problem = `Okta calls event hooks over https only, and authenticate_service_url makes this one ${hook.uri}`
    if (org.startsWith('https:')) throw new AppError('ERR_USAGE', problem)
    io.err(`note: ${problem}; an emulator may take it`)
  }
  const clock = io.clock ?? systemClock
  const { id, done, unverified } = await withDeadline(OKTA_TIMEOUT_MS, (signal) =>
    installOktaHook(idp, hook, { clock, logger: silentLogger }, signal),
  ).catch((error: unknown) => {
    throw error instanceof AppError ? explained(error, idp) : error
  })
  io.out(printable(`${done} event hook ${id} "${hook.name}" at ${org}`))
  for (const line of describeHook(hook)) io.out(line)
  if (unverified === undefined) {
    io.out('verified: Okta has reached it; deliveries begin within minutes')
    return 0
  }
  io.err(printable(`failed: Okta could not verify it: ${unverified}`))
  io.err(
    `check that Postern runs with this configuration, that ${new URL(hook.uri).host} resolves and is reachable from the internet (at least from Okta's addresses), that its certificate is of a public authority, and that nothing in front answers ${new URL(hook.uri).pathname} itself; then run this again`,
  )
  return ERRORS.ERR_DEPENDENCY.exit
}

/** Reading is all that Postern's own credentials are for; here they meet their limits. */
function explained(error: AppError, { directory }: IdpConfig): AppError {
  if (error.code !== 'ERR_DIRECTORY_FORBIDDEN') return error
  const remedy =
    directory.kind === 'okta' && directory.credentials.kind === 'service-app'
      ? 'grant the app the scope okta.eventHooks.manage and the role Super Administrator for this command, and take both away afterwards'
      : "give it to this command alone, as OKTA_API_TOKEN, and leave Postern's own token a read-only one"
  return new AppError(
    'ERR_DIRECTORY_FORBIDDEN',
    `${error.message}; event hooks are made by a Super Administrator's token: ${remedy}; or create the hook in Okta's Admin Console, as \`postern check --online\` prints it`,
    { cause: error },
  )
}
