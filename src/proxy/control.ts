/** The control paths: `/.postern/…`, `/.well-known/postern…`, `/ping`. Reached before any route, judged by nobody's policy. */
import type { Authenticate, ControlRequest } from '../authenticate/handlers.ts'
import type { ProgramLogin } from '../authenticate/program-login.ts'
import { assertNever, toAppError } from '../errors.ts'
import { pageOf } from '../pages/render.ts'
import { jsonReply, textReply } from '../pages/reply.ts'
import { stylesheetOf } from '../pages/style.ts'
import type { Exchange, Generation, Reply, RequestFacts } from '../http/exchange.ts'
import type { ControlAction, ControlMatch } from '../routing/model.ts'
import type { EventHook, ScimServer } from '../directory/model.ts'
import type { ServiceTokens } from '../tokens/model.ts'
import type { Clock, Json } from '../types.ts'
import { protectedResource } from './challenge.ts'
import { answerHook } from './hook.ts'
import type { Portal } from './portal.ts'
import type { StatusViews } from './status.ts'
import type { SignalReplies } from './provider-signals.ts'
import { methodNotAllowed } from './respond.ts'
import { answerScim } from './scim.ts'
import { answerToken } from './token.ts'
import type { UserViews } from './user.ts'

export type Control = (
  match: ControlMatch,
  facts: RequestFacts,
  exchange: Exchange,
  generation: Generation,
) => Promise<Reply>

export interface ControlDeps {
  readonly clock: Clock
  readonly authenticate: Authenticate
  readonly user: UserViews
  readonly portal: Portal
  readonly status: StatusViews
  readonly programs: ProgramLogin
  readonly tokens: Pick<ServiceTokens, 'find'>
  /** What identity providers push. */
  readonly signals: SignalReplies
  /** Absent: no event hooks are taken, and nothing is there. */
  readonly hook?: EventHook | undefined
  /** Absent: nothing is pushed to us. */
  readonly scim?: ScimServer | undefined
  /** Public keys of the identity assertion (RFC 7517). */
  readonly jwks: () => Promise<Json>
  /** One step of a sign-in or sign-out happened: for whoever counts. */
  readonly recordFlow: (step: FlowStep, result: 'ok' | 'failed', reason: string) => void
}

/** Steps that people notice when they fail. */
export type FlowStep = 'start' | 'callback' | 'handoff' | 'sign-out'

const STEPS: Partial<Record<ControlAction, FlowStep>> = {
  'sign-in': 'start',
  'idp-callback': 'callback',
  'route-callback': 'handoff',
  'sign-out': 'sign-out',
}

/** Readable by scripts of any origin: public facts only. */
const PUBLIC_CORS = [['access-control-allow-origin', '*']] as const
/** A key should be published for as long before it signs. */
const CACHED = 'public, max-age=300'
const METHODS: Partial<Record<ControlAction, readonly string[]>> = {
  // What HAProxy probes with.
  ping: ['GET', 'HEAD', 'OPTIONS'],
  'sign-out': ['GET', 'HEAD', 'POST'],
  'program-login': ['GET'],
  'program-confirm': ['GET', 'HEAD', 'POST'],
  'program-token': ['POST'],
  'program-device': ['POST'],
  'end-session': ['POST'],
  'okta-hook': ['GET', 'POST'],
  'backchannel-logout': ['POST'],
  'universal-logout': ['POST'],
  'security-events': ['POST'],
  scim: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
}

export function createControl({
  clock,
  authenticate,
  user,
  portal,
  status,
  programs,
  tokens,
  signals,
  hook,
  scim,
  jwks,
  recordFlow,
}: ControlDeps): Control {
  return async (match, facts, exchange, generation) => {
    const step = STEPS[match.action]
    try {
      const reply = await answer(match, facts, exchange, generation)
      if (step) recordFlow(step, reply.status < 400 ? 'ok' : 'failed', String(reply.status))
      return reply
    } catch (error) {
      if (step) recordFlow(step, 'failed', toAppError(error).code)
      throw error
    }
  }

  async function answer(...[match, facts, exchange, generation]: Parameters<Control>): Promise<Reply> {
    const allowed = METHODS[match.action] ?? ['GET', 'HEAD']
    const { fixed, live } = generation
    const { naming } = live
    if (!allowed.includes(facts.method)) {
      return methodNotAllowed(allowed, { facts, page: pageOf(generation, facts.id, clock.now()) })
    }
    const request: ControlRequest = { facts, exchange, generation, origin: match.origin }

    switch (match.action) {
      case 'ping':
        return textReply(200, 'OK\n', [['cache-control', 'no-store']])
      case 'robots':
        return textReply(200, 'User-agent: *\nDisallow: /\n')
      case 'style':
        return {
          status: 200,
          headers: [
            ['content-type', 'text/css; charset=utf-8'],
            ['cache-control', 'public, max-age=31536000, immutable'],
          ],
          body: stylesheetOf(live.pages).body,
        }
      case 'jwks':
        return jsonReply(200, await jwks(), [...PUBLIC_CORS], CACHED)
      case 'well-known':
        return jsonReply(
          200,
          {
            issuer: match.origin,
            authentication_callback_endpoint: new URL(fixed.authenticateCallbackPath, fixed.authenticateServiceUrl)
              .href,
            jwks_uri: `${match.origin}${naming.wellKnown}/jwks.json`,
          },
          [...PUBLIC_CORS],
        )
      case 'protected-resource':
        return jsonReply(200, protectedResource(match.origin, generation), [...PUBLIC_CORS])
      case 'token':
        return answerToken(tokens, { facts, origin: match.origin, controlPrefix: naming.controlPrefix }, clock.now())
      case 'sign-in':
        return match.on === 'authenticate' ? authenticate.signIn(request) : authenticate.signInAtRoute(request)
      case 'idp-callback':
        return authenticate.idpCallback(request)
      case 'route-callback':
        return authenticate.routeCallback(request)
      case 'return':
        return authenticate.returnToAsked(request)
      case 'sign-out':
        return authenticate.signOut(request)
      case 'end-session':
        return authenticate.endSession(request)
      case 'signed-out':
        return authenticate.signedOut(request)
      case 'portal':
        return portal.page(request)
      case 'portal-json':
        return portal.json(request)
      case 'status-page':
        return status.page(request)
      case 'status-json':
        return status.json(request)
      case 'user-page':
        return user.page(request)
      case 'user-json':
        return user.json(request)
      case 'forward-auth':
        throw new TypeError('forward-auth is answered by handle')
      case 'program-login':
        return programs.begin(request)
      case 'program-confirm':
        return programs.confirm(request)
      case 'program-token':
        return programs.token(request)
      case 'program-device':
        return programs.device(request)
      case 'okta-hook':
        return hook ? answerHook(hook, exchange) : textReply(404, 'not found\n')
      case 'backchannel-logout':
        return signals.backChannelLogout(request)
      case 'universal-logout':
        return signals.universalLogout(request)
      case 'security-events':
        return signals.securityEvents(request)
      case 'scim':
        return scim
          ? answerScim(scim, `${naming.controlPrefix}/scim/v2`, facts, exchange)
          : textReply(404, 'not found\n')
      default:
        return assertNever(match.action)
    }
  }
}
