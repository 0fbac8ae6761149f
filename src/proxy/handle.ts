/** The request, from facts to answer, in one function. Requests and upgrades take the same steps. */
import type { Authenticate, SignInManner } from '../authenticate/handlers.ts'
import type { Directory } from '../directory/model.ts'
import { type AppError, toAppError } from '../errors.ts'
import type { Exchange, Finished, Generation, Reply, RequestFacts, StreamRegistry } from '../http/exchange.ts'
import { sendReply } from '../http/send.ts'
import { credentialOf } from '../policy/credential.ts'
import { judge, judgeShadow } from '../policy/judge.ts'
import type { Principal } from '../policy/model.ts'
import { bearerToken } from '../lib/bearer.ts'
import { FOREVER } from '../lib/time.ts'
import { isWithheld, type Seen, withoutAuthorization } from '../routing/consumed.ts'
import type { RouteMatch } from '../routing/model.ts'
import type { Route } from '../config/route-model.ts'
import type { Clock } from '../types.ts'
import type { AccessLog, Progress } from './access-log.ts'
import type { Control } from './control.ts'
import { type ForwardAuthRequest, forwardAuthRequest, isForwardedAsJudged } from './forward-auth.ts'
import { readable } from './cors.ts'
import { identify } from './identify.ts'
import {
  badPath,
  badRequest,
  challenged,
  failure,
  granted,
  notFound,
  permitted,
  questionRefused,
  refusal,
} from './respond.ts'
import { secured } from './transport-security.ts'

export interface HandleDeps {
  /** Read once per decision: at the top of a request, and again when an open stream is judged anew. */
  readonly generation: () => Generation
  readonly directory: Pick<Directory, 'membership' | 'status'>
  readonly streams: StreamRegistry
  readonly control: Control
  readonly startSignIn: Authenticate['startSignIn']
  readonly accessLog: AccessLog
  readonly clock: Clock
}

export function createHandle(deps: HandleDeps): (exchange: Exchange) => Promise<void> {
  const { directory, streams, accessLog, clock } = deps

  return async function handle(exchange) {
    // All there from the start: V8 then adds no property later.
    const startedAt = clock.monotonic()
    const progress: Progress = {
      startedAt,
      facts: undefined,
      route: undefined,
      who: undefined,
      unidentified: undefined,
      decision: undefined,
      shadow: undefined,
    }
    const generation = deps.generation()
    generation.enter()
    try {
      const finished = await run(exchange, generation, progress)
      accessLog(progress, finished)
    } catch (thrown) {
      const error = toAppError(thrown)
      let finished: Finished | undefined
      try {
        const { facts, route } = progress
        const asked = facts && !('kind' in facts) ? askedOf(facts, generation) : undefined
        const reply = failure(error, facts?.id ?? '', asked, route)
        finished = await (asked
          ? answer(exchange, readable(reply, asked.facts, route), asked.facts, generation)
          : sendReply(exchange, reply))
      } catch {
        // The exchange already went out some way; the log line still says what happened.
      }
      accessLog(progress, finished, error)
    } finally {
      generation.leave()
    }
  }

  function run(exchange: Exchange, generation: Generation, progress: Progress): Promise<Finished> {
    const parsed = generation.parse(exchange.head)
    progress.facts = parsed
    if ('kind' in parsed) return sendReply(exchange, badRequest(parsed, pageOf(parsed.id, generation)))

    const match = generation.routes.match(parsed)
    if (match.kind === 'control' && match.action === 'forward-auth') {
      return answerForwardAuth(exchange, parsed, generation, progress)
    }
    return serve(exchange, parsed, match, generation, progress)
  }

  /** `question`: another proxy asks, and forwards the request itself. */
  async function serve(
    exchange: Exchange,
    parsed: RequestFacts,
    match: RouteMatch,
    generation: Generation,
    progress: Progress,
    question?: ForwardAuthRequest,
  ): Promise<Finished> {
    const route = match.kind === 'route' ? match.route : undefined
    const facts = (match.kind === 'route' && match.asked) || parsed
    progress.facts = facts
    if (route) progress.route = route
    const found = route && identify(generation.authenticators, facts, route, clock.now(), progress)
    const asker = found instanceof Promise ? await found : found
    const who = asker?.kind === 'bad-token' ? undefined : asker
    if (who) progress.who = who
    const seen =
      progress.unidentified && route && mayBeConsumed(facts, route)
        ? withoutAuthorization({ facts: parsed, match })
        : asSeen(parsed, match, who)

    const verdict = judge(generation, seen.facts, asker, clock.now(), seen.match)
    if (verdict.outcome === 'control' && !question) {
      if (verdict.control.action === 'ping') progress.probe = true
      return answer(exchange, await deps.control(verdict.control, facts, exchange, generation), facts, generation)
    }
    if (verdict.outcome === 'bad-path') {
      progress.detail = verdict.path.detail
      return answer(exchange, badPath(verdict.path, askedOf(facts, generation)), facts, generation)
    }
    if (verdict.outcome === 'not-found' || verdict.outcome === 'control' || !route) {
      return answer(exchange, notFound(askedOf(facts, generation)), facts, generation)
    }
    progress.decision = verdict
    if (verdict.outcome === 'bad-token' && asker?.kind === 'bad-token') progress.detail = asker.detail
    if (route.shadow !== undefined && seen.match.kind === 'route') {
      progress.shadow = judgeShadow(generation, { ...seen.match, route: route.shadow }, seen.facts, asker, clock.now())
    }
    if (verdict.outcome !== 'allow') {
      const origin = generation.routes.originOf(facts.host, facts.port) ?? ''
      const asked = { ...askedOf(facts, generation), origin }
      // Another proxy passes on a redirect, and might keep a page for itself.
      const keepFragment = route.keepFragment && !question
      const reply =
        verdict.outcome === 'sign-in' && facts.wants === 'html' && isSafe(facts.method) && question?.redirects !== false
          ? challenged(
              await startSignIn(exchange, facts, generation, origin, { keepFragment, demand: verdict.demand }),
              asked,
            )
          : refusal(verdict, route, who, asked)
      if (question && reply.status < 300) throw new TypeError('forward-auth: a refusal must not look like a yes')
      return answer(exchange, readable(reply, facts, route), facts, generation)
    }
    const { grant } = verdict
    const { principal } = grant
    if (question) {
      if (isWithheld(facts.authorization ?? '', grant.request, route) && !question.removesAuthorization) {
        progress.detail = 'the token would reach the application: see authorization=removed in docs/forward-auth.md'
        return answer(exchange, questionRefused(403, progress.detail, facts), facts, generation)
      }
      const identity = route.action.kind === 'forward' ? await generation.forwarder.identityHeaders(grant) : ''
      return answer(exchange, permitted(grant, identity, askedOf(facts, generation)), facts, generation)
    }
    if (route.action.kind !== 'forward') return answer(exchange, granted(grant), facts, generation)

    // Permission can end while bytes still flow: a WebSocket, an event stream, a long download. Nobody's as well: a new
    // configuration may ask who it is.
    let current = principal
    const leave = streams.add({
      credential: principal && credentialOf(principal),
      person: principal?.person,
      openedAt: progress.startedAt,
      expiresAt: principal?.expiresAt ?? FOREVER,
      stillAllowed: () => stillAllowed(parsed, current),
      async stillKnown() {
        if (!current) return true
        const found = await knownAgain(facts, route, current)
        if (found) current = found
        return found !== undefined
      },
      cut: (reason) => exchange.abort(reason),
    })
    try {
      const forwarded = await generation.forwarder.forward(grant, exchange)
      return { status: forwarded.status, bytesOut: forwarded.bytesOut, forwarded }
    } finally {
      leave()
    }
  }

  /** What is judged is the request that the proxy holds; nothing of it is known before its headers are read here. */
  function answerForwardAuth(
    exchange: Exchange,
    received: RequestFacts,
    generation: Generation,
    progress: Progress,
  ): Promise<Finished> {
    const { live } = generation
    const refused = (status: 400 | 403, detail: string): Promise<Finished> => {
      progress.detail = detail
      return sendReply(exchange, questionRefused(status, detail, received))
    }
    if (!received.hop || live.trustedProxies.length === 0) {
      return refused(403, 'forward-auth is for proxies that trusted_proxies names')
    }
    const question = forwardAuthRequest(exchange.head, `${live.naming.controlPrefix}/forward-auth`)
    if (typeof question === 'string') return refused(400, question)
    const asked = generation.parse(question.head)
    if ('kind' in asked) return refused(400, `the request that was asked about: ${asked.detail}`)
    const match = generation.routes.match(asked)
    const { path } = (match.kind === 'route' && match.asked) || asked
    if (!isForwardedAsJudged(question.head.target, path)) {
      return refused(400, 'the request that was asked about: its path can be read in more than one way')
    }
    progress.facts = asked
    progress.forwardAuth = true
    return serve(exchange, asked, match, generation, progress, question)
  }

  function answer(exchange: Exchange, reply: Reply, facts: RequestFacts, generation: Generation): Promise<Finished> {
    return sendReply(exchange, secured(reply, facts, generation))
  }

  function startSignIn(
    exchange: Exchange,
    facts: RequestFacts,
    generation: Generation,
    origin: string,
    how: SignInManner,
  ): Reply | Promise<Reply> {
    return deps.startSignIn({ facts, exchange, generation, origin }, origin + facts.path + facts.query, how)
  }

  /** With what is known now of the person, and by the configuration that is in force now. */
  function stillAllowed(facts: RequestFacts, who: Principal | undefined): boolean {
    const generation = deps.generation()
    const seen = asSeen(facts, generation.routes.match(facts), who)
    const verdict = judge(generation, seen.facts, who && known(who), clock.now(), seen.match)
    if (verdict.outcome !== 'allow' || verdict.grant.route.action.kind !== 'forward') return false
    // The application was told who this is, and would not be told again.
    const { principal, route } = verdict.grant
    return !(who && !principal && route.policy.kind === 'public' && route.policy.identity === 'optional')
  }

  /** With what the directory knows now, if it is the directory that knows. */
  function known(who: Principal): Principal {
    const tokenSays = who.kind === 'service' || (who.kind === 'token' && who.groupsFrom === 'token')
    return tokenSays
      ? who
      : { ...who, membership: directory.membership(who.person), status: directory.status(who.person) }
  }

  /** By what the request itself showed, with what is said of them by now. A stream that is under way is no use of a session. */
  async function knownAgain(facts: RequestFacts, route: Route, who: Principal): Promise<Principal | undefined> {
    const doubt: { unidentified?: AppError } = {}
    const shown: RequestFacts = { ...facts, wants: 'upgrade' }
    const asker = await identify(deps.generation().authenticators, shown, route, clock.now(), doubt)
    if (doubt.unidentified) throw doubt.unidentified
    if (asker === undefined || asker.kind === 'bad-token') return undefined
    return credentialOf(asker) === credentialOf(who) ? asker : undefined
  }

  function askedOf(facts: RequestFacts, { live }: Generation) {
    return { facts, controlPrefix: live.naming.controlPrefix, now: clock.now() }
  }

  function pageOf(requestId: string, { live }: Generation) {
    return { requestId, controlPrefix: live.naming.controlPrefix, now: clock.now() }
  }
}

/** Without a credential of ours that no rule and no application gets to see. */
function asSeen(facts: RequestFacts, match: RouteMatch, who: Principal | undefined): Seen {
  const all = { facts, match }
  return who?.consumed ? withoutAuthorization(all) : all
}

/** A token that could not be read, or is of somebody else than the session (`identity: optional`), may be a good one all the same. */
function mayBeConsumed({ authorization }: RequestFacts, { bearer }: Route): boolean {
  return bearer?.passAuthorization === false && authorization !== undefined && bearerToken(authorization) !== undefined
}

/** A redirect to the sign-in would lose what any other method sends. */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}
