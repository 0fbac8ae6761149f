import { compileAccess, findAccessIssues, type LegacyAccess } from '../../policy/legacy.ts'
import { type ParsedPolicy, parsePolicy, type PolicyContext } from '../../policy/parse.ts'
import type { Clause, Criterion, Policy } from '../../policy/model.ts'
import { fingerprint } from '../../lib/fingerprint.ts'
import { shared } from '../../lib/shared.ts'
import type { Path, Report } from '../issues.ts'
import type { RouteInput } from '../schema/route.ts'
import type { Draft } from '../validate.ts'

/** What the policies of routes share: the claim with groups, the policies that have a name, and those that are written alike. */
export interface RoutePolicies extends PolicyContext {
  readonly compiled: Map<string, Policy>
}

export function compilePolicyContext({ globals, routes }: Draft, report: Report): RoutePolicies {
  const groupsClaim = globals.groups_claim
  const used = new Set([globals.admin, routes.map(({ input }) => [input.policy, input.shadow_policy])].flat(3))
  const policies = new Map<string, ParsedPolicy>()
  for (const [name, document] of Object.entries(globals.policies)) {
    const path = ['policies', name]
    policies.set(name, parse(document, { groupsClaim }, path, report))
    if (!used.has(name)) report.warning(path, `no route has \`policy: ${name}\``)
  }
  return { groupsClaim, policies, compiled: new Map() }
}

/** Who may use a route: its access keys, and its policy. undefined: it is not valid, which is reported. */
export function compileRoutePolicy(
  input: RouteInput,
  path: Path,
  context: RoutePolicies,
  report: Report,
): Policy | undefined {
  const access = accessOf(input)
  const conflict = findConflict(access, path, report)
  const parsed = isWritten(input.policy) ? parse(input.policy, context, [...path, 'policy'], report) : undefined
  const { issues, warnings } = findAccessIssues(access, context)
  for (const issue of issues) report.error([...path, ...issue.path], issue.message)
  for (const warning of warnings) report.warning([...path, ...warning.path], warning.message)
  if (conflict || issues.length > 0 || parsed?.kind === 'invalid') return undefined

  if (access.allowPublic && parsed?.deny.length === 0) {
    report.error(
      [...path, 'allow_public_unauthenticated_access'],
      `policy would have no effect beside it (${report.where([...path, 'policy'])}): it denies nobody; remove one of them`,
    )
    return undefined
  }
  if (access.allowPublic && parsed) warnBesidePublic(parsed, path, report)
  // One for all routes that say the same: what is asked of thousands of routes in turn stays near the processor.
  const policy = shared(context.compiled, fingerprint([access, input.policy]), () =>
    compileAccess(access, parsed, context),
  )
  if (policy.kind === 'rules') {
    warnOfNobody(policy, parsed !== undefined, parsed ? [...path, 'policy'] : path, report)
  }
  if (input.identity !== 'optional') return policy
  if (!access.allowPublic) {
    report.error([...path, 'identity'], '`optional` is for routes with `allow_public_unauthenticated_access: true`')
    return undefined
  }
  // Rules know who asks anyway.
  return policy.kind === 'public' ? { ...policy, identity: 'optional' } : policy
}

/** The policy that is tried out beside the one in force, if there is one. */
export function compileShadowPolicy(
  input: RouteInput,
  path: Path,
  context: PolicyContext,
  report: Report,
): Policy | undefined {
  return compileRules(input.shadow_policy, [...path, 'shadow_policy'], context, report)
}

/** A policy by itself. undefined: it is not written, or not valid, which is reported. */
export function compileRules(document: unknown, at: Path, context: PolicyContext, report: Report): Policy | undefined {
  if (!isWritten(document)) return undefined
  const parsed = parse(document, context, at, report)
  if (parsed.kind === 'invalid') return undefined
  const policy = { kind: 'rules', allow: parsed.allow, deny: parsed.deny } as const
  warnOfNobody(policy, true, at, report)
  return policy
}

function parse(document: unknown, context: PolicyContext, path: Path, report: Report): ParsedPolicy {
  const parsed = parsePolicy(document, context)
  if (parsed.kind === 'invalid')
    for (const issue of parsed.issues) report.error([...path, ...issue.path], issue.message)
  else for (const issue of parsed.warnings) report.warning([...path, ...issue.path], issue.message)
  return parsed
}

function accessOf(input: RouteInput): LegacyAccess {
  return {
    allowPublic: input.allow_public_unauthenticated_access,
    allowCorsPreflight: input.cors_allow_preflight,
    allowAnyAuthenticated: input.allow_any_authenticated_user,
    allowedUsers: input.allowed_users,
    allowedDomains: input.allowed_domains,
    allowedGroups: input.allowed_groups,
    allowedIdpClaims: new Map(Object.entries(input.allowed_idp_claims)),
  }
}

/** Who is let in by one key is not kept out by another. */
function findConflict(access: LegacyAccess, path: Path, report: Report): boolean {
  const open = access.allowPublic
    ? 'allow_public_unauthenticated_access'
    : access.allowAnyAuthenticated && 'allow_any_authenticated_user'
  if (!open) return false
  const restriction = [
    access.allowedUsers.length > 0 && 'allowed_users',
    access.allowedGroups.length > 0 && 'allowed_groups',
    access.allowedDomains.length > 0 && 'allowed_domains',
    access.allowedIdpClaims.size > 0 && 'allowed_idp_claims',
    access.allowPublic && access.allowAnyAuthenticated && 'allow_any_authenticated_user',
  ].find((key) => key !== false)
  if (restriction === undefined) return false
  report.error(
    [...path, open],
    `${restriction} would have no effect beside it (${report.where([...path, restriction])}); remove one of them`,
  )
  return true
}

function warnBesidePublic({ allow, deny }: ParsedPolicy & { kind: 'ok' }, path: Path, report: Report): void {
  const place = `allow_public_unauthenticated_access (${report.where([...path, 'allow_public_unauthenticated_access'])})`
  if (allow.length > 0) report.warning([...path, 'policy'], `\`allow\` has no effect beside ${place}`)
  const asks = deny.flatMap(({ criteria }) => criteria).find(({ needs }) => needs !== 'nothing')
  if (asks) {
    report.warning(
      [...path, 'policy'],
      `\`deny\` asks who somebody is (${asks.name}), so everybody signs in in spite of ${place}`,
    )
  }
}

function warnOfNobody({ allow, deny }: Rules, hasPolicy: boolean, path: Path, report: Report): void {
  const why = whyNobody(allow, deny, hasPolicy)
  if (why !== undefined) report.warning(path, `nobody is allowed: ${why}`)
}

type Rules = Extract<Policy, { kind: 'rules' }>

function whyNobody(allow: Rules['allow'], deny: Rules['deny'], hasPolicy: boolean): string | undefined {
  // A preflight asks for nobody.
  if (allow.every((clause) => isDecidedBy('cors_preflight', 'and', 'or', clause))) {
    return hasPolicy
      ? 'there is no `allow` with a criterion; write allow: {or: [{authenticated_user: true}]} for everybody who is signed in'
      : 'write a policy, allowed_groups, allowed_users, allowed_domains or allow_any_authenticated_user'
  }
  if (allow.every((clause) => isDecidedBy('reject', 'and', 'or', clause))) return '`reject` never holds'
  if (deny.some((clause) => isDecidedBy('accept', 'or', 'and', clause)))
    return '`accept` below `deny` keeps everybody out'
  return undefined
}

/** One such criterion decides the one operator; the other takes nothing else. */
function isDecidedBy(name: string, byOne: Clause['op'], byAll: Clause['op'], { op, criteria }: Clause): boolean {
  const is = (criterion: Criterion): boolean => criterion.name === name
  return (op === byOne && criteria.some(is)) || (op === byAll && criteria.every(is))
}

function isWritten(document: unknown): boolean {
  return document !== undefined && document !== null
}
