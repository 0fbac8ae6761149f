import type { Config } from '../../../src/config/model.ts'
import { AppError, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { parseDuration } from '../../../src/lib/duration.ts'
import { isServiceToken } from '../../../src/lib/service-token.ts'
import { isoTime } from '../../../src/lib/time.ts'
import type { Operator } from '../../../src/operator.ts'
import { isNamed } from '../../../src/routing/named.ts'
import { ALLOWED_METHODS } from '../../../src/routing/target.ts'
import type { ListedServiceToken, ServiceToken } from '../../../src/tokens/model.ts'
import type { Span } from '../../../src/types.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import { withOperator } from '../operator.ts'
import { ago, instant, printable, table } from '../text.ts'

export interface TokensCreateOptions {
  readonly config: string | undefined
  readonly name: string
  /** As durations are written in a configuration. */
  readonly expires: string
  readonly routes: readonly string[]
  readonly methods: readonly string[]
  readonly groups: readonly string[]
  readonly json: boolean
}

export interface TokensListOptions {
  readonly config: string | undefined
  readonly json: boolean
}

export interface TokensRevokeOptions {
  readonly config: string | undefined
  /** Its id, or the token itself. */
  readonly token: string | undefined
  readonly name: string | undefined
}

const MINUTE: Span = 60_000
const MAX_LIFETIME: Span = 366 * 86_400_000
/** It stands in logs, headers and the subject of the assertion. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const MAX_GROUPS = 100
/** No line breaks and their like. */
const GROUP = /^[^\p{Cc}\p{Cf}\p{Zl}\p{Zp}]{1,256}$/u

/** Makes a token and prints it, alone, on standard output. Exit code 0, 2 (wrong use, a store that cannot be shared), 3 (not valid) or 4 (no store). */
export async function tokensCreateCommand(options: TokensCreateOptions, io: Io): Promise<number> {
  return withStore(options.config, io, async (operator, config) => {
    const { token, record } = await operator.tokens.create(wantedOf(options, config))
    if (options.json) io.out(JSON.stringify({ secret: token, ...toJson(record) }, undefined, 2))
    else {
      io.out(token)
      io.err(
        printable(`token ${record.id} of ${record.account}, until ${instant(record.expiresAt)}; it is not shown again`),
      )
    }
    return 0
  })
}

/** Lists the tokens that have not ended. Exit code 0, 2 (a store that cannot be shared), 3 (not valid) or 4 (no store). */
export async function tokensListCommand({ config: file, json }: TokensListOptions, io: Io): Promise<number> {
  return withStore(file, io, async (operator) => {
    const tokens = await operator.tokens.list()
    if (json) io.out(JSON.stringify(tokens.map(toJson), undefined, 2))
    else if (tokens.length > 0) for (const line of describe(tokens, io)) io.out(line)
    else io.err('there are no service tokens')
    return 0
  })
}

/** Ends tokens, in a running Postern too. Exit code 0, 1 (there was none), 2 (wrong use, a store that cannot be shared), 3 (not valid) or 4 (no store). */
export async function tokensRevokeCommand({ config: file, token, name }: TokensRevokeOptions, io: Io): Promise<number> {
  if ((token === undefined) === (name === undefined)) {
    throw new AppError('ERR_USAGE', 'expected one of: a token (see `postern tokens list`), --name')
  }
  return withStore(file, io, async ({ tokens }) => {
    const ids: string[] = []
    if (token !== undefined) ids.push(isServiceToken(token) ? tokens.idOf(token) : token)
    else for (const { id, account } of await tokens.list()) if (account === name) ids.push(id)
    let ended = 0
    for (const id of ids) {
      const record = await tokens.revoke(id)
      if (!record) continue
      ended++
      io.out(printable(`ended ${record.id} of ${record.account}`))
    }
    if (ended === 0) io.err(printable('there is no such token; see `postern tokens list`'))
    return ended > 0 ? 0 : 1
  })
}

async function withStore(
  file: string | undefined,
  io: Io,
  work: (operator: Operator, config: Config) => Promise<number>,
): Promise<number> {
  const loaded = await readConfiguration(file, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  return withOperator(loaded.config, io, (operator) => work(operator, loaded.config))
}

/** What is asked for; throws ERR_USAGE for what could never open anything, or opens it for too long. */
function wantedOf(
  { name: account, expires, routes, methods: named, groups }: TokensCreateOptions,
  { live }: Config,
): Parameters<Operator['tokens']['create']>[0] {
  if (!NAME.test(account)) throw usage('--name', 'letters, digits, ".", "_" and "-", at most 64', account)
  const lifetime = parseDuration(expires)
  if (lifetime === undefined || lifetime < MINUTE || lifetime > MAX_LIFETIME) {
    throw usage('--expires', 'a duration from 1m to 366d, such as 90d', expires)
  }
  const taking = live.routes.filter(({ serviceTokens }) => serviceTokens)
  if (taking.length === 0)
    throw new AppError('ERR_USAGE', 'no route takes service tokens; write `service_tokens: true` at one')
  for (const route of routes) {
    if (taking.some((each) => isNamed(each, route))) continue
    const known = live.routes.some((each) => isNamed(each, route))
    throw new AppError(
      'ERR_USAGE',
      known
        ? `--route: ${JSON.stringify(route)} takes no service tokens; write \`service_tokens: true\` there`
        : `--route: no route is called ${JSON.stringify(route)}; expected a name or a host`,
    )
  }
  const methods = [...new Set(named.map((method) => method.toUpperCase()))]
  for (const method of methods)
    if (!ALLOWED_METHODS.has(method)) throw usage('--method', 'a method such as GET', method)
  for (const group of groups) if (!GROUP.test(group)) throw usage('--group', 'the name or id of a group', group)
  if (groups.length > MAX_GROUPS) throw new AppError('ERR_USAGE', `--group: expected at most ${MAX_GROUPS} groups`)
  return { account, routes: [...new Set(routes)], methods, groups: [...new Set(groups)], lifetime }
}

function usage(option: string, expected: string, found: string): AppError {
  return new AppError('ERR_USAGE', `${option}: expected ${expected}, found ${JSON.stringify(found)}`)
}

function describe(tokens: readonly ListedServiceToken[], io: Io): readonly string[] {
  const now = (io.clock ?? systemClock).now()
  const rows = tokens.map(({ id, account, routes, methods, groups, expiresAt, lastUsedAt }) => [
    id,
    account,
    routes.join(' ') || 'all',
    methods.join(' ') || 'all',
    groups.join(', ') || 'none',
    instant(expiresAt),
    lastUsedAt === undefined ? 'never' : ago(lastUsedAt, now),
  ])
  return table(['TOKEN', 'NAME', 'ROUTES', 'METHODS', 'GROUPS', 'ENDS', 'LAST USED'], rows)
}

function toJson(token: ServiceToken & Partial<Pick<ListedServiceToken, 'lastUsedAt'>>): object {
  const { id, account, routes, methods, groups, createdAt, expiresAt, lastUsedAt } = token
  return {
    token: id,
    name: account,
    routes,
    methods,
    groups,
    created_at: isoTime(createdAt),
    ends_at: isoTime(expiresAt),
    last_used_at: lastUsedAt === undefined ? null : isoTime(lastUsedAt),
  }
}
