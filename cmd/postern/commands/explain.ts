import { AppError, assertNever, ERRORS } from '../../../src/errors.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import type { PersonRecord } from '../../../src/operator.ts'
import type { Clock, WallTime } from '../../../src/types.ts'
import type { Action, Config } from '../../../src/config/model.ts'
import type { Principal } from '../../../src/policy/model.ts'
import { readConfiguration } from '../configuration.ts'
import type { Io } from '../io.ts'
import {
  createJudge,
  describeExplanation,
  groupsNamed,
  type Judgement,
  makeIdentity,
  makePrincipal,
  outcomeOf,
} from '../judge.ts'
import { ago, printable } from '../text.ts'
import { findPerson } from './groups.ts'

export interface ExplainOptions {
  readonly config: string | undefined
  readonly url: string
  readonly method: string
  /** Subject or e-mail address. Without `groups`, looked up. */
  readonly user: string | undefined
  readonly email: string | undefined
  readonly groups: readonly string[] | undefined
  readonly ip: string
  readonly live: boolean
  /** Answer 10 unless allowed. */
  readonly exitCode: boolean
}

const DENIED = 10

/** Says what Postern would do with a request, and why. Exit code 0, 1 (no such person), 2 (a store that cannot be shared), 3 (not valid), 4 (store or Okta), or 10 with `exitCode`. */
export async function explainCommand(options: ExplainOptions, io: Io): Promise<number> {
  const loaded = await readConfiguration(options.config, io)
  if (!loaded) return ERRORS.ERR_CONFIG_INVALID.exit
  const { config } = loaded
  const clock = io.clock ?? systemClock
  const judge = createJudge(config)
  const ask = (who: Principal | undefined): Judgement =>
    judge({ method: options.method.toUpperCase(), url: options.url, ip: options.ip, who, now: clock.now() })
  // Before anybody is looked up: a wrong URL needs no store.
  ask(undefined)
  const who = await askedBy(options, config, clock, io)
  if (who && 'problem' in who) {
    io.err(printable(who.problem))
    return 1
  }
  const judgement = ask(who?.principal)
  const line = (name: string, text: string): void => io.out(printable(`${name.padEnd(10)}${text}`))
  line('Request', `${options.method.toUpperCase()} ${options.url} from ${options.ip}`)
  line('Person', who ? describePerson(who.principal) : 'nobody is signed in')
  if (who) line('Groups', describeGroups(who.principal, clock.now()))
  describeJudgement(judgement, line)
  if (who && !who.claimsKnown && usesClaims(judgement)) {
    io.err('note: claims are known of people who are signed in; here rules about claims found none')
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
  const { user, email, groups, live } = options
  if (groups && live) throw new AppError('ERR_USAGE', '--groups and --live: give one of them')
  if (live && user === undefined) throw new AppError('ERR_USAGE', '--live needs --user, an Okta user id or login')
  if (user === undefined && email === undefined && groups === undefined) return undefined
  const address = email ?? (user?.includes('@') ? user : undefined)
  if (user === undefined || groups) {
    const identity = makeIdentity(config, {
      subject: user ?? 'somebody',
      ...(address !== undefined && { email: address }),
    })
    const membership = groups ? createMembership(groupsNamed(groups), clock.now(), 'the command line') : 'unknown'
    return { principal: makePrincipal(identity, membership, 'active'), claimsKnown: false }
  }
  const found = await findPerson(user, live, config, io)
  if ('problem' in found) return found
  const { subject, record } = found
  const known = email ?? found.email ?? address
  // An address that is given is asked about; what the session says fits it no more.
  const identity =
    email === undefined && found.identity
      ? found.identity
      : makeIdentity(config, { subject, ...(known !== undefined && { email: known }) })
  const principal = makePrincipal(identity, record?.membership ?? 'unknown', statusOf(record))
  return { principal, claimsKnown: email === undefined && found.identity !== undefined }
}

/** Inactive has no age: only newer evidence lets somebody in again. */
function statusOf(record: PersonRecord | undefined): Principal['status'] {
  if (!record || (record.status === 'active' && record.membership === 'unknown')) return 'unknown'
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

function describeJudgement(judgement: Judgement, line: (name: string, text: string) => void): void {
  switch (judgement.kind) {
    case 'route': {
      const { route, explanation } = judgement
      const { outcome, reasons } = explanation
      line('Route', `${route.name} (${route.definedAt}) ${describeAction(route.action)}`)
      for (const [i, text] of describeExplanation(route, explanation).entries()) line(i === 0 ? 'Policy' : '', text)
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
      return line('Decision', 'none: no route serves this address (404)')
    case 'bad-request':
      return line(
        'Decision',
        `none: the request is refused before any route is looked for (${judgement.status}): ${judgement.detail}`,
      )
    default:
      assertNever(judgement)
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
