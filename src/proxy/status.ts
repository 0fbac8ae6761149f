/** What an operator sees of this process: read only, behind the policy of `admin`, on the sign-in service's host alone. */
import type { Authenticate, ControlRequest } from '../authenticate/handlers.ts'
import type { Directory } from '../directory/model.ts'
import { AppError, assertNever } from '../errors.ts'
import type { Generation, Reply } from '../http/exchange.ts'
import type { Condition, DirectoryCondition, RecentDecision } from '../http/condition.ts'
import { personKey } from '../lib/person.ts'
import { isoTime } from '../lib/time.ts'
import { type AnswerModel, pageOf, pageReply } from '../pages/render.ts'
import { jsonReply } from '../pages/reply.ts'
import { judge } from '../policy/judge.ts'
import type { Principal, SessionPrincipal } from '../policy/model.ts'
import { createJudge, describeExplanation, type Judgement, outcomeOf, reasonsOf } from '../policy/question.ts'
import type { Clock, IdentityProviders, Json, WallTime } from '../types.ts'
import type { Session, Sessions } from '../session/model.ts'
import type { OwnPrincipals } from './own-principals.ts'
import type { RecentDecisions } from './recent-decisions.ts'
import { notFound, refusal, unauthenticated } from './respond.ts'

export interface StatusViews {
  page(request: ControlRequest): Promise<Reply>
  json(request: ControlRequest): Promise<Reply>
}

export interface StatusDeps {
  readonly ownPrincipals: OwnPrincipals
  readonly condition: () => Condition
  readonly decisions: RecentDecisions
  readonly sessions: Pick<Sessions, 'list'>
  /** See `session/count.ts`. */
  readonly countSessions: () => Promise<number>
  readonly idps: Pick<IdentityProviders, 'all'>
  readonly directory: Pick<Directory, 'recall'>
  /** Whose session it is; undefined: its provider is not configured any more. */
  readonly principalOfSession: (session: Session) => SessionPrincipal | undefined
  readonly authenticate: Pick<Authenticate, 'startSignIn'>
  readonly clock: Clock
}

/** So many sessions are looked through for an address. */
const MAX_LOOKED_AT = 20_000

export function createStatusViews(deps: StatusDeps): StatusViews {
  const { ownPrincipals, condition, decisions, sessions, countSessions, idps, directory } = deps
  const { principalOfSession, authenticate, clock } = deps
  const judges = new WeakMap<Generation, ReturnType<typeof createJudge>>()

  /** Whoever may not see it gets the answer of a route that refuses them; without `admin` there is nothing to refuse. */
  async function withLeave(request: ControlRequest, answer: (asked: Asked) => Promise<Reply>): Promise<Reply> {
    const { facts, generation, origin } = request
    const now = clock.now()
    const asked = { facts, origin, page: pageOf(generation, facts.id, now) }
    const { admin } = generation.live
    if (!admin) return notFound(asked)
    const who = await ownPrincipals(request)
    const [first] = who
    if (!first) {
      return facts.wants === 'html'
        ? authenticate.startSignIn(request, origin + facts.path + facts.query)
        : unauthenticated(asked)
    }
    const match = { kind: 'route', route: admin } as const
    const verdicts = who.map((each) => judge(generation, facts, each, now, match))
    if (verdicts.some(({ outcome }) => outcome === 'allow')) return answer(asked)
    const [verdict] = verdicts
    switch (verdict?.outcome) {
      case 'deny':
      case 'unavailable':
      case 'sign-in':
      case 'bad-token':
        return refusal(verdict, admin, first, asked)
      default:
        throw new TypeError('the judge was asked about a route')
    }
  }

  function judgeOf(generation: Generation): ReturnType<typeof createJudge> {
    let found = judges.get(generation)
    if (!found) {
      // Of all routes, whichever of them this process serves.
      const { fixed, live } = generation
      judges.set(generation, (found = createJudge({ fixed: { ...fixed, services: 'all' }, live })))
    }
    return found
  }

  /** What would be done with the request that the form describes; undefined: none was described. */
  async function explained(request: ControlRequest): Promise<Explained | undefined> {
    const { generation } = request
    const question = questionOf(request)
    if (question.url === '') return undefined
    const who = question.user === '' ? undefined : await find(question.user)
    if (question.user !== '' && !who) {
      return { problem: 'Nobody with this user id or address is signed in. Of others `postern explain` knows.' }
    }
    try {
      const judgement = judgeOf(generation)({ ...question, who, now: clock.now() })
      return { judgement, ...(who && { who }) }
    } catch (error) {
      if (error instanceof AppError && error.code === 'ERR_USAGE') return { problem: error.message }
      throw error
    }
  }

  /** A store that is away is told among the parts. */
  async function counted(): Promise<{ readonly sessions?: number }> {
    try {
      return { sessions: await countSessions() }
    } catch {
      return {}
    }
  }

  /** Somebody who has a session. */
  async function find(user: string): Promise<SessionPrincipal | undefined> {
    const session = user.includes('@') ? await findByAddress(user.toLowerCase()) : await findBySubject(user)
    if (!session) return undefined
    await directory.recall(session.person)
    return principalOfSession(session)
  }

  async function findBySubject(subject: string): Promise<Session | undefined> {
    for (const { issuer } of idps.all) {
      for await (const session of sessions.list(personKey({ issuer, subject }))) return session
    }
    return undefined
  }

  async function findByAddress(address: string): Promise<Session | undefined> {
    let looked = 0
    for await (const session of sessions.list()) {
      if (session.identity.email === address) return session
      if (++looked >= MAX_LOOKED_AT) return undefined
    }
    return undefined
  }

  return {
    page: (request) =>
      withLeave(request, async ({ page }) => {
        const found = await explained(request)
        return pageReply(page, 200, {
          kind: 'status',
          ...condition(),
          ...(await counted()),
          ...decisions.read(),
          question: questionOf(request),
          ...(found && { answer: 'problem' in found ? found : inWords(found) }),
        })
      }),

    json: (request) =>
      withLeave(request, async () => {
        const found = await explained(request)
        const { refused, allowed } = decisions.read()
        const { components, configuration, upstreams, limits, directories, startedAt, ...more } = condition()
        const { sessions: count = null } = await counted()
        return jsonReply(200, {
          ...more,
          started_at: isoTime(startedAt),
          sessions: count,
          directories: directories.map(directoryToJson),
          components: components.map(({ since, ...component }) => ({ ...component, ...sinceOf(since) })),
          upstreams: upstreams.map(({ since, ...upstream }) => ({ ...upstream, ...sinceOf(since) })),
          rate_limits: limits.map((limit) => ({ ...limit })),
          configuration: {
            checksum: configuration.checksum,
            in_force_since: isoTime(configuration.inForceSince),
            routes: configuration.routes,
            warnings: [...configuration.warnings],
            needs_restart: [...configuration.needsRestart],
            refused: configuration.refused
              ? { at: isoTime(configuration.refused.at), problem: configuration.refused.problem }
              : null,
          },
          refused: refused.map(decisionToJson),
          allowed: allowed.map(decisionToJson),
          ...(found && { answer: 'problem' in found ? found : answerToJson(found) }),
        })
      }),
  }
}

type Asked = Parameters<typeof unauthenticated>[0]
type Explained = { readonly problem: string } | { readonly judgement: Judgement; readonly who?: Principal }

function questionOf({ facts }: ControlRequest) {
  const query = new URLSearchParams(facts.query)
  const read = (name: string, otherwise = ''): string => (query.get(name) ?? '').trim().slice(0, 2048) || otherwise
  return {
    url: read('url'),
    method: read('method', 'GET').toUpperCase(),
    user: read('user'),
    ip: read('ip', facts.clientIp),
  }
}

function inWords({ judgement, who }: Exclude<Explained, { problem: string }>): AnswerModel {
  const person = who ? (who.identity.email ?? who.identity.subject) : 'nobody is signed in'
  const groups =
    who === undefined
      ? undefined
      : who.membership === 'unknown'
        ? 'unknown'
        : who.membership.groups.map(({ name }) => name).join(', ') || 'none'
  const common = { person, ...(groups !== undefined && { groups }) }
  switch (judgement.kind) {
    case 'route': {
      const { route, explanation, earlier } = judgement
      return {
        ...common,
        route: `${route.name} (${route.definedAt})`,
        policy: describeExplanation(route, explanation),
        earlier: earlier.slice(0, 10).map(({ route: other, why }) => `${other.name} (${other.definedAt}): ${why}`),
        decision: `${explanation.outcome} (${explanation.reasons.join(', ')})`,
      }
    }
    case 'control':
      return { ...common, decision: `none: Postern answers this path itself (${judgement.action})` }
    case 'not-found':
      return { ...common, decision: 'none: no route serves this address (404)' }
    case 'bad-request':
      return { ...common, decision: `none: the request is refused (${judgement.status}): ${judgement.detail}` }
    default:
      return assertNever(judgement)
  }
}

function answerToJson({ judgement, who }: Exclude<Explained, { problem: string }>): Json {
  return {
    outcome: outcomeOf(judgement),
    reasons: [...reasonsOf(judgement)],
    person: who?.identity.subject ?? null,
    route: judgement.kind === 'route' ? { id: judgement.route.id, name: judgement.route.name } : null,
  }
}

function directoryToJson({ staleness, trouble, ...directory }: DirectoryCondition): Json {
  return {
    ...directory,
    staleness_seconds: staleness === undefined ? null : Math.round(staleness / 1000),
    trouble: trouble ? { ...trouble, at: isoTime(trouble.at) } : null,
  }
}

function decisionToJson({ at, requestId, person, reasons, ...decision }: RecentDecision): Json {
  return {
    at: isoTime(at),
    request_id: requestId,
    ...decision,
    reasons: [...reasons],
    person: person ?? null,
  }
}

function sinceOf(since: WallTime | undefined): { readonly since?: string } {
  return since === undefined ? {} : { since: isoTime(since) }
}
