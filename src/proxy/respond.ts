/** Every answer of ours to a request for an application, as a value: HTML for navigations, JSON for everything else. */
import type { Authenticate, ControlRequest } from '../authenticate/handlers.ts'
import type { AppError } from '../errors.ts'
import { assertNever, ERRORS } from '../errors.ts'
import { deniedPage } from '../pages/denied.tsx'
import { errorPage } from '../pages/error.tsx'
import { htmlReply, jsonReply, redirectReply, textReply } from '../pages/reply.ts'
import { unavailablePage } from '../pages/unavailable.tsx'
import { userPage } from '../pages/user.tsx'
import { wantedGroups } from '../policy/explain.ts'
import type { BadRequest, Reply, RequestFacts, Generation } from '../http/exchange.ts'
import type { Clock, Identity, Json, Session } from '../types.ts'
import type { Decision, Grant } from '../policy/verdict.ts'
import { redirectLocation } from '../routing/redirect.ts'
import type { Directory, Membership } from '../directory/model.ts'
import type { Route } from '../config/model.ts'
import type { Progress } from './access-log.ts'

export interface Respond {
  badRequest(bad: BadRequest): Reply
  notFound(facts: RequestFacts, generation: Generation): Reply
  refusal(decision: Refusal, route: Route, request: ControlRequest, session: Session | undefined): Reply
  /** What a route that has no upstream does with a request that may have it. */
  granted(grant: Grant): Reply
  unauthenticated(request: ControlRequest): Reply
  user(request: ControlRequest, session: Session, membership: Membership | 'unknown'): Reply
  failure(error: AppError, progress: Progress): Reply
}

type Refusal = Exclude<Decision, { outcome: 'allow' }>

export interface RespondDeps {
  readonly authenticate: Pick<Authenticate, 'startSignIn' | 'csrfToken' | 'signOutTargets'>
  readonly directory: Pick<Directory, 'membership'>
  readonly controlPrefix: string
  readonly clock: Clock
}

export function createRespond({ authenticate, directory, controlPrefix, clock }: RespondDeps): Respond {
  const common = (requestId: string) => ({ controlPrefix, requestId, now: clock.now() })

  function unauthenticated({ facts, origin }: ControlRequest): Reply {
    return jsonReply(401, {
      error: 'unauthenticated',
      reason: 'user-unauthenticated',
      request_id: facts.id,
      login_url: `${origin}${controlPrefix}/sign_in`,
    })
  }

  function denied(
    reasons: Refusal['reasons'],
    route: Route,
    { facts, origin }: ControlRequest,
    session: Session | undefined,
  ): Reply {
    if (facts.wants !== 'html' || !session) {
      return jsonReply(403, { error: 'denied', reason: reasons[0] ?? 'no-rule-matched', request_id: facts.id })
    }
    const html = deniedPage({
      ...common(facts.id),
      application: route.name,
      person: personOf(session.identity),
      reasons,
      wantedGroups: wantedGroups(route.policy),
      groups: directory.membership(session.person),
      tryAgainUrl: origin + facts.path + facts.query,
    })
    return htmlReply(403, html)
  }

  function unavailable(
    decision: Refusal & { outcome: 'unavailable' },
    route: Route,
    { facts, origin }: ControlRequest,
    session: Session | undefined,
  ): Reply {
    const { reasons, retryAfter } = decision
    const headers = [['retry-after', String(retryAfter)]] as const
    if (facts.wants !== 'html') {
      return jsonReply(
        503,
        { error: 'unavailable', reason: reasons[0] ?? 'groups-unknown', request_id: facts.id, retry_after: retryAfter },
        headers,
      )
    }
    const html = unavailablePage({
      ...common(facts.id),
      application: route.name,
      ...(session && { person: personOf(session.identity), groups: directory.membership(session.person) }),
      reasons,
      retryAfter,
      tryAgainUrl: origin + facts.path + facts.query,
    })
    return htmlReply(503, html, { headers })
  }

  return {
    // What was asked could not be understood, so neither can what kind of answer is wanted.
    badRequest: ({ status, detail, id }) =>
      jsonReply(status, { error: 'bad-request', detail, request_id: id }, [['connection', 'close']]),

    notFound(facts) {
      if (facts.wants !== 'html') return jsonReply(404, { error: 'not-found', request_id: facts.id })
      return htmlReply(
        404,
        errorPage({ ...common(facts.id), status: 404, sentence: 'No application is published at this address.' }),
      )
    },

    refusal(decision, route, request, session) {
      switch (decision.outcome) {
        case 'sign-in':
          return request.facts.wants === 'html'
            ? authenticate.startSignIn(request, new URL(request.origin + request.facts.path + request.facts.query))
            : unauthenticated(request)
        case 'deny':
          return denied(decision.reasons, route, request, session)
        case 'unavailable':
          return unavailable(decision, route, request, session)
        default:
          return assertNever(decision)
      }
    },

    granted({ route, request }) {
      const { action } = route
      switch (action.kind) {
        case 'redirect':
          return redirectReply(action.status, redirectLocation({ ...route, action }, request))
        case 'respond':
          return textReply(action.status, action.body, [['cache-control', 'no-store']])
        case 'forward':
          throw new TypeError('the answer to this request comes from its upstream')
        default:
          return assertNever(action)
      }
    },

    unauthenticated,

    user(request, session, membership) {
      const html = userPage({
        ...common(request.facts.id),
        person: personOf(session.identity),
        issuer: session.identity.issuer,
        session: { createdAt: session.createdAt, expiresAt: session.expiresAt },
        groups: membership,
        claims: session.identity.claims,
        csrfToken: authenticate.csrfToken(session, request.facts.host),
      })
      return htmlReply(200, html, { formActionOrigins: authenticate.signOutTargets(request.generation) })
    },

    failure(error, { facts, route }) {
      const { status, sentence, retryAfter } = error.info
      const headers = retryAfter === undefined ? [] : ([['retry-after', String(retryAfter)]] as const)
      const id = facts?.id ?? ''
      if (!facts || 'kind' in facts || facts.wants !== 'html') {
        const body: Json = { error: error.code === 'ERR_INTERNAL' ? 'internal' : error.code, sentence, request_id: id }
        return jsonReply(status, body, headers)
      }
      const html = errorPage({
        ...common(id),
        status,
        sentence,
        ...(error.code !== 'ERR_INTERNAL' && { errorCode: error.code }),
        ...(route && { application: route.name }),
        ...(facts.method === 'GET' &&
          status !== ERRORS.ERR_CLIENT_CLOSED.status && {
            wayOn: { href: facts.path + facts.query, label: 'Try again' },
          }),
      })
      return htmlReply(status, html, { headers })
    },
  }
}

function personOf({ name, email, subject }: Identity) {
  return { subject, ...(name !== undefined && { name }), ...(email !== undefined && { email }) }
}
