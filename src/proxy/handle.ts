/** The request, from facts to answer, top to bottom. Requests and upgrades take the same steps. */
import type { Authenticate } from '../authenticate/handlers.ts'
import type { Directory } from '../directory/model.ts'
import { type AppError, toAppError } from '../errors.ts'
import type {
  BadRequest,
  Exchange,
  Finished,
  Forwarded,
  ForwardOutcome,
  Generation,
  Reply,
  RequestFacts,
  RequestHead,
  StreamPlace,
  StreamRegistry,
  Trace,
  TraceStep,
  Tracing,
} from '../http/exchange.ts'
import { limitBody } from '../http/body-limit.ts'
import { writeReply } from '../http/send.ts'
import { pageOf } from '../pages/render.ts'
import { judge, judgeShadow } from '../policy/judge.ts'
import type { Asker, Principal } from '../policy/model.ts'
import type { Decision, Grant, ShadowDecision } from '../policy/verdict.ts'
import { asSeen, isWithheld, mayBeConsumed, withoutAuthorization } from '../routing/consumed.ts'
import type { ControlMatch, RouteMatch } from '../routing/model.ts'
import type { Route } from '../config/route-model.ts'
import type { Clock, Monotonic, Span, WallTime } from '../types.ts'
import type { AccessLog, Progress } from './access-log.ts'
import type { LogChoice } from './log-choice.ts'
import type { Control } from './control.ts'
import { parseQuestion, type Question } from './forward-auth.ts'
import { readable } from './cors.ts'
import { asksByGrpc, grpcRefusal } from './grpc.ts'
import { identify } from './identify.ts'
import { createOpenStream } from './open-stream.ts'
import { portalPath } from './portal.ts'
import {
  badPath,
  badRequest,
  challenged,
  failure,
  granted,
  notFound,
  permitted,
  questionRefused,
  type Refusal,
  refusal,
  tooManyRequests,
} from './respond.ts'
import { secured } from './transport-security.ts'

export interface HandleDeps {
  /** Read once per decision: at the top of a request, and again when an open stream is judged again. */
  readonly generation: () => Generation
  readonly directory: Pick<Directory, 'membership' | 'status' | 'trouble'>
  readonly streams: StreamRegistry
  readonly control: Control
  readonly startSignIn: Authenticate['startSignIn']
  readonly accessLog: AccessLog
  /** Absent: there are no traces. */
  readonly tracing?: Tracing | undefined
  readonly clock: Clock
}

/** Resolves when the answer has been written, or the client has gone, and never rejects. */
export function createHandle(deps: HandleDeps): (exchange: Exchange) => Promise<void> {
  return (exchange) => new Promise((ended) => new Handling(deps, exchange, ended).begin())
}

/**
 * One request, until its answer has been written: its steps in their order, and what the access log knows of it. One
 * object, and no promise where nothing is waited for.
 */
class Handling implements Progress, ForwardOutcome {
  readonly startedAt: Monotonic
  facts: RequestFacts | BadRequest | undefined = undefined
  route: Route | undefined = undefined
  who: Principal | undefined = undefined
  unidentified: AppError | undefined = undefined
  decision: Decision | undefined = undefined
  shadow: ShadowDecision | undefined = undefined
  cause: Progress['cause'] = undefined
  detail: string | undefined = undefined
  kind: Progress['kind'] = undefined
  trace: Trace | undefined = undefined
  private readonly deps: HandleDeps
  private readonly exchange: Exchange
  private readonly generation: Generation
  private readonly ended: () => void
  /** Another proxy asks, and forwards the request itself. */
  private question: Question | undefined = undefined
  private place: StreamPlace | undefined = undefined
  private over = false

  constructor(deps: HandleDeps, exchange: Exchange, ended: () => void) {
    this.deps = deps
    this.exchange = exchange
    this.ended = ended
    this.startedAt = deps.clock.monotonic()
    this.generation = deps.generation()
  }

  get head(): RequestHead {
    return this.exchange.head
  }

  get logChoice(): LogChoice {
    return this.generation.live
  }

  get protocol(): string {
    return `HTTP/${this.exchange.head.httpVersion}`
  }

  begin(): void {
    this.generation.enter()
    try {
      this.parse()
    } catch (thrown) {
      this.fail(thrown)
    }
  }

  private parse(): void {
    const { exchange, generation } = this
    const parsed = generation.parse(exchange.head)
    this.facts = parsed
    if ('kind' in parsed) return this.send(badRequest(parsed, this.pageOf(parsed.id)))
    const match = generation.routes.match(parsed)
    if (match.kind === 'control' && match.action === 'forward-auth') this.parseQuestion(parsed)
    else this.identify(parsed, match)
  }

  /** What is judged is the request that the other proxy holds. */
  private parseQuestion(received: RequestFacts): void {
    const question = parseQuestion(this.exchange.head, received, this.generation)
    if ('status' in question) {
      this.detail = question.detail
      return this.send(questionRefused(question.status, question.detail, received))
    }
    this.kind = 'forward-auth'
    this.question = question
    this.identify(question.asked, question.match)
  }

  private identify(parsed: RequestFacts, match: RouteMatch): void {
    const { clock, tracing } = this.deps
    const { authenticators, rateLimits } = this.generation
    const route = match.kind === 'route' ? match.route : undefined
    const facts = (match.kind === 'route' && match.asked) || parsed
    this.facts = facts
    this.route = route
    // A load balancer's health probe must not be refused because of what its clients do.
    const isPing = match.kind === 'control' && match.action === 'ping'
    const wait = isPing ? 0 : (rateLimits?.client(facts, route, clock.monotonic()) ?? 0)
    if (!isPing) this.trace = tracing?.begin(facts, this.exchange.head, this.startedAt, believesTrace(parsed, route))
    if (wait > 0) return this.slow('rate_limit.per_client', wait, facts)
    const now = clock.now()
    const found = route && this.within('session', () => identify(authenticators, facts, route, now, this))
    if (found instanceof Promise) this.when(found, (asker) => this.judge(parsed, facts, match, asker, clock.now()))
    else this.judge(parsed, facts, match, found, now)
  }

  private judge(parsed: RequestFacts, facts: RequestFacts, match: RouteMatch, asker: Asker, now: WallTime): void {
    const { generation, question, route } = this
    const who = asker?.kind === 'bad-token' ? undefined : asker
    this.who = who
    const wait = (who && route && generation.rateLimits?.person(who, route, this.deps.clock.monotonic())) ?? 0
    if (wait > 0) return this.slow('rate_limit.per_person', wait, facts)
    const seen =
      this.unidentified && route && mayBeConsumed(facts, route)
        ? withoutAuthorization({ facts: parsed, match })
        : asSeen(parsed, match, who)

    if (route) this.trace?.step('authz')
    const verdict = judge(generation, seen.facts, asker, now, seen.match)
    if (verdict.outcome === 'control' && !question) return this.control(verdict.control, facts)
    if (verdict.outcome === 'bad-path') {
      this.detail = verdict.path.detail
      return this.answer(badPath(verdict.path, this.askedOf(facts)), facts)
    }
    if (verdict.outcome === 'not-found' || verdict.outcome === 'control' || !route) {
      return this.deny(notFound(this.askedOf(facts), portalPath(generation, facts)), facts)
    }
    this.decision = verdict
    if (verdict.outcome === 'bad-token' && asker?.kind === 'bad-token') this.detail = asker.detail
    if (route.shadow !== undefined && seen.match.kind === 'route') {
      this.shadow = judgeShadow(generation, { ...seen.match, route: route.shadow }, seen.facts, asker, now)
    }
    if (verdict.outcome !== 'allow') return this.refuse(verdict, facts, route)
    if (question) return this.permit(verdict.grant, facts, route, question)
    if (route.action.kind !== 'forward') return this.answer(granted(verdict.grant), facts)
    this.forward(verdict.grant, parsed, facts, route)
  }

  /** One of our own paths. */
  private control(match: ControlMatch, facts: RequestFacts): void {
    this.kind = match.action === 'ping' ? 'probe' : 'control'
    const { exchange, generation } = this
    const reply = this.within('control', () => this.deps.control(match, facts, exchange, generation))
    this.when(reply, (made) => this.answer(made, facts))
  }

  private forward(grant: Grant, asked: RequestFacts, facts: RequestFacts, route: Route): void {
    const { deps, exchange, generation, startedAt: openedAt } = this
    const most = route.maxRequestBody ?? generation.live.maxRequestBody
    if (most > 0) limitBody(exchange, most)
    // Permission can end while bytes still flow: a WebSocket, an event stream, a long download. So can nobody's: a new
    // configuration may ask who it is.
    const { principal } = grant
    this.place = deps.streams.add(createOpenStream(deps, { exchange, asked, facts, route, principal, openedAt }))
    this.trace?.step('upstream')
    generation.forwarder.forward(grant, exchange, this)
  }

  private refuse(verdict: Refusal, facts: RequestFacts, route: Route): void {
    const { exchange, generation, question } = this
    const origin = generation.routes.originOf(facts.host, facts.port) ?? ''
    const asked = { facts, origin, page: this.pageOf(facts.id) }
    const send = (reply: Reply): void => {
      if (question && reply.status < 300) throw new TypeError('forward-auth: a refusal must not look like a yes')
      this.deny(readable(reply, facts, route), facts)
    }
    if (verdict.outcome === 'unavailable') this.cause = this.who && this.deps.directory.trouble(this.who.person)
    else if (verdict.reasons.includes('groups-claim-absent')) this.cause = NO_GROUPS_CLAIM
    const begins = facts.wants === 'html' && isSafe(facts.method) && question?.redirects !== false
    if (verdict.outcome !== 'sign-in' || !begins)
      return send(refusal(verdict, route, this.who, asked, this.cause?.code))
    // Another proxy passes on a redirect, and might keep a page for itself.
    const how = { keepFragment: route.keepFragment && !question, demand: verdict.demand }
    const request = { facts, exchange, generation, origin }
    const reply = this.deps.startSignIn(request, origin + facts.path + facts.query, how)
    this.when(reply, (made) => send(challenged(made, asked)))
  }

  /** Another proxy may pass the request on. */
  private permit(grant: Grant, facts: RequestFacts, route: Route, { removesAuthorization }: Question): void {
    if (isWithheld(facts.authorization ?? '', grant.request, route) && !removesAuthorization) {
      this.detail = 'the token would reach the application: see authorization=removed in docs/forward-auth.md'
      return this.answer(questionRefused(403, this.detail, facts), facts)
    }
    const identity = route.action.kind === 'forward' ? this.generation.forwarder.identityHeaders(grant) : ''
    this.when(identity, (lines) => this.answer(permitted(grant, lines, this.askedOf(facts)), facts))
  }

  // ---- outcomes

  forwarded(forwarded: Forwarded): void {
    this.finish({ status: forwarded.status, bytesOut: forwarded.bytesOut, forwarded })
  }

  failed(error: AppError): void {
    this.fail(error)
  }

  /** In the form that the client reads: gRPC gets trailers. Another proxy that asks goes by the status. */
  private deny(reply: Reply, facts: RequestFacts, error?: AppError): void {
    const said = secured(reply, facts, this.generation)
    const shown = !this.question && asksByGrpc(this.exchange.head) ? grpcRefusal(said) : said
    this.send(said, error, shown)
  }

  /** Somebody asks too often. */
  private slow(key: string, wait: Span, facts: RequestFacts): void {
    this.detail = `more requests than ${key}`
    this.deny(tooManyRequests(wait, this.askedOf(facts)), facts)
  }

  private answer(reply: Reply, facts: RequestFacts): void {
    this.send(secured(reply, facts, this.generation))
  }

  /** `error`: why this is the answer. `shown`: how it is written, if not as it is. */
  private send(reply: Reply, error?: AppError, shown = reply): void {
    const { bytesOut } = writeReply(this.exchange, shown)
    this.exchange.onClosed(() => this.finish({ status: reply.status, bytesOut }, error))
  }

  private fail(thrown: unknown): void {
    if (this.over) return
    const { facts, route } = this
    const error = toAppError(thrown)
    const known = facts && !('kind' in facts) ? facts : undefined
    try {
      const reply = failure(error, facts?.id ?? '', known && this.askedOf(known), route)
      // Without a route it may have been a question of another proxy.
      if (known && route) this.deny(readable(reply, known, route), known, error)
      else this.send(known ? secured(readable(reply, known, route), known, this.generation) : reply, error)
    } catch {
      // It had gone out some way already; the log line still says what happened.
      this.finish(undefined, error)
    }
  }

  /** Does the work as a step of the trace, if there is one. */
  private within<R>(step: TraceStep, work: () => R): R {
    return this.trace ? this.trace.within(step, work) : work()
  }

  /** Goes on with a value, at once when it is there. */
  private when<T>(value: T | Promise<T>, next: (value: T) => void): void {
    if (value instanceof Promise) void this.later(value, next)
    else next(value)
  }

  private async later<T>(value: Promise<T>, next: (value: T) => void): Promise<void> {
    try {
      next(await value)
    } catch (thrown) {
      this.fail(thrown)
    }
  }

  private finish(finished: Finished | undefined, error?: AppError): void {
    if (this.over) return
    this.over = true
    this.place?.leave()
    try {
      this.deps.accessLog(this, finished, error)
    } finally {
      this.generation.leave()
      this.ended()
    }
  }

  // ---- what pages need

  private askedOf(facts: RequestFacts) {
    return { facts, page: this.pageOf(facts.id) }
  }

  private pageOf(requestId: string) {
    return pageOf(this.generation, requestId, this.deps.clock.now())
  }
}

/** The fault lies in the provider's set-up, not in the person who is refused. */
const NO_GROUPS_CLAIM = {
  code: 'ERR_GROUPS_CLAIM_ABSENT',
  message: 'the sign-in had no groups claim (groups_claim)',
} as const

/** The trace context of a trusted hop counts; anybody's does where the route passes `traceparent` on. */
function believesTrace({ hop }: RequestFacts, route: Route | undefined): boolean {
  return hop === true || (route?.action.kind === 'forward' && route.action.allowRequestHeaders.includes('traceparent'))
}

/** A redirect to the sign-in would lose what any other method sends. */
function isSafe(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}
