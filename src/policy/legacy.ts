import type { Clause, Criterion, Policy } from './model.ts'
import { compileCriterion } from './criteria.ts'

/** The access keys of a route beside `policy` (pomerium-policy.md#access-keys), as written. */
export interface LegacyAccess {
  readonly allowPublic: boolean
  readonly allowAnyAuthenticated: boolean
  readonly allowedUsers: readonly string[]
  readonly allowedDomains: readonly string[]
  readonly allowedGroups: readonly string[]
  /** Claim path → values, any of which will do. */
  readonly allowedIdpClaims: ReadonlyMap<string, readonly string[]>
}

/**
 * The route's policy: any of its access keys, or what `policy` says (pomerium-policy.md#access-keys). Empty lists
 * and empty strings allow nobody; with nothing else everybody is denied.
 */
export function compileAccess(
  legacy: LegacyAccess,
  ppl: { readonly allow: readonly Clause[]; readonly deny: readonly Clause[] } | undefined,
): Policy {
  const rules: (readonly [name: string, data: unknown])[] = []
  if (legacy.allowPublic) rules.push(['accept', true])
  if (legacy.allowAnyAuthenticated) rules.push(['authenticated_user', true])
  for (const domain of written(legacy.allowedDomains)) rules.push(['domain', { is: domain }])
  for (const [name, values] of [...legacy.allowedIdpClaims].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    for (const value of written(values)) if (name !== '') rules.push([`claim/${name}`, { has: value }])
  }
  for (const user of written(legacy.allowedUsers)) rules.push(['user', { is: user }], ['email', { is: user }])
  for (const group of written(legacy.allowedGroups)) rules.push(['groups', { has: group }])

  const [only] = rules
  const noPpl = !ppl || (ppl.allow.length === 0 && ppl.deny.length === 0)
  if (noPpl && rules.length === 1 && only) {
    if (only[0] === 'accept') return { kind: 'public' }
    if (only[0] === 'authenticated_user') return { kind: 'signed-in' }
  }
  const [first, ...others] = rules.map(([name, data]) => compile(name, data))
  const allow: readonly Clause[] = first ? [{ op: 'or', criteria: [first, ...others] }] : []
  return { kind: 'rules', allow: [...allow, ...(ppl?.allow ?? [])], deny: ppl?.deny ?? [] }
}

/** An environment variable that is set and empty leaves `['']`; it must not match people without a value. */
function written(values: readonly string[]): readonly string[] {
  return values.filter((value) => value.trim() !== '')
}

function compile(name: string, data: unknown): Criterion {
  const compiled = compileCriterion(name, data)
  if (compiled.kind === 'invalid')
    throw new TypeError(`${name}: ${compiled.issues.map((issue) => issue.message).join('; ')}`)
  return compiled.criterion
}
