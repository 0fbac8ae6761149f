import { assertNever } from '../errors.ts'
import type { Route } from '../config/route-model.ts'
import type { PathReadings, RequestFacts } from '../http/request.ts'
import type { RouteMatch, RouteTable } from '../routing/model.ts'
import { destinationPath, hasDestination } from '../routing/destination.ts'
import { websocketOriginAllowed } from '../routing/origin.ts'
import { standingOf } from './client-certificate.ts'
import { decide } from './engine.ts'
import type { Asker, BadToken, Principal } from './model.ts'
import { NO_REASONS, plus } from './reasons.ts'
import type { Decision, ShadowDecision, Verdict } from './verdict.ts'
import type { WallTime } from '../types.ts'

/**
 * What is to be done with a request: which route serves it, what the route's policy says, and what an upgrade needs on
 * top. Pure, and the only place where it is decided: for requests, for streams that are open already, and for the
 * command line. `match`: what the table found, from a caller that had to know it before it knew who asks.
 */
export function judge(
  { routes }: { readonly routes: RouteTable },
  facts: RequestFacts,
  who: Asker,
  now: WallTime,
  match: RouteMatch = routes.match(facts),
): Verdict {
  switch (match.kind) {
    case 'none':
      return NOT_FOUND
    case 'control':
      return { outcome: 'control', control: match }
    case 'bad-path':
      return { outcome: 'bad-path', path: match }
    case 'route':
      return judgeRoute(routes, match, facts, who, now)
    default:
      return assertNever(match)
  }
}

/** What the route's `shadow_policy` would decide, for the log alone: it holds no grant, and a fault is a denial. */
export function judgeShadow(
  { routes }: { readonly routes: RouteTable },
  match: MatchedRoute,
  facts: RequestFacts,
  who: Asker,
  now: WallTime,
): ShadowDecision {
  try {
    const { outcome, reasons } = judgeRoute(routes, match, facts, who, now)
    return { outcome, reasons }
  } catch {
    return SHADOW_FAULT
  }
}

type MatchedRoute = Extract<RouteMatch, { kind: 'route' }>

function judgeRoute(
  routes: RouteTable,
  { route, asked }: MatchedRoute,
  received: RequestFacts,
  asker: Asker,
  now: WallTime,
): Decision {
  const facts = withCertificate(received, route)
  if (route.mtls?.required) {
    const standing = standingOf(facts.clientCertificate, now)
    if (standing !== 'valid') return NO_CERTIFICATE[standing]
  }
  // A client that sends a bad token is told so, even where a rule would let everybody in.
  if (asker?.kind === 'bad-token' && route.policy.kind !== 'public') return BAD_TOKEN[asker.error]
  const who = asker?.kind === 'bad-token' ? undefined : asker
  const decision = facts.readings
    ? judgeReadings(route, facts.readings, asked, facts, who, now)
    : decide(route, who, facts, now)
  if (decision.outcome !== 'allow') return decision
  if (facts.wants === 'upgrade' || mayUpgrade(route, facts)) return judgeUpgrade(routes, route, decision, now)
  return hasDestination(facts.method) ? judgeDestination(routes, route, facts, who, now, decision) : decision
}

/** A certificate that was checked under another configuration is not valid: the connection may be older than this one. */
function withCertificate(facts: RequestFacts, { mtls }: Route): RequestFacts {
  const { clientCertificate: shown } = facts
  if (!shown || shown.checkedBy === mtls?.version) return facts
  return { ...facts, clientCertificate: { ...shown, fault: 'it was checked by another configuration' } }
}

/** The `Destination` of WebDAV must be on the same route, and the policy must allow it, too. */
function judgeDestination(
  routes: RouteTable,
  route: Route,
  facts: RequestFacts,
  who: Principal | undefined,
  now: WallTime,
  decision: Decision,
): Decision {
  const destination = facts.headers.get('destination')
  if (destination === undefined) return decision
  const path = destinationPath(destination, facts)
  if (path === undefined) return FOREIGN_DESTINATION
  const written: RequestFacts = { ...facts, path, query: '', readings: undefined }
  const match = routes.match(written)
  if (match.kind !== 'route' || match.route !== route) return FOREIGN_DESTINATION
  return stricter(decision, decide(route, who, written, now))
}

/** The strictest of the decisions on all readings of the path. A grant is for the reading that is forwarded. */
function judgeReadings(
  route: Route,
  { decoded }: PathReadings,
  asked: RequestFacts | undefined,
  facts: RequestFacts,
  who: Principal | undefined,
  now: WallTime,
): Decision {
  const merged = decide(route, who, facts, now)
  const decision = asked ? stricter(decide(route, who, asked, now), merged) : merged
  return decoded === undefined ? decision : stricter(decision, decide(route, who, { ...facts, path: decoded }, now))
}

const STRICTNESS = { allow: 0, 'sign-in': 1, unavailable: 2, deny: 3, 'bad-token': 4 } as const

/** Of two decisions on two readings of one path; the first when they are equal. */
function stricter(one: Decision, other: Decision): Decision {
  return STRICTNESS[other.outcome] > STRICTNESS[one.outcome] ? other : one
}

/**
 * Any page can have a browser open a WebSocket, with cookies and from inside any network (CSWSH). So the page's origin must
 * be one of ours wherever a policy looks at the person or the address. On a public route a request of a foreign page counts
 * as anonymous.
 */
function judgeUpgrade(
  routes: RouteTable,
  route: Route,
  decision: Decision & { readonly outcome: 'allow' },
  now: WallTime,
): Decision {
  const { action, policy } = route
  const { request: facts } = decision.grant
  // Nothing is opened: whoever may not upgrade is answered as to any other request (RFC 9110 §7.8).
  if (action.kind !== 'forward') return decision
  if (facts.wants === 'upgrade' && !action.allowWebsockets) return WEBSOCKETS_OFF
  if (policy.kind === 'public' && decision.grant.principal === undefined) return decision
  if (websocketOriginAllowed(action, facts, routes.originOf(facts.host, facts.port))) return decision
  return policy.kind === 'public' ? decide(route, undefined, facts, now) : FOREIGN_ORIGIN
}

/** Does the request change to a protocol other than WebSocket? Unless the route allows it, the upgrade is ignored. */
export function mayUpgrade({ action }: Route, { upgradeTo }: Pick<RequestFacts, 'upgradeTo'>): boolean {
  return upgradeTo !== undefined && action.kind === 'forward' && action.allowUpgrades.includes(upgradeTo)
}

const BAD_TOKEN: Readonly<Record<BadToken['error'], Decision>> = Object.freeze({
  invalid_token: {
    outcome: 'bad-token',
    error: 'invalid_token',
    reasons: plus(NO_REASONS, 'token-invalid').list,
  },
  insufficient_scope: {
    outcome: 'bad-token',
    error: 'insufficient_scope',
    reasons: plus(NO_REASONS, 'token-scope').list,
  },
})
const NO_CERTIFICATE: Readonly<Record<'none' | 'invalid', Decision>> = Object.freeze({
  none: { outcome: 'deny', reasons: plus(NO_REASONS, 'client-certificate-required').list },
  invalid: { outcome: 'deny', reasons: plus(NO_REASONS, 'invalid-client-certificate').list },
})
const NOT_FOUND: Verdict = Object.freeze({ outcome: 'not-found' })
const SHADOW_FAULT: ShadowDecision = Object.freeze({
  outcome: 'deny',
  reasons: plus(NO_REASONS, 'policy-error').list,
})
const WEBSOCKETS_OFF: Decision = Object.freeze({ outcome: 'deny', reasons: plus(NO_REASONS, 'websockets-off').list })
const FOREIGN_DESTINATION: Decision = Object.freeze({
  outcome: 'deny',
  reasons: plus(NO_REASONS, 'destination-unauthorized').list,
})
const FOREIGN_ORIGIN: Decision = Object.freeze({
  outcome: 'deny',
  reasons: plus(NO_REASONS, 'origin-unauthorized').list,
})
