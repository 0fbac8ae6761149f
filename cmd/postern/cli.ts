import { Argument, Command, CommanderError, Option } from 'commander'
import { ERRORS } from '../../src/errors.ts'
import { checkCommand } from './commands/check.ts'
import { schemaCommand } from './commands/schema.ts'
import { secretsCommand } from './commands/secrets.ts'
import { readVersion, versionCommand } from './commands/version.ts'
import type { Io } from './io.ts'

/** Arguments → command → exit code; what the commands do is theirs. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  let exitCode = 0
  const set = (code: number): void => {
    exitCode = code
  }
  const program = new Command('postern')
    .description('Identity-aware reverse proxy: sign in with Okta, live groups, a policy per route.')
    .exitOverride()
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text.trimEnd()) })
    .version(readVersion())
    .showSuggestionAfterError()

  program
    .command('run')
    .description('start the proxy')
    .option('-c, --config <file>', 'YAML or JSON; without it, the environment alone')
    .action(async ({ config }: { config?: string }) => {
      // The proxy and its native store are loaded only by the command that needs them.
      const { runCommand } = await import('./commands/run.ts')
      set(await runCommand({ config }))
    })

  program
    .command('check')
    .description('judge a configuration, and print what to register at the identity provider')
    .argument('[file]', 'YAML or JSON; without it, the environment alone')
    .option('--online', 'also ask the identity provider and the group directory')
    .option('--json', 'print one JSON object')
    .action(async (file: string | undefined, { online = false, json = false }: { online?: boolean; json?: boolean }) =>
      set(await checkCommand({ file, online, json }, io)),
    )

  program
    .command('version')
    .description('print the version')
    .option('--json', 'print one JSON object')
    .action(({ json = false }: { json?: boolean }) => set(versionCommand({ json }, io)))

  program
    .command('secrets')
    .description('make secrets')
    .command('generate')
    .description('print new secrets of the right size')
    .addArgument(new Argument('[what]', 'which ones').choices(['shared', 'signing-key', 'all'] as const).default('all'))
    .addOption(
      new Option('--format <format>', 'for a file or for the environment')
        .choices(['env', 'yaml'] as const)
        .default('yaml'),
    )
    .action((what: 'shared' | 'signing-key' | 'all', { format }: { format: 'env' | 'yaml' }) =>
      set(secretsCommand({ what, format }, io)),
    )

  program
    .command('schema')
    .description('print the JSON Schema of the configuration')
    .action(() => set(schemaCommand(io)))

  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error
    // Help that was asked for is an answer; anything else that commander throws is a wrong use.
    return error.exitCode === 0 ? 0 : ERRORS.ERR_USAGE.exit
  }
}
