import { X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describeCertificate } from '../../../src/server/client-certificate.ts'
import { AppError, assertNever, ERRORS } from '../../../src/errors.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import { elapsed } from '../../../src/lib/time.ts'
import { describeOutgoing, type Outgoing } from '../../../src/outgoing.ts'
import type { ExplainedClause } from '../../../src/policy/explain.ts'
import type { PersonRecord } from '../../../src/operator.ts'
import type { Clock, WallTime } from '../../../src/types.ts'
import type { Config } from '../../../src/config/model.ts'
import type { Action } from '../../../src/config/route-model.ts'
import type { Principal } from '../../../src/policy/model.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import { groupsNamed, makeIdentity, makePrincipal, makeProgram, providerNamed, providerOf } from '../judge.ts'
import {
  createJudge,
  describeExplanation,
  type Judgement,
  outcomeOf,
  type PassedOver,
  toBadRequest,
} from '../../../src/policy/question.ts'
import { ago, printable } from '../text.ts'
import { findPerson } from './groups.ts'
import { issuerOf } from '../../../src/lib/person.ts'

export interface ExplainOptions {
  readonly config: string | undefined
  readonly url: string
  readonly method: string
  /** Subject or e-mail address. Without `groups`, looked up. */
  readonly user: string | undefined
  readonly email: string | undefined
  /** A program with a service token of this name, instead of a person. */
  readonly serviceAccount: string | undefined
  /** Name of the identity provider that they sign in with; the default one without. */
  readonly provider: string | undefined
  readonly groups: readonly string[] | undefined
  readonly ip: string
  readonly live: boolean
  /** More headers of the request, `Name: value`. */
  readonly headers: readonly string[]
  /** PEM file of a client certificate that is taken for valid. */
  readonly certificate: string | undefined
  readonly json: boolean
  /** Answer 10 unless allowed. */
  readonly exitCode: boolean
}

const DENIED = 10

function readCertificate(file: string): ReturnType<typeof describeCertificate> {
  try {
    return describeCertificate(new X509Certificate(readFileSync(file)))
  } catch {
    throw new AppError('ERR_USAGE', `${file} holds no certificate that can be read`)
  }
}

/** Says what Postern would do with a request, and why. Exit code 0, 1 (no such person), 2 (a store that cannot be shared), 3 (not valid), 4 (store or Okta), or 10 with `exitCode`. */
export async function explainCommand(options: ExplainOptions, io: Io): Promise<number> {
  const loaded = await readConfiguration(options.config, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  const { config } = loaded
  const clock = io.clock ?? systemClock
  const judge = createJudge(config)
  const headers = options.headers.flatMap(headerOf)
  const shown = options.certificate === undefined ? undefined : readCertificate(options.certificate)
  const ask = (who: Principal | undefined): Judgement =>
    judge({
      method: options.method.toUpperCase(),
      url: options.url,
      ip: options.ip,
      who,
      now: clock.now(),
      headers,
      ...(shown && { certificate: shown }),
    })
  // Before anybody is looked up: a wrong URL needs no store.
  ask(undefined)
  const who = await askedBy(options, config, clock, io)
  if (who && 'problem' in who) {
    io.err(printable(who.problem))
    return 1
  }
  const { judgement, outgoing } = await withOutgoing(ask(who?.principal), config, clock)
  if (options.json) {
    const whole = {
      ...requestToJson(options),
      ...askerToJson(who, clock.now()),
      ...judgementToJson(judgement, outgoing),
    }
    io.out(JSON.stringify(whole, undefined, 2))
    return options.exitCode && outcomeOf(judgement) !== 'allow' ? DENIED : 0
  }
  const line = (name: string, text: string): void => io.out(printable(`${name.padEnd(10)}${text}`))
  line('Request', `${options.method.toUpperCase()} ${options.url} from ${options.ip}`)
  line('Person', who ? describePerson(who.principal) : 'nobody is signed in')
  if (who) line('Groups', describeGroups(who.principal, clock.now()))
  describeJudgement(judgement, outgoing, line)
  if (who && !who.claimsKnown && usesClaims(judgement)) {
    io.err('note: claims are known of people who are signed in; here rules about claims found none')
  }
  if (who && !who.claimsKnown && judgement.kind === 'route' && judgement.route.demand) {
    io.err(
      'note: how somebody signed in is known of people who are signed in; here acr_values and max_auth_age are not met',
    )
  }
  return options.exitCode && outcomeOf(judgement) !== 'allow' ? DENIED : 0
}

interface Asker {
  readonly principal: Principal
  readonly claimsKnown: boolean
}

async function askedBy(
  options: ExplainOptions,
  config: Config,
  clock: Clock,
  io: Io,
): Promise<Asker | { readonly problem: string } | undefined> {
  const { user, email, serviceAccount, groups, live } = options
  const idp = providerNamed(config, options.provider)
  if (serviceAccount !== undefined) {
    if (user !== undefined || email !== undefined || options.provider !== undefined || live) {
      throw new AppError('ERR_USAGE', '--service-account goes together with --groups alone')
    }
    return { principal: makeProgram(serviceAccount, groups ?? []), claimsKnown: true }
  }
  if (groups && live) throw new AppError('ERR_USAGE', '--groups and --live: give one of them')
  if (live && user === undefined) throw new AppError('ERR_USAGE', '--live needs --user, an Okta user id or login')
  if (user === undefined && email === undefined && groups === undefined && options.provider === undefined)
    return undefined
  const address = email ?? (user?.includes('@') ? user : undefined)
  if (user === undefined || groups) {
    const identity = makeIdentity(idp, {
      subject: user ?? 'somebody',
      ...(address !== undefined && { email: address }),
    })
    const membership = groups ? createMembership(groupsNamed(groups), clock.now(), 'the command line') : 'unknown'
    return { principal: makePrincipal(idp.name, identity, membership, 'active'), claimsKnown: false }
  }
  const found = await findPerson(user, live, options.provider, config, io)
  if ('problem' in found) return found
  const { person, subject, record } = found
  const known = email ?? found.email ?? address
  // An address that is given is asked about; what the session says fits it no more.
  const identity =
    email === undefined && found.identity
      ? found.identity
      : makeIdentity({ issuer: issuerOf(person) }, { subject, ...(known !== undefined && { email: known }) })
  const provider = options.provider === undefined ? providerOf(config, identity) : idp.name
  const principal = makePrincipal(provider, identity, record?.membership ?? 'unknown', statusOf(record))
  return { principal, claimsKnown: email === undefined && found.identity !== undefined }
}

/** Inactive has no age: only newer evidence lets somebody in again. Nor has what a sign-in told, as in the running Postern. */
function statusOf(record: PersonRecord | undefined): Principal['status'] {
  if (!record || (record.status === 'active' && record.membership === 'unknown' && record.source !== 'claims'))
    return 'unknown'
  return record.status
}

function describePerson({ identity: { subject, email }, status }: Principal): string {
  return `${email === undefined ? subject : `${email} (${subject})`}, ${status === 'unknown' ? 'status unknown' : status}`
}

function describeGroups({ membership }: Principal, now: WallTime): string {
  if (membership === 'unknown') return 'unknown (never read, or too old); give --groups, or --user with --live'
  const names = membership.groups.map(({ name }) => name).join(', ') || 'none'
  return `${names}; from ${membership.source}, ${ago(membership.freshAt, now)}`
}

function describeJudgement(
  judgement: Judgement,
  outgoing: Outgoing | undefined,
  line: (name: string, text: string) => void,
): void {
  switch (judgement.kind) {
    case 'route': {
      const { route, explanation } = judgement
      const { outcome, reasons } = explanation
      line('Route', `${route.name} (${route.definedAt}) ${describeAction(route.action)}`)
      for (const [i, text] of describeExplanation(route, explanation).entries()) line(i === 0 ? 'Policy' : '', text)
      describeEarlier(judgement.earlier, line)
      if (outgoing) describeOutgoingTo(outgoing, line)
      line('Decision', `${outcome} (${reasons.join(', ')})`)
      if (route.shadow && judgement.shadow) {
        const { shadow } = judgement
        for (const [i, text] of describeExplanation(route.shadow, shadow).entries()) line(i === 0 ? 'Shadow' : '', text)
        line('', `would be ${shadow.outcome} (${shadow.reasons.join(', ')})`)
      }
      return
    }
    case 'control':
      return line('Decision', `none: Postern answers this path itself (${judgement.action})`)
    case 'not-found':
      describeEarlier(judgement.earlier, line)
      return line('Decision', 'none: no route serves this address (404)')
    case 'bad-request':
      return line('Decision', `none: the request is refused (${judgement.status}): ${judgement.detail}`)
    default:
      assertNever(judgement)
  }
}

function describeOutgoingTo(
  { requestLine, upstreams, headers }: Outgoing,
  line: (name: string, text: string) => void,
): void {
  line('Upstream', `${requestLine} to ${upstreams.join(' or ')}`)
  for (const [i, [name, value]] of headers.entries()) line(i === 0 ? 'Headers' : '', `${name}: ${value}`)
}

const MAX_EARLIER = 10

/** Why not the routes before it. */
function describeEarlier(earlier: readonly PassedOver[], line: (name: string, text: string) => void): void {
  for (const [i, { route, why }] of earlier.slice(0, MAX_EARLIER).entries()) {
    line(i === 0 ? 'Not' : '', `${route.name} (${route.definedAt}): ${why}`)
  }
  if (earlier.length > MAX_EARLIER) line('', `and ${earlier.length - MAX_EARLIER} more`)
}

function headerOf(text: string): readonly [name: string, value: string] {
  const [, name, value = ''] = /^([A-Za-z0-9!#$%&'*+.^_`|~-]+):[ \t]*(.*)$/.exec(text) ?? []
  if (name === undefined)
    throw new AppError('ERR_USAGE', `--header: expected "Name: value", found ${JSON.stringify(text)}`)
  return [name, value]
}

function requestToJson({ method, url, ip, headers }: ExplainOptions): object {
  return { request: { method: method.toUpperCase(), url, ip, headers } }
}

function askerToJson(who: Asker | undefined, now: WallTime): object {
  if (!who) return { person: null }
  const { identity, status, membership } = who.principal
  const { subject, email } = identity
  const groups =
    membership === 'unknown'
      ? 'unknown'
      : {
          names: membership.groups.map(({ name }) => name),
          source: membership.source,
          age_ms: elapsed(now, membership.freshAt),
        }
  return { person: { subject, email, status, groups } }
}

function judgementToJson(judgement: Judgement, outgoing: Outgoing | undefined): object {
  const outcome = outcomeOf(judgement)
  const passed = (earlier: readonly PassedOver[]): readonly object[] =>
    earlier.map(({ route, why }) => ({ name: route.name, defined_at: route.definedAt, why }))
  switch (judgement.kind) {
    case 'route': {
      const { route, explanation, earlier } = judgement
      const { reasons, allow, deny } = explanation
      return {
        outcome,
        reasons,
        route: {
          name: route.name,
          id: route.id,
          defined_at: route.definedAt,
          policy: route.policy.kind,
          action: route.action.kind,
        },
        allow: allow.map(clauseToJson),
        deny: deny.map(clauseToJson),
        earlier: passed(earlier),
        upstream: outgoing ?? null,
      }
    }
    case 'control':
      return { outcome, action: judgement.action }
    case 'not-found':
      return { outcome, earlier: passed(judgement.earlier) }
    case 'bad-request':
      return { outcome, status: judgement.status, detail: judgement.detail }
    default:
      return assertNever(judgement)
  }
}

function clauseToJson({ op, value, criteria }: ExplainedClause): object {
  return { op, value, criteria: criteria.map(({ name, describe, value: each }) => ({ name, describe, value: each })) }
}

/** An allowed request that a rewrite makes nothing sensible of is refused. */
async function withOutgoing(
  judgement: Judgement,
  config: Config,
  clock: Clock,
): Promise<{ readonly judgement: Judgement; readonly outgoing: Outgoing | undefined }> {
  if (judgement.kind !== 'route' || !judgement.grant) return { judgement, outgoing: undefined }
  try {
    const deps = { clock, logger: silentLogger }
    return { judgement, outgoing: await describeOutgoing(config, judgement.grant, judgement.headers, deps) }
  } catch (error) {
    return { judgement: toBadRequest(error), outgoing: undefined }
  }
}

function describeAction(action: Action): string {
  switch (action.kind) {
    case 'forward':
      return `to ${action.upstreams.map(({ origin }) => origin).join(', ')}`
    case 'redirect':
      return `redirects (${action.status})`
    case 'respond':
      return `answers itself (${action.status})`
    default:
      return assertNever(action)
  }
}

function usesClaims(judgement: Judgement): boolean {
  if (judgement.kind !== 'route') return false
  const { allow, deny } = judgement.explanation
  return [...allow, ...deny].some(({ criteria }) => criteria.some(({ name }) => name.startsWith('claim/')))
}
