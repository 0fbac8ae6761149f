import { assertNever } from '../errors.ts'
import type { Forward, Route } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import { isAddressUnverified } from './address.ts'
import { evaluate } from './evaluate.ts'
import { unmetBy } from './demand.ts'
import type { Policy, Principal, Reason } from './model.ts'
import { NO_REASONS, plus, type Reasons } from './reasons.ts'
import type { Decision, Grant } from './verdict.ts'
import { elapsed } from '../lib/time.ts'
import type { SignInDemand, WallTime } from '../types.ts'

/** Seconds after which asking again may help when groups are unknown: a directory read takes about one. */
const RETRY_AFTER = 5

/**
 * The permission for one request. The private field is the proof: nothing outside this file
 * can make an object that has it, neither a literal of the same shape nor a copy of a real grant.
 */
class IssuedGrant {
  readonly #issued = true
  readonly route: Route
  readonly request: RequestFacts
  declare readonly principal?: Principal

  constructor(route: Route, request: RequestFacts, principal: Principal | undefined) {
    this.route = route
    this.request = request
    if (principal !== undefined) this.principal = principal
    Object.freeze(this)
  }

  static issued(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #issued in value && value.#issued
  }
}
// Otherwise `grant.constructor` would be a way to make another one.
Reflect.deleteProperty(IssuedGrant.prototype, 'constructor')

/** Did this engine issue the value? */
export function isGrant(value: unknown): value is Grant {
  return IssuedGrant.issued(value)
}

/** Did this engine issue the value for a route with upstreams? The forwarder asks before it touches one. */
export function isForwardGrant(value: unknown): value is Grant<Forward> {
  return isGrant(value) && value.route.action.kind === 'forward'
}

/**
 * What the policy of a route says about a request, and the only maker of a `Grant`. Pure, total and synchronous: it never
 * throws, and a doubt is never "allow". Only policy/judge.ts may call it, because a request has to pass more than its policy.
 */
export function decide(route: Route, asker: Principal | undefined, request: RequestFacts, now: WallTime): Decision {
  try {
    const { policy } = route
    const who = asker && countsOn(route, asker) ? asker : undefined
    if (policy.kind === 'public') return allow(route, request, known(route, who, now), PUBLIC)
    if (who?.status === 'inactive') return INACTIVE
    const decision = decideByPolicy(policy, route, who, request, now)
    const demanded = route.demand ? withDemand(decision, route.demand, who, now) : decision
    return who !== asker && demanded.outcome === 'sign-in' ? { ...demanded, reasons: ELSEWHERE } : demanded
  } catch {
    // A rule that cannot be evaluated might have been the one that denies.
    return POLICY_ERROR
  }
}

/** Where a route names identity providers, a session of another provider does not count. (identity/bearer/reader.ts sees to tokens.) */
export function countsOn({ demand }: Pick<Route, 'demand'>, who: Principal): boolean {
  return who.kind !== 'session' || demand?.providers === undefined || demand.providers.includes(who.provider)
}

function decideByPolicy(
  policy: Exclude<Policy, { kind: 'public' }>,
  route: Route,
  who: Principal | undefined,
  request: RequestFacts,
  now: WallTime,
): Decision {
  switch (policy.kind) {
    case 'signed-in':
      if (who === undefined) return SIGN_IN
      return isTooOld(route, who, now) ? unknownGroups(route, who) : allow(route, request, who, SIGNED_IN)
    case 'rules':
      return decideByRules(policy, route, who, request, now)
    default:
      return assertNever(policy)
  }
}

/**
 * Whoever the rules allow must also have signed in as the route demands; whoever they deny is told so, and not sent to sign
 * in. A CORS preflight is always anonymous, and opens nothing.
 */
function withDemand(decision: Decision, demand: SignInDemand, who: Principal | undefined, now: WallTime): Decision {
  const { outcome, reasons } = decision
  if (outcome === 'sign-in') return { outcome, reasons, demand }
  if (outcome !== 'allow') return decision
  if (who === undefined) return reasons.includes('cors-request') ? decision : { ...SIGN_IN, demand }
  return unmetBy(who, demand, now) === undefined ? decision : { outcome: 'sign-in', reasons: INSUFFICIENT, demand }
}

/** Whom the application of a public route hears of: nobody, unless it wants to (`identity: optional`) and the person is not inactive. */
function known(route: Route, who: Principal | undefined, now: WallTime): Principal | undefined {
  if (who === undefined || who.status === 'inactive') return undefined
  return route.policy.kind === 'public' && route.policy.identity === 'optional'
    ? withFreshGroups(route, who, now)
    : undefined
}

function withFreshGroups(route: Route, who: Principal, now: WallTime): Principal {
  return isTooOld(route, who, now) ? { ...who, membership: 'unknown' } : who
}

/** With `max_directory_age`: were the person's groups last confirmed too long ago? */
function isTooOld({ maxDirectoryAge }: Route, { membership }: Principal, now: WallTime): boolean {
  if (maxDirectoryAge === undefined) return false
  return membership === 'unknown' || elapsed(now, membership.freshAt) > maxDirectoryAge
}

/**
 * Three-valued logic: what does not depend on an unknown is decided without it. An anonymous request is allowed if no rule
 * that mattered looked at the person; otherwise it has to sign in first when any rule did.
 */
function decideByRules(
  policy: Extract<Policy, { kind: 'rules' }>,
  route: Route,
  who: Principal | undefined,
  request: RequestFacts,
  now: WallTime,
): Decision {
  const facts = { who: who && withFreshGroups(route, who, now), request, now }
  const denied = evaluate(policy.deny, facts)
  const allowed = evaluate(policy.allow, facts)
  if (allowed.truth === 'true' && denied.truth === 'false') {
    return allow(route, request, facts.who, allowed.reasons.list)
  }
  // A sign-in would not help against a missing certificate.
  const certificate = denied.truth === 'true' ? certificateDenial(denied.reasons, request) : undefined
  if (certificate) return certificate
  if (who === undefined && (denied.open || allowed.open)) return SIGN_IN
  if (denied.truth === 'true') return { outcome: 'deny', reasons: explainAddress(denied.reasons, who) }
  if (allowed.truth === 'false') {
    return { outcome: 'deny', reasons: allowed.reasons === NO_REASONS ? NO_RULE : explainAddress(allowed.reasons, who) }
  }
  // With known groups the open question is one about an e-mail address, and a program has none.
  return facts.who && facts.who.membership !== 'unknown' ? NO_ADDRESS : unknownGroups(route, who)
}

/** The denial of a rule that asks for a valid client certificate. */
function certificateDenial({ list }: Reasons, request: RequestFacts): Decision | undefined {
  if (!list.includes('client-certificate-required')) return undefined
  return request.clientCertificate ? INVALID_CERTIFICATE : { outcome: 'deny', reasons: list }
}

/** Rules do not see an e-mail address that is not verified: then that is the reason to give. */
function explainAddress(reasons: Reasons, who: Principal | undefined): readonly Reason[] {
  const { list } = reasons
  const about = list.some((reason) => reason.startsWith('email-') || reason.startsWith('domain-'))
  return about && who && isAddressUnverified(who.identity) ? plus(reasons, 'email-unverified').list : list
}

/**
 * A directory will know the groups soon. A provider that told none at the sign-in will not, unless it told some before that
 * have grown old: the next refresh of the session brings them.
 */
function unknownGroups({ toldAtSignIn }: Route, who: Principal | undefined): Decision {
  const hasGrownOld = who?.membership === 'unknown' && who.status === 'active'
  const isTold = who?.kind === 'session' && toldAtSignIn?.includes(who.provider)
  return isTold && !hasGrownOld ? NOT_TOLD : UNAVAILABLE
}

function allow(
  route: Route,
  request: RequestFacts,
  principal: Principal | undefined,
  reasons: readonly Reason[],
): Decision {
  // The private field is the brand that `Grant` declares.
  return { outcome: 'allow', grant: new IssuedGrant(route, request, principal) as unknown as Grant, reasons }
}

const only = (reason: Reason): readonly Reason[] => plus(NO_REASONS, reason).list
const PUBLIC = only('public')
const SIGNED_IN = only('signed-in')
const NO_RULE = only('no-rule-matched')
const INSUFFICIENT = only('authentication-insufficient')
const ELSEWHERE = plus(plus(NO_REASONS, 'user-unauthenticated'), 'other-identity-provider').list
const SIGN_IN = Object.freeze({ outcome: 'sign-in', reasons: only('user-unauthenticated') } as const)
const INACTIVE: Decision = Object.freeze({ outcome: 'deny', reasons: only('user-inactive') })
const NO_ADDRESS: Decision = Object.freeze({ outcome: 'deny', reasons: only('email-unauthorized') })
const NOT_TOLD: Decision = Object.freeze({ outcome: 'deny', reasons: only('groups-claim-absent') })
const INVALID_CERTIFICATE: Decision = Object.freeze({ outcome: 'deny', reasons: only('invalid-client-certificate') })
const POLICY_ERROR: Decision = Object.freeze({ outcome: 'deny', reasons: only('policy-error') })
const UNAVAILABLE: Decision = Object.freeze({
  outcome: 'unavailable',
  retryAfter: RETRY_AFTER,
  reasons: only('groups-unknown'),
})
