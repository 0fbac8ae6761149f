import { Argument, type Command } from 'commander'
import { completionCommand, type Shell, SHELLS } from './commands/completion.ts'
import type { Io } from './io.ts'
import { manual } from './manual.ts'

/** The commands that come before and beside a running Postern. */
export function addSetupCommands(program: Command, io: Io, set: (exitCode: number) => void): void {
  program
    .command('init')
    .description('write a first configuration, and say what to click at the identity provider')
    .option('--provider <name>', 'okta, keycloak, azure, google, …; oidc is any other')
    .option('--provider-url <url>', 'its issuer: for Okta the address of the org')
    .option('--authenticate-url <url>', 'address of the sign-in service, or its host alone')
    .option('--app <addresses>', 'the first application: `https://wiki.corp.example=http://wiki:8080`')
    .option('--dir <dir>', 'where to write', '.')
    .option('-y, --yes', 'ask nothing')
    .action(
      async (given: {
        provider?: string
        providerUrl?: string
        authenticateUrl?: string
        app?: string
        dir: string
        yes?: boolean
      }) => {
        const { provider, providerUrl, authenticateUrl, app, dir: folder, yes = false } = given
        const { initCommand } = await import('./commands/init.ts')
        set(await initCommand({ provider, providerUrl, authenticateUrl, app, folder, yes }, io))
      },
    )

  program
    .command('dev')
    .description('put your own application behind Postern on this machine, with an identity provider included')
    .requiredOption('--to <url>', 'where your application listens')
    .option('--as <email>', 'who is signed in at first', 'alice@corp.example')
    .option('--groups <groups>', 'their groups, with commas', 'Engineering')
    .option('--name <name>', 'the application becomes `NAME.localhost`', 'app')
    .option('--port <port>', 'where Postern listens, on loopback', '8080')
    .action(async (given: { to: string; as: string; groups: string; name: string; port: string }) => {
      const { devOptions } = await import('./dev/options.ts')
      const { devCommand } = await import('./commands/dev.ts')
      set(await devCommand(devOptions(given), io))
    })

  program
    .command('completion')
    .description('print a script that completes commands and options in your shell')
    .addArgument(new Argument('<shell>', 'which one').choices(SHELLS))
    .action((shell: Shell) => set(completionCommand({ shell, program }, io)))

  program
    .command('man')
    .description('print the manual page, for man(1)')
    .action(() => io.out(manual(program).trimEnd()))
}
