import type { Clause, Criterion, Policy } from './model.ts'
import { compileCriterion } from './criteria.ts'
import type { Scalar } from './matchers.ts'
import { GROUPS_CLAIM, type PolicyContext, type PolicyIssue } from './parse.ts'

/** The access keys of a route beside `policy` (pomerium-policy.md#access-keys), as written. */
export interface LegacyAccess {
  readonly allowPublic: boolean
  /** Preflights carry no cookie (https://fetch.spec.whatwg.org/#cors-preflight-fetch): allowed without a sign-in. */
  readonly allowCorsPreflight?: boolean
  readonly allowAnyAuthenticated: boolean
  readonly allowedUsers: readonly string[]
  readonly allowedDomains: readonly string[]
  readonly allowedGroups: readonly string[]
  /** Claim path → values, any of which will do. */
  readonly allowedIdpClaims: ReadonlyMap<string, readonly Scalar[]>
}

interface Rule {
  readonly name: string
  readonly data: unknown
  /** Where its value is written. */
  readonly path: PolicyIssue['path']
}

/**
 * The route's policy: any of its access keys, or what `policy` says (pomerium-policy.md#access-keys). Empty lists
 * and empty strings allow nobody; with nothing else everybody is denied. Throws what `findAccessIssues` finds.
 */
export function compileAccess(
  legacy: LegacyAccess,
  ppl: { readonly allow: readonly Clause[]; readonly deny: readonly Clause[] } | undefined,
  context: PolicyContext = {},
): Policy {
  const rules = rulesOf(legacy)
  const [only] = rules
  const noPpl = !ppl || (ppl.allow.length === 0 && ppl.deny.length === 0)
  if (noPpl && rules.length === 1 && only) {
    if (only.name === 'accept') return { kind: 'public' }
    if (only.name === 'authenticated_user') return { kind: 'signed-in' }
  }
  const [first, ...others] = rules.map((rule): Criterion => {
    const compiled = compile(rule, context)
    if (compiled.kind === 'ok') return compiled.criterion
    throw new TypeError(`${rule.name}: ${compiled.issues.map(({ message }) => message).join('; ')}`)
  })
  const allow: readonly Clause[] = first ? [{ op: 'or', criteria: [first, ...others] }] : []
  return { kind: 'rules', allow: [...allow, ...(ppl?.allow ?? [])], deny: ppl?.deny ?? [] }
}

/** What is wrong with the values of the access keys, and what may be meant otherwise, each once. */
export function findAccessIssues(
  legacy: LegacyAccess,
  context: PolicyContext,
): { readonly issues: readonly PolicyIssue[]; readonly warnings: readonly PolicyIssue[] } {
  const issues: PolicyIssue[] = []
  const warnings: PolicyIssue[] = []
  const seen = new Set<string>()
  for (const rule of rulesOf(legacy)) {
    // A user and an address are one value.
    const value = rule.path.join('.')
    if (seen.has(value)) continue
    seen.add(value)
    const compiled = compile(rule, context)
    const [list, [first]] = compiled.kind === 'invalid' ? [issues, compiled.issues] : [warnings, compiled.warnings]
    if (first) list.push({ path: rule.path, message: first.message })
  }
  return { issues, warnings }
}

function rulesOf(legacy: LegacyAccess): readonly Rule[] {
  const rules: Rule[] = []
  if (legacy.allowPublic) rules.push({ name: 'accept', data: true, path: ['allow_public_unauthenticated_access'] })
  else if (legacy.allowCorsPreflight) rules.push({ name: 'cors_preflight', data: true, path: ['cors_allow_preflight'] })
  if (legacy.allowAnyAuthenticated) {
    rules.push({ name: 'authenticated_user', data: true, path: ['allow_any_authenticated_user'] })
  }
  for (const [i, is] of written(legacy.allowedDomains))
    rules.push({ name: 'domain', data: { is }, path: ['allowed_domains', i] })
  for (const [claim, values] of [...legacy.allowedIdpClaims].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (claim === '') continue
    for (const [i, has] of written(values)) {
      rules.push({ name: `claim/${claim}`, data: { has }, path: ['allowed_idp_claims', claim, i] })
    }
  }
  for (const [i, is] of written(legacy.allowedUsers)) {
    for (const name of ['user', 'email']) rules.push({ name, data: { is }, path: ['allowed_users', i] })
  }
  for (const [i, has] of written(legacy.allowedGroups))
    rules.push({ name: 'groups', data: { has }, path: ['allowed_groups', i] })
  return rules
}

/** An environment variable that is set and empty leaves `['']`; it must not match people without a value. */
function written<T extends Scalar>(values: readonly T[]): readonly (readonly [index: number, value: T])[] {
  return [...values.entries()].filter(([, value]) => typeof value !== 'string' || value.trim() !== '')
}

function compile(
  { name, data }: Rule,
  { groupsClaim = GROUPS_CLAIM }: PolicyContext,
): ReturnType<typeof compileCriterion> {
  return compileCriterion(name, data, groupsClaim)
}
