import type { Command } from 'commander'
import type { Io } from './io.ts'
import { collected, commaList, CONFIG, FILE, JSON_OUTPUT, oneOf, PROVIDER, USER } from './options.ts'

/** The commands about people and programs that a running Postern knows: sessions, service tokens, groups. */
export function addPeopleCommands(program: Command, io: Io, set: (exitCode: number) => void): void {
  const sessions = program.command('sessions').description('see and end sessions, while Postern runs')
  sessions
    .command('list')
    .description('who is signed in')
    .argument(...FILE)
    .option(...CONFIG)
    .option('--user <user>', USER)
    .option(...JSON_OUTPUT)
    .action(
      async (
        file: string | undefined,
        { config, user, json = false }: { config?: string; user?: string; json?: boolean },
      ) => {
        const { sessionsListCommand } = await import('./commands/sessions.ts')
        set(await sessionsListCommand({ config: oneOf(file, config), user, json }, io))
      },
    )
  sessions
    .command('show')
    .description('one session: whose, since when, with what browser')
    .argument('<session>', 'as `sessions list` and the log show it')
    .option(...CONFIG)
    .option(...JSON_OUTPUT)
    .action(async (session: string, { config, json = false }: { config?: string; json?: boolean }) => {
      const { sessionsShowCommand } = await import('./commands/sessions.ts')
      set(await sessionsShowCommand({ config, session, json }, io))
    })
  sessions
    .command('revoke')
    .description('end sessions at once')
    .argument('[session]', 'as `sessions list` and the log show it')
    .option(...CONFIG)
    .option('--user <user>', `all sessions of this person: ${USER}`)
    .option('--all', 'all sessions of everybody')
    .action(
      async (
        session: string | undefined,
        { config, user, all = false }: { config?: string; user?: string; all?: boolean },
      ) => {
        const { sessionsRevokeCommand } = await import('./commands/sessions.ts')
        set(await sessionsRevokeCommand({ config, session, user, all }, io))
      },
    )

  const tokens = program.command('tokens').description('service tokens, with which programs come in')
  tokens
    .command('create')
    .description('make a token; it is printed once')
    .argument(...FILE)
    .option(...CONFIG)
    .requiredOption('--name <name>', 'of the service account: what policies and logs call it')
    .option('--expires <duration>', 'how long it lasts, at most 366d', '90d')
    .option('--route <route>', 'name or host of a route that it is for; may be given more than once', collected)
    .option('--method <methods>', 'methods that it is for, with commas', commaList)
    .option('--group <groups>', 'groups that it is in, with commas', commaList)
    .option(...JSON_OUTPUT)
    .action(
      async (
        file: string | undefined,
        given: {
          config?: string
          name: string
          expires: string
          route?: string[]
          method?: string[]
          group?: string[]
          json?: boolean
        },
      ) => {
        const { tokensCreateCommand } = await import('./commands/tokens.ts')
        const { name, expires, route: routes = [], method: methods = [], group: groups = [], json = false } = given
        const config = oneOf(file, given.config)
        set(await tokensCreateCommand({ config, name, expires, routes, methods, groups, json }, io))
      },
    )
  tokens
    .command('list')
    .description('the tokens there are: what for, until when, and when last used')
    .argument(...FILE)
    .option(...CONFIG)
    .option(...JSON_OUTPUT)
    .action(async (file: string | undefined, { config, json = false }: { config?: string; json?: boolean }) => {
      const { tokensListCommand } = await import('./commands/tokens.ts')
      set(await tokensListCommand({ config: oneOf(file, config), json }, io))
    })
  tokens
    .command('revoke')
    .description('end a token at once')
    .argument('[token]', 'as `tokens list` and the log show it; or a token that was found somewhere')
    .option(...CONFIG)
    .option('--name <name>', 'all tokens of this service account')
    .action(async (token: string | undefined, { config, name }: { config?: string; name?: string }) => {
      const { tokensRevokeCommand } = await import('./commands/tokens.ts')
      set(await tokensRevokeCommand({ config, token, name }, io))
    })

  program
    .command('groups')
    .description('see what is known of groups')
    .command('show')
    .description("a person's groups, or a group's people, with source and age")
    .argument('[user]', USER)
    .option(...CONFIG)
    .option('--group <group>', 'name or id, as in a rule: who is in it')
    .option('--live', 'ask Okta now')
    .option(...PROVIDER)
    .option(...JSON_OUTPUT)
    .action(
      async (
        user: string | undefined,
        given: { config?: string; group?: string; live?: boolean; provider?: string; json?: boolean },
      ) => {
        const { groupsShowCommand } = await import('./commands/groups.ts')
        const { config, group, live = false, provider, json = false } = given
        set(await groupsShowCommand({ config, user, group, live, provider, json }, io))
      },
    )
}
