import { Argument, Command, CommanderError, Option } from 'commander'
import { AppError, ERRORS } from '../../src/errors.ts'
import { checkCommand } from './commands/check.ts'
import { configPrintCommand } from './commands/config-print.ts'
import { healthCommand } from './commands/health.ts'
import { policyTestCommand } from './commands/policy-test.ts'
import { schemaCommand } from './commands/schema.ts'
import { type SecretFormat, secretsCommand } from './commands/secrets.ts'
import { versionCommand } from './commands/version.ts'
import { readVersion } from '../../src/lib/version.ts'
import type { Io } from './io.ts'
import { collected, commaList, CONFIG, FILE, JSON_OUTPUT, oneOf, PROVIDER, USER } from './options.ts'
import { addPeopleCommands } from './people-commands.ts'
import { addSetupCommands } from './setup-commands.ts'
import { printable } from './text.ts'

/** Arguments → command → exit code; what the commands do is theirs. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  let exitCode = 0
  const program = createProgram(io, (code) => {
    exitCode = code
  })
  try {
    await program.parseAsync([...args], { from: 'user' })
    return exitCode
  } catch (error) {
    if (error instanceof AppError) {
      io.err(printable(`postern: ${error.message}`))
      return exitCodeOf(error)
    }
    if (!(error instanceof CommanderError)) throw error
    // Help that was asked for is an answer; anything else that commander throws is a wrong use.
    return error.exitCode === 0 ? 0 : ERRORS.ERR_USAGE.exit
  }
}

/** The store and the directory are dependencies of a command, whatever their error means to a request. */
function exitCodeOf({ code, info }: AppError): number {
  return info.exit ?? (/^ERR_(?:STORE|DIRECTORY)_/.test(code) ? ERRORS.ERR_DEPENDENCY.exit : 1)
}

/** Every command with its arguments. The proxy and its native store are loaded only by the commands that need them. */
export function createProgram(io: Io, set: (exitCode: number) => void): Command {
  const program = new Command('postern')
    .description('Identity-aware reverse proxy: sign in with Okta, live groups, a policy per route.')
    .exitOverride()
    // So that what follows the address of `curl` is curl's.
    .enablePositionalOptions()
    .configureOutput({ writeOut: (text) => io.out(text.trimEnd()), writeErr: (text) => io.err(text.trimEnd()) })
    .version(readVersion())
    .showSuggestionAfterError()

  program
    .command('run')
    .description('start the proxy')
    .argument(...FILE)
    .option(...CONFIG)
    .action(async (file: string | undefined, { config }: { config?: string }) => {
      const { runCommand } = await import('./commands/run.ts')
      set(await runCommand({ config: oneOf(file, config) }))
    })

  program
    .command('check')
    .description('check a configuration, and print what to register at the identity provider')
    .argument(...FILE)
    .option(...CONFIG)
    .option('--online', 'also ask the identity provider, Okta, the store and the upstreams')
    .option('--websockets', 'online, and ask the upstream of each route for a WebSocket where the route begins')
    .option('--json', 'print one JSON object')
    .action(
      async (
        file: string | undefined,
        {
          config,
          online = false,
          websockets = false,
          json = false,
        }: { config?: string; online?: boolean; websockets?: boolean; json?: boolean },
      ) =>
        set(
          await checkCommand(
            { file: oneOf(file, config), online: online || websockets, webSockets: websockets, json },
            io,
          ),
        ),
    )

  program
    .command('explain')
    .description('say what Postern would do with a request, and why')
    .argument(...FILE)
    .option(...CONFIG)
    .option('--url <url>', 'address of the request')
    .option('--method <method>', 'method of the request', 'GET')
    .option('--ip <address>', "the client's address", '127.0.0.1')
    .option('--user <user>', `${USER}; groups are looked up where Postern keeps them`)
    .option('--email <email>', 'e-mail address')
    .option('--service-account <name>', 'a program with a service token, instead of a person')
    .option(...PROVIDER)
    .option('--groups <groups>', 'names or ids, with commas; nothing is looked up', commaList)
    .option('--live', 'look up groups in Okta now')
    .option('--from-log <log>', 'judge the decisions in a log of Postern again instead; - is standard input')
    .option('--certificate <file>', 'PEM file of a client certificate, which is taken for valid')
    .option('--header <header>', '`Name: value`; may be given more than once', collected)
    .option(...JSON_OUTPUT)
    .option('--exit-code', 'exit with 10 unless allowed')
    .action(
      async (
        file: string | undefined,
        given: {
          config?: string
          url?: string
          fromLog?: string
          method: string
          ip: string
          user?: string
          email?: string
          serviceAccount?: string
          provider?: string
          groups?: string[]
          live?: boolean
          certificate?: string
          header?: string[]
          json?: boolean
          exitCode?: boolean
        },
      ) => {
        const {
          user,
          email,
          serviceAccount,
          provider,
          groups,
          live = false,
          exitCode = false,
          json = false,
          url,
          method,
          ip,
        } = given
        const config = oneOf(file, given.config)
        if ((url === undefined) === (given.fromLog === undefined)) {
          throw new AppError('ERR_USAGE', 'expected --url with the address of a request, or --from-log with a log')
        }
        if (url === undefined) {
          const { explainLogCommand } = await import('./commands/explain-log.ts')
          return set(await explainLogCommand({ config, log: given.fromLog ?? '', json, exitCode }, io))
        }
        const { explainCommand } = await import('./commands/explain.ts')
        set(
          await explainCommand(
            {
              config,
              url,
              method,
              ip,
              user,
              email,
              serviceAccount,
              provider,
              groups,
              live,
              certificate: given.certificate,
              headers: given.header ?? [],
              json,
              exitCode,
            },
            io,
          ),
        )
      },
    )

  program
    .command('test')
    .description('run table tests of the policies')
    .argument('<tests>', 'YAML with `cases`')
    .option(...CONFIG)
    .option('--coverage', 'also name the criteria that no case has decided')
    .option(...JSON_OUTPUT)
    .action(
      async (
        tests: string,
        { config, coverage = false, json = false }: { config?: string; coverage?: boolean; json?: boolean },
      ) => set(await policyTestCommand({ tests, config, coverage, json }, io)),
    )

  program
    .command('access')
    .description('who can open what, and by which rule')
    .argument(...FILE)
    .option(...CONFIG)
    .option('--route <route>', 'name or host of one route')
    .option('--user <user>', `${USER} of one person`)
    .option('--format <format>', 'table, csv, json (one object a line) or html (one page)', 'table')
    .action(
      async (
        file: string | undefined,
        { config, route, user, format }: { config?: string; route?: string; user?: string; format: string },
      ) => {
        const { accessCommand } = await import('./commands/access.ts')
        set(await accessCommand({ config: oneOf(file, config), route, user, format }, io))
      },
    )

  program
    .command('login')
    .description('sign this terminal in to an application, with your browser')
    .argument('<url>', 'an address of the application')
    .option('--print', 'print the token instead of keeping it for `postern curl`')
    .option('--device', 'enter a code at the identity provider, from any machine, where that is allowed')
    .option('--no-browser', 'open no browser here: you copy a code from one, on any machine')
    .action(async (url: string, given: { print?: boolean; browser: boolean; device?: boolean }) => {
      const { print = false, browser, device = false } = given
      const { loginCommand } = await import('./commands/login.ts')
      set(await loginCommand({ url, print, browser, device }, io))
    })

  program
    .command('curl')
    .description('run curl with the token of `postern login`')
    .argument('<url>', 'an address of the application')
    .argument('[args...]', "curl's own")
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (url: string, args: string[]) => {
      const { curlCommand } = await import('./commands/curl.ts')
      set(await curlCommand({ url, args }, io))
    })

  addPeopleCommands(program, io, set)

  program
    .command('okta')
    .description('set up Okta')
    .command('hook')
    .description("Okta's event hook")
    .command('install')
    .description('make the event hook through the API, and have Okta verify it')
    .argument(...FILE)
    .option(...CONFIG)
    .option(...PROVIDER)
    .action(async (file: string | undefined, { config, provider }: { config?: string; provider?: string }) => {
      const { oktaHookInstallCommand } = await import('./commands/okta-hook.ts')
      set(await oktaHookInstallCommand({ config: oneOf(file, config), provider }, io))
    })

  const config = program.command('config').description('see the configuration, or make it from that of another proxy')
  config
    .command('print')
    .description('print what is in force and where each value comes from; secrets are hidden')
    .argument(...FILE)
    .option(...CONFIG)
    .option('--defaults', 'also what is not written, with its default')
    .option(...JSON_OUTPUT)
    .action(
      async (
        file: string | undefined,
        { config, defaults = false, json = false }: { config?: string; defaults?: boolean; json?: boolean },
      ) => set(await configPrintCommand({ file: oneOf(file, config), defaults, json }, io)),
    )
  config
    .command('migrate')
    .description("print Pomerium's or oauth2-proxy's configuration as ours")
    .argument('<file>', 'a file of any of their formats; - is standard input')
    .option('--from <format>', 'the format, if it cannot be detected')
    .option('--authenticate-url <url>', 'external URL of the sign-in service, where the input has none')
    .option('-o, --output <file>', 'write it to this file, which must not exist yet')
    .action(async (file: string, given: { from?: string; authenticateUrl?: string; output?: string }) => {
      const { configMigrateCommand } = await import('./commands/config-migrate.ts')
      const { from, authenticateUrl, output } = given
      set(await configMigrateCommand({ file, from, authenticateUrl, output }, io))
    })

  program
    .command('health')
    .description('ask a running Postern whether it is ready')
    .option('--addr <address>', '`host:port`; default: HEALTH_CHECK_ADDR, then 127.0.0.1:28080')
    .option('--exclude <names>', 'components that do not count, with commas', commaList)
    .option('--verbose', 'print every component')
    .action(async ({ addr, exclude = [], verbose = false }: { addr?: string; exclude?: string[]; verbose?: boolean }) =>
      set(await healthCommand({ addr, exclude, verbose }, io)),
    )

  const secrets = program.command('secrets').description('make secrets')
  secrets
    .command('generate')
    .description('print new secrets of the right size')
    .addArgument(new Argument('[what]', 'which ones').choices(['shared', 'signing-key', 'all'] as const).default('all'))
    .addOption(
      new Option('--format <format>', 'for the configuration, for the environment, or the value alone')
        .choices(['env', 'yaml', 'raw'] as const)
        .default('yaml'),
    )
    .action((what: 'shared' | 'signing-key' | 'all', { format }: { format: SecretFormat }) =>
      set(secretsCommand({ what, format }, io)),
    )

  program
    .command('schema')
    .description('print the JSON Schema of the configuration')
    .action(() => set(schemaCommand(io)))

  program
    .command('version')
    .description('print the version')
    .option('--json', 'print one JSON object')
    .action(({ json = false }: { json?: boolean }) => set(versionCommand({ json }, io)))

  addSetupCommands(program, io, set)
  return program
}
