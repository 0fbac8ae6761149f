import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { systemReason } from '../../../src/config/input.ts'
import type { Config } from '../../../src/config/model.ts'
import { issuerOf } from '../../../src/lib/person.ts'
import { AppError, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { wallTime } from '../../../src/lib/time.ts'
import type { Principal } from '../../../src/policy/model.ts'
import { servicePrincipal } from '../../../src/policy/service-principal.ts'
import type { ServiceToken } from '../../../src/tokens/model.ts'
import type { WallTime } from '../../../src/types.ts'
import { openOperator, type Operator } from '../../../src/operator.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import { makeIdentity, makePrincipal, makeProgram, providerOf } from '../judge.ts'
import { createJudge, type Judgement, outcomeOf, reasonsOf } from '../../../src/policy/question.ts'
import { messagesTo } from '../messages.ts'
import { count, printable } from '../text.ts'

export interface ExplainLogOptions {
  readonly config: string | undefined
  /** A log of Postern, or `-` for standard input. */
  readonly log: string
  readonly json: boolean
  /** Answer 10 when a decision would be another one. */
  readonly exitCode: boolean
}

const DIFFERENT = 10
const MAX_LINE = 65_536

/** A decision as the log tells it. */
interface Logged {
  readonly method: string
  readonly host: string
  readonly path: string
  readonly clientIp: string
  readonly userId: string | undefined
  readonly email: string | undefined
  /** Of a program with a service token: its name, and the id of the token. */
  readonly service: { readonly account: string; readonly token: string } | undefined
  readonly decision: string
  readonly reasons: readonly string[]
  readonly at: WallTime | undefined
}

/**
 * Judges the decisions of a log again, by this configuration and the groups that are known now, at the time that the log
 * tells. The log has no query and no headers. Exit code 0, 2 (cannot be read), 3 (not valid), or 10 with `exitCode`.
 */
export async function explainLogCommand(
  { config: file, log, json, exitCode }: ExplainLogOptions,
  io: Io,
): Promise<number> {
  const loaded = await readConfiguration(file, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  const { config } = loaded
  const judge = createJudge(config)
  const now = (io.clock ?? systemClock).now()
  const operator = await openStore(config, io)
  const personOf = createPeople(config, operator)
  let [read, different, skipped] = [0, 0, 0]
  try {
    for await (const line of linesOf(log)) {
      const logged = parseLine(line)
      // The log does not have what was shown as a token.
      if (!logged || logged.decision === 'bad-token') {
        if (line.trim() !== '') skipped++
        continue
      }
      read++
      const who = await personOf(logged)
      const url = `https://${logged.host}${logged.path}`
      const judgement = judge({ method: logged.method, url, ip: logged.clientIp, who, now: logged.at ?? now })
      const outcome = outcomeOf(judgement)
      const same = outcome === logged.decision
      if (!same) different++
      if (json) io.out(JSON.stringify(toJson(logged, judgement, same)))
      else if (!same) for (const text of describe(logged, judgement)) io.out(printable(text))
    }
  } finally {
    await operator?.close()
  }
  const note = skipped > 0 ? `; ${count(skipped, 'line')} without a decision` : ''
  io.err(`${count(read, 'decision')}, ${different} of them would be another one now${note}`)
  return exitCode && different > 0 ? DIFFERENT : 0
}

async function* linesOf(log: string): AsyncIterable<string> {
  const input: Readable = log === '-' ? process.stdin : createReadStream(log)
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) yield line
  } catch (error) {
    throw new AppError('ERR_USAGE', `cannot read ${log}: ${systemReason(error)}`, { cause: error })
  }
}

/** undefined: no line about a decision. */
function parseLine(line: string): Logged | undefined {
  // A log collector may write something before the object.
  const begin = line.indexOf('{')
  if (begin === -1 || line.length > MAX_LINE) return undefined
  let found: Readonly<Record<string, unknown>>
  try {
    found = JSON.parse(line.slice(begin)) as Readonly<Record<string, unknown>>
  } catch {
    return undefined
  }
  const text = (name: string): string | undefined => {
    const value = found[name]
    return typeof value === 'string' ? value : undefined
  }
  const [method, host, path, decision] = [text('method'), text('host'), text('path'), text('decision')]
  if (method === undefined || !host || path === undefined || decision === undefined) return undefined
  const at = Date.parse(text('time') ?? '')
  const { reasons } = found
  return {
    method,
    host,
    path,
    decision,
    clientIp: text('client_ip') ?? '127.0.0.1',
    userId: text('user_id'),
    email: text('email'),
    service:
      text('auth') === 'service' ? { account: text('service_account') ?? '', token: text('token') ?? '' } : undefined,
    reasons: Array.isArray(reasons) ? reasons.filter((each) => typeof each === 'string') : [],
    at: Number.isNaN(at) ? undefined : wallTime(at),
  }
}

/** Each person is looked up once, and all service tokens together. Whoever is not known has unknown groups. */
function createPeople(
  config: Config,
  operator: Operator | undefined,
): (logged: Logged) => Promise<Principal | undefined> {
  const known = new Map<string, Promise<Principal>>()
  async function lookUp(subject: string, email: string | undefined): Promise<Principal> {
    const [found] = (await operator?.people(subject)) ?? []
    const { issuer } = found ? { issuer: issuerOf(found.person) } : config.fixed.idps[0]
    const identity = found?.identity ?? makeIdentity({ issuer }, { subject, ...(email !== undefined && { email }) })
    return makePrincipal(
      providerOf(config, identity),
      identity,
      found?.record?.membership ?? 'unknown',
      found?.record?.status ?? 'unknown',
    )
  }
  let tokens: Promise<ReadonlyMap<string, ServiceToken>> | undefined
  async function program({ account, token }: NonNullable<Logged['service']>): Promise<Principal> {
    tokens ??= (operator?.tokens.list() ?? Promise.resolve([])).then(
      (all) => new Map(all.map((each) => [each.id, each])),
    )
    const found = (await tokens).get(token)
    return found ? servicePrincipal(found) : { ...makeProgram(account, []), membership: 'unknown' }
  }
  return async ({ userId, email, service }) => {
    if (service) return program(service)
    if (userId === undefined) return undefined
    let found = known.get(userId)
    if (!found) known.set(userId, (found = lookUp(userId, email)))
    return found
  }
}

async function openStore(config: Config, io: Io): Promise<Operator | undefined> {
  try {
    return await openOperator(config, { clock: io.clock ?? systemClock, logger: messagesTo(io) })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    io.err(printable(`groups are unknown: ${error.message}`))
    return undefined
  }
}

function toJson(
  { method, host, path, clientIp, userId, email, decision, reasons }: Logged,
  judgement: Judgement,
  same: boolean,
): object {
  return {
    method,
    host,
    path,
    client_ip: clientIp,
    user_id: userId,
    email,
    was: { decision, reasons },
    now: { decision: outcomeOf(judgement), reasons: reasonsOf(judgement) },
    same,
  }
}

function describe(logged: Logged, judgement: Judgement): readonly string[] {
  const { method, host, path, email, userId, decision, reasons } = logged
  const route = judgement.kind === 'route' ? `, route ${judgement.route.name} (${judgement.route.definedAt})` : ''
  return [
    `${method} https://${host}${path} as ${email ?? userId ?? 'nobody'}`,
    `  was  ${decision} (${reasons.join(', ')})`,
    `  now  ${outcomeOf(judgement)} (${reasonsOf(judgement).join(', ')})${route}`,
  ]
}
