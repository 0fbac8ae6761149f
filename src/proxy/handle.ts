/** The request, from facts to answer, in one function. Requests and upgrades take the same steps. */
import { toAppError } from '../errors.ts'
import { judge } from '../policy/judge.ts'
import type { Exchange, Finished, RequestFacts, Generation, StreamRegistry } from '../http/exchange.ts'
import type { Clock, Session, Sessions } from '../types.ts'
import type { Principal } from '../policy/model.ts'
import type { Directory } from '../directory/model.ts'
import type { AccessLog, Progress } from './access-log.ts'
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

export function createHandle(deps: HandleDeps): (exchange: Exchange) => Promise<void> {
  const { sessions, directory, streams, respond, accessLog, clock } = deps

  return async function handle(exchange) {
    const progress: Progress = { startedAt: clock.monotonic() }
    const generation = deps.generation()
    generation.enter()
    try {
      const finished = await run(exchange, generation, progress)
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
    } finally {
      generation.leave()
    }
  }

  async function run(exchange: Exchange, generation: Generation, progress: Progress): Promise<Finished> {
    const facts = generation.parse(exchange.req, exchange.upgrade)
    progress.facts = facts
    if ('kind' in facts) return exchange.reply(respond.badRequest(facts))

    const match = generation.routes.match(facts)
    const route = match.kind === 'route' ? match.route : undefined
    if (route) progress.route = route
    // A public route asks nobody who they are.
    const found =
      route && route.policy.kind !== 'public'
        ? sessions.read(facts.cookie, generation.cookieNames[route.from.scheme].session, facts.host, clock.now())
        : undefined
    const session = found instanceof Promise ? await found : found
    if (session) progress.session = session

    const verdict = judge(generation, facts, session && principalOf(session), clock.now(), match)
    if (verdict.outcome === 'control') {
      return exchange.reply(await deps.control(verdict.control, facts, exchange.req, generation))
    }
    if (verdict.outcome === 'not-found' || !route) return exchange.reply(respond.notFound(facts, generation))
    progress.decision = verdict
    if (verdict.outcome !== 'allow') {
      const origin = generation.routes.originOf(facts.host, facts.port) ?? ''
      return exchange.reply(respond.refusal(verdict, route, { facts, req: exchange.req, generation, origin }, session))
    }
    if (route.action.kind !== 'forward') return exchange.reply(respond.granted(verdict.grant))
    if (!session) return exchange.pass(verdict.grant, generation.forwarder)

    // Permission can end while bytes still flow: a WebSocket, an event stream, a long download.
    const leave = streams.add({
      sessionId: session.id,
      person: session.person,
      expiresAt: session.expiresAt,
      stillAllowed: () => stillAllowed(facts, session),
      cut: (reason) => exchange.cut(reason),
    })
    try {
      return await exchange.pass(verdict.grant, generation.forwarder)
    } finally {
      leave()
    }
  }

  function stillAllowed(facts: RequestFacts, session: Session): boolean {
    return judge(deps.generation(), facts, principalOf(session), clock.now()).outcome === 'allow'
  }

  function principalOf(session: Session): Principal {
    return {
      identity: session.identity,
      sessionId: session.id,
      membership: directory.membership(session.person),
      status: directory.status(session.person),
    }
  }
}
