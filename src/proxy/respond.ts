/** A verdict as a reply: HTML for navigations, JSON for everything else. Pure; only the begin of a sign-in is made elsewhere. */
import type { Route } from '../config/route-model.ts'
import { type AppError, assertNever, type ErrorCode, type ErrorInfo, ERRORS } from '../errors.ts'
import type { BadRequest, Reply, RequestFacts } from '../http/exchange.ts'
import { listOf } from '../http/header-lines.ts'
import { type PageModel, pageReply } from '../pages/render.ts'
import { jsonReply, redirectReply, textReply } from '../pages/reply.ts'
import { maxAgeOf } from '../policy/demand.ts'
import { wantedGroups } from '../policy/explain.ts'
import type { Principal, Reason } from '../policy/model.ts'
import type { Decision, Grant } from '../policy/verdict.ts'
import { type Asking, challenges } from './challenge.ts'
import { redirectLocation } from '../routing/redirect.ts'
import type { BadPath } from '../routing/model.ts'
import type { Identity, Json, SignInDemand, Span } from '../types.ts'

/** What was asked, and what a page about it needs. */
export interface Asked {
  readonly facts: RequestFacts
  readonly page: PageModel
}

/** What was asked of a host that has routes. */
export interface AskedOfRoute extends Asked {
  /** External origin of the host, from configuration. */
  readonly origin: string
}

export type Refusal = Exclude<Decision, { outcome: 'allow' }>

/** The request could not be understood. */
export function badRequest({ status, detail, id, wants }: BadRequest, page: PageModel): Reply {
  if (wants !== 'html') return last(jsonReply(status, { error: 'bad-request', detail, request_id: id }))
  return last(pageReply(page, status, { kind: 'error', status, ...REFUSED[status], detail }))
}

function last(reply: Reply): Reply {
  return { ...reply, close: true }
}

const BAD_REQUEST = {
  code: 'ERR_BAD_REQUEST',
  sentence: 'Your browser sent something that Postern does not pass on to an application.',
} as const
const REFUSED: Readonly<Record<BadRequest['status'], { readonly code: ErrorCode; readonly sentence?: string }>> = {
  400: BAD_REQUEST,
  405: { code: 'ERR_METHOD', sentence: 'This method is not passed on to applications.' },
  408: { code: 'ERR_CLIENT_TIMEOUT' },
  414: { code: 'ERR_URI_TOO_LONG' },
  417: BAD_REQUEST,
  421: { code: 'ERR_MISDIRECTED' },
  431: { code: 'ERR_HEADERS_TOO_LARGE' },
  501: BAD_REQUEST,
}

/** One of our own paths, with a method that it does not take. */
export function methodNotAllowed(allowed: readonly string[], asked: Asked): Reply {
  const headers = [['allow', allowed.join(', ')]] as const
  if (asked.facts.wants !== 'html') return textReply(405, 'method not allowed\n', headers)
  return pageReply(asked.page, 405, { kind: 'error', code: 'ERR_METHOD' }, { headers })
}

/** The path can be read in more than one way, so no application got the request. */
export function badPath({ detail, advice }: BadPath, asked: Asked): Reply {
  const { facts } = asked
  if (facts.wants !== 'html') {
    const body: Json = { error: 'bad-request', detail, ...(advice !== undefined && { advice }), request_id: facts.id }
    return jsonReply(400, body)
  }
  return pageReply(asked.page, 400, {
    kind: 'error',
    code: 'ERR_BAD_PATH',
    detail,
    ...(advice !== undefined && { advice }),
  })
}

/** A question of another proxy (forward-auth) that is not answered. */
export function questionRefused(status: 400 | 403, detail: string, { id }: Pick<RequestFacts, 'id'>): Reply {
  return jsonReply(status, { error: status === 400 ? 'bad-request' : 'denied', detail, request_id: id })
}

/**
 * The yes to another proxy that asks whether a request may pass, with the identity headers (lines). The answer of a route
 * that redirects or responds is given as it is, and is never a yes.
 */
export function permitted(grant: Grant, identity: string, asked: Asked): Reply {
  if (grant.route.action.kind !== 'forward') {
    const reply = granted(grant)
    return reply.status < 300 ? notFound(asked) : reply
  }
  const headers: (readonly [string, string])[] = [['cache-control', 'no-store']]
  const list = listOf(identity)
  for (let i = 0; i + 1 < list.length; i += 2) headers.push([list[i] as string, list[i + 1] as string])
  return { status: 200, headers, body: '' }
}

/** More requests than `rate_limit` allows. `wait`: milliseconds until the next one may come. */
export function tooManyRequests(wait: Span, asked: Asked): Reply {
  const { facts } = asked
  const seconds = Math.ceil(wait / 1000)
  const headers = [['retry-after', String(seconds)]] as const
  if (facts.wants !== 'html') {
    return jsonReply(429, { error: 'rate-limited', request_id: facts.id, retry_after: seconds }, headers)
  }
  return pageReply(asked.page, 429, { kind: 'error', code: 'ERR_RATE_LIMITED' }, { headers })
}

/** `portalUrl`: the list of applications on the host that was asked. */
export function notFound(asked: Asked, portalUrl?: string): Reply {
  const { facts } = asked
  if (facts.wants !== 'html') return jsonReply(404, { error: 'not-found', request_id: facts.id })
  return pageReply(asked.page, 404, {
    kind: 'error',
    code: 'ERR_NOT_FOUND',
    ...(portalUrl !== undefined && { wayOn: { href: portalUrl, label: 'Your applications' } }),
  })
}

/** The answer of a route without upstreams to a request that is allowed. */
export function granted({ route, request }: Grant): Reply {
  const reply = answerOf(route, request)
  const { setResponseHeaders: set } = route
  return set ? { ...reply, headers: [...reply.headers.filter(([name]) => !set.has(name)), ...set] } : reply
}

function answerOf(route: Route, request: RequestFacts): Reply {
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
}

/** `cause`: why the groups are unknown, if that is known. */
export function refusal(
  decision: Refusal,
  route: Route,
  who: Principal | undefined,
  asked: AskedOfRoute,
  cause?: ErrorCode,
): Reply {
  switch (decision.outcome) {
    case 'sign-in':
      return who && decision.demand && !decision.reasons.includes(ELSEWHERE)
        ? insufficient(decision.demand, who, route, asked)
        : unauthenticated(asked, route, decision.reasons.includes(ELSEWHERE) ? ELSEWHERE : undefined)
    case 'bad-token':
      return badToken(decision, route, asked)
    case 'deny':
      return denied(decision.reasons, route, who, asked)
    case 'unavailable':
      return unavailable(decision, route, who, asked, cause)
    default:
      return assertNever(decision)
  }
}

const ELSEWHERE: Reason = 'other-identity-provider'

/** `route`: absent for our own pages, which take sessions alone. `reason`: why a session that exists does not count. */
export function unauthenticated(asked: AskedOfRoute, route?: Route, reason: Reason = 'user-unauthenticated'): Reply {
  const { facts } = asked
  const signInUrl = signInUrlOf(asked, route)
  const headers = challenges(asking(asked), route?.serviceTokens === true)
  // Only a form, or its like: any other navigation is redirected to the sign-in.
  if (facts.wants === 'html') {
    return pageReply(
      asked.page,
      401,
      { kind: 'session-over', signInUrl, why: reason === ELSEWHERE ? 'elsewhere' : 'ended' },
      { headers },
    )
  }
  const body: Json = {
    error: 'unauthenticated',
    reason,
    request_id: facts.id,
    login_url: signInUrl,
  }
  return jsonReply(401, body, headers)
}

/** Signed in, but not as the route asks (RFC 9470 §3). */
function insufficient(demand: SignInDemand, who: Principal, route: Route, asked: AskedOfRoute): Reply {
  const { facts } = asked
  const { acrValues } = demand
  const maxAge = maxAgeOf(demand)
  const wanted = {
    ...(acrValues && { acr_values: acrValues.join(' ') }),
    ...(maxAge !== undefined && { max_age: Math.floor(maxAge / 1000) }),
  }
  const error = 'insufficient_user_authentication'
  const headers = challenges(asking(asked), false, error, wanted)
  const signInUrl = signInUrlOf(asked, route)
  if (facts.wants === 'html') {
    return pageReply(asked.page, 401, { kind: 'session-over', signInUrl, why: 'insufficient' }, { headers })
  }
  const body: Json = {
    error,
    reason: 'authentication-insufficient',
    ...wanted,
    request_id: facts.id,
    // A client with a token gets a better one where it got this one.
    ...(who.kind === 'session' && { login_url: signInUrl }),
  }
  return jsonReply(401, body, headers)
}

function signInUrlOf({ origin, page: { controlPrefix } }: AskedOfRoute, route?: Route): string {
  return `${origin}${controlPrefix}/sign_in${route?.demand ? `?route=${route.id}` : ''}`
}

function badToken(
  { error, reasons }: Refusal & { outcome: 'bad-token' },
  { serviceTokens }: Route,
  asked: AskedOfRoute,
): Reply {
  const { facts } = asked
  const status = error === 'invalid_token' ? 401 : 403
  const headers = challenges(asking(asked), serviceTokens === true, error)
  if (facts.wants !== 'html') {
    return jsonReply(status, { error, reason: reasons[0] ?? 'token-invalid', request_id: facts.id }, headers)
  }
  const code = error === 'invalid_token' ? 'ERR_TOKEN_INVALID' : 'ERR_TOKEN_SCOPE'
  return pageReply(asked.page, status, { kind: 'error', code }, { headers })
}

/** A 401 that is made elsewhere, with the challenge that it needs. */
export function challenged(reply: Reply, asked: AskedOfRoute): Reply {
  return reply.status === 401 ? { ...reply, headers: [...reply.headers, ...challenges(asking(asked), false)] } : reply
}

/** What nginx, and Pomerium, answer with 495: the client has to connect again, with a certificate. */
const NO_CERTIFICATE: ReadonlySet<Reason> = new Set(['client-certificate-required', 'invalid-client-certificate'])

function denied(reasons: Refusal['reasons'], route: Route, who: Principal | undefined, asked: AskedOfRoute): Reply {
  const { facts } = asked
  const status = reasons.some((reason) => NO_CERTIFICATE.has(reason)) ? 495 : 403
  if (facts.wants !== 'html') {
    // RFC 6750 §3.1: a token with more scopes would do.
    const more = who?.kind === 'token' && reasons.includes('scope-unauthorized')
    const headers = more ? challenges(asking(asked), route.serviceTokens === true, 'insufficient_scope') : []
    const body: Json = {
      error: 'denied',
      ...(!route.hidesDetails && { reason: reasons[0] ?? 'no-rule-matched' }),
      request_id: facts.id,
    }
    return jsonReply(status, body, headers)
  }
  return pageReply(asked.page, status, {
    kind: 'denied',
    application: route.name,
    code: deniedCode(status, reasons),
    ...(who && { person: personOf(who.identity) }),
    ...(route.hidesDetails
      ? { reasons: [], wantedGroups: [] }
      : { reasons, wantedGroups: wantedGroups(route.policy), ...(who && { groups: who.membership }) }),
    ...tryAgain(asked),
  })
}

function deniedCode(status: number, reasons: readonly Reason[]): ErrorCode {
  if (status === ERRORS.ERR_CLIENT_CERTIFICATE.status) return 'ERR_CLIENT_CERTIFICATE'
  return reasons.includes('groups-claim-absent') ? 'ERR_GROUPS_CLAIM_ABSENT' : 'ERR_DENIED'
}

function unavailable(
  { reasons, retryAfter }: Refusal & { outcome: 'unavailable' },
  route: Route,
  who: Principal | undefined,
  asked: AskedOfRoute,
  code: ErrorCode = 'ERR_GROUPS_UNKNOWN',
): Reply {
  const { facts } = asked
  const { waiting, retryAfter: seconds = retryAfter }: ErrorInfo = ERRORS[code]
  const headers = waiting === 'helps' ? ([['retry-after', String(seconds)]] as const) : []
  if (facts.wants !== 'html') {
    const body: Json = {
      error: 'unavailable',
      reason: reasons[0] ?? 'groups-unknown',
      code,
      request_id: facts.id,
      ...(waiting === 'helps' && { retry_after: seconds }),
    }
    return jsonReply(503, body, headers)
  }
  return pageReply(
    asked.page,
    503,
    {
      kind: 'unavailable',
      application: route.name,
      code,
      ...(who && { person: personOf(who.identity), groups: who.membership }),
      ...tryAgain(asked),
    },
    { headers },
  )
}

/** A technical fault. `asked`: absent when it came before anything was understood. */
export function failure(error: AppError, requestId: string, asked: Asked | undefined, route: Route | undefined): Reply {
  const { status, sentence, retryAfter } = error.info
  const { limit } = error.details
  const headers = retryAfter === undefined ? [] : ([['retry-after', String(retryAfter)]] as const)
  // The rest of the request may still arrive, and nobody reads it.
  const sent = status === 408 || status === 413 ? last : (reply: Reply) => reply
  if (asked?.facts.wants !== 'html') {
    const code = error.code === 'ERR_INTERNAL' ? 'internal' : error.code
    const body: Json = { error: code, sentence, ...(limit !== undefined && { limit }), request_id: requestId }
    return sent(jsonReply(status, body, headers))
  }
  const { facts } = asked
  const page = pageReply(
    asked.page,
    status,
    {
      kind: 'error',
      code: error.code,
      ...(limit !== undefined && { limit: String(limit) }),
      ...(route && { application: route.name }),
      ...(facts.method === 'GET' &&
        status !== ERRORS.ERR_CLIENT_CLOSED.status && {
          wayOn: { href: referenceTo(facts), label: 'Try again' },
        }),
    },
    { headers },
  )
  return sent(page)
}

/** Two slashes at the beginning would name another host (RFC 3986 §4.2). */
function referenceTo({ path, query }: RequestFacts): string {
  return (path.startsWith('//') ? '/.' : '') + path + query
}

/** What a form sent is not in its address. */
function tryAgain({ facts, origin }: AskedOfRoute): { readonly tryAgainUrl?: string } {
  return facts.method === 'GET' ? { tryAgainUrl: origin + facts.path + facts.query } : {}
}

function asking({ facts, origin, page: { controlPrefix } }: AskedOfRoute): Asking {
  return { facts, origin, controlPrefix }
}

export function personOf({ name, email, subject }: Identity) {
  return { subject, ...(name !== undefined && { name }), ...(email !== undefined && { email }) }
}
