/** The request, from facts to answer, in one function. Requests and upgrades take the same steps. */
import { toAppError } from '../errors.ts'
import { websocketOriginAllowed } from '../routing/origin.ts'
import type { BadRequest, Exchange, Finished, RequestFacts, Generation, StreamRegistry } from '../http/exchange.ts'
import type { Clock, Session, Sessions } from '../types.ts'
import type { Decision, Principal } from '../policy/model.ts'
import type { Directory } from '../directory/model.ts'
import type { Route } from '../config/model.ts'
import type { AccessLog } from './access-log.ts'
import type { Control } from './control.ts'
import type { Respond } from './respond.ts'

export interface HandleDeps {
  /** Read once per decision: at the top of a request, and again when an open stream is judged anew. */
  readonly generation: () => Generation
  readonly sessions: Sessions
  readonly directory: Directory
  readonly streams: StreamRegistry
  readonly control: Control
  readonly respond: Respond
  readonly accessLog: AccessLog
  readonly clock: Clock
}

/** What is known about an exchange so far; what the log line is made of. */
export interface Progress {
  readonly startedAt: number
  facts?: RequestFacts | BadRequest
  route?: Route
  session?: Session
  decision?: Decision
}

export function createHandle(deps: HandleDeps): (exchange: Exchange) => Promise<void> {
  const { sessions, directory, streams, respond, accessLog, clock } = deps

  return async function handle(exchange) {
    const progress: Progress = { startedAt: clock.now() }
    try {
      const finished = await run(exchange, deps.generation(), progress)
      accessLog(progress, finished)
    } catch (thrown) {
      const error = toAppError(thrown)
      let finished: Finished | undefined
      try {
        finished = await exchange.reply(respond.failure(error, progress))
      } catch {
        // The exchange already went out some way; the log line still says what happened.
      }
      accessLog(progress, finished, error)
    }
  }

  async function run(exchange: Exchange, generation: Generation, progress: Progress): Promise<Finished> {
    const facts = generation.parse(exchange.req, exchange.upgrade)
    progress.facts = facts
    if ('kind' in facts) return exchange.reply(respond.badRequest(facts))

    const match = generation.routes.match(facts)
    if (match.kind === 'none') return exchange.reply(respond.notFound(facts, generation))
    if (match.kind === 'control') return exchange.reply(await deps.control(match, facts, exchange.req, generation))

    const { route } = match
    progress.route = route
    const found =
      route.policy.kind === 'public' ? undefined : sessions.read(facts.cookie, facts.host, progress.startedAt)
    const session = found instanceof Promise ? await found : found
    if (session) progress.session = session
    const decision = decide(generation, route, facts, session)
    progress.decision = decision
    if (decision.outcome !== 'allow') {
      const origin = generation.routes.originOf(facts.host, facts.port) ?? ''
      return exchange.reply(respond.refusal(decision, route, { facts, req: exchange.req, generation, origin }, session))
    }
    if (!session) return exchange.pass(decision.grant)

    // Permission can end while bytes still flow: a WebSocket, an event stream, a long download.
    const leave = streams.add({
      sessionId: session.id,
      subject: session.subject,
      expiresAt: session.expiresAt,
      stillAllowed: () => stillAllowed(facts, session),
      cut: (reason) => exchange.cut(reason),
    })
    try {
      return await exchange.pass(decision.grant)
    } finally {
      leave()
    }
  }

  function stillAllowed(facts: RequestFacts, session: Session): boolean {
    const generation = deps.generation()
    const match = generation.routes.match(facts)
    return match.kind === 'route' && decide(generation, match.route, facts, session).outcome === 'allow'
  }

  function decide(generation: Generation, route: Route, facts: RequestFacts, session: Session | undefined): Decision {
    const decision = generation.policy.decide(route, session && principalOf(session), facts, clock.now())
    if (decision.outcome !== 'allow' || facts.wants !== 'upgrade') return decision
    if (!route.allowWebsockets) return { outcome: 'deny', reasons: ['websockets-off'] }
    // A browser sends cookies with a WebSocket from any page: the page's origin must be one of ours (CSWSH).
    const origin = generation.routes.originOf(facts.host, facts.port)
    if (session && !websocketOriginAllowed(route, facts, origin))
      return { outcome: 'deny', reasons: ['origin-unauthorized'] }
    return decision
  }

  function principalOf(session: Session): Principal {
    return {
      identity: session.identity,
      sessionId: session.id,
      membership: directory.membership(session.subject),
      status: directory.status(session.subject),
    }
  }
}
