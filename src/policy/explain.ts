import type { Route } from '../config/route-model.ts'
import { combine, type Truth, truthOf } from './evaluate.ts'
import type { Clause, Criterion, CriterionFacts, Policy } from './model.ts'
import type { Decision, ShadowDecision } from './verdict.ts'

/** A decision, taken apart for people: the command line and the 403 page. It grants nothing. */
export interface Explanation {
  readonly outcome: Decision['outcome']
  readonly reasons: Decision['reasons']
  /** Empty unless the policy has rules. */
  readonly allow: readonly ExplainedClause[]
  readonly deny: readonly ExplainedClause[]
}

export interface ExplainedClause {
  readonly op: Clause['op']
  readonly value: Truth | 'error'
  readonly criteria: readonly ExplainedCriterion[]
}

export interface ExplainedCriterion {
  readonly name: string
  readonly describe: string
  /** `error`: the criterion threw, which denies the request. */
  readonly value: Truth | 'error'
  readonly wantedGroups: readonly string[]
}

/** Why a decision about these facts came out as it did. */
export function explain({ outcome, reasons }: ShadowDecision, policy: Policy, facts: CriterionFacts): Explanation {
  if (policy.kind !== 'rules') return { outcome, reasons, allow: [], deny: [] }
  return {
    outcome,
    reasons,
    allow: policy.allow.map((clause) => explainClause(clause, facts)),
    deny: policy.deny.map((clause) => explainClause(clause, facts)),
  }
}

function explainClause({ op, criteria }: Clause, facts: CriterionFacts): ExplainedClause {
  const explained = criteria.map((criterion) => ({
    name: criterion.name,
    describe: criterion.describe,
    value: valueOf(criterion, facts),
    wantedGroups: criterion.wantedGroups,
  }))
  const seen = new Set(explained.map((criterion) => criterion.value))
  const value = seen.has('error') ? 'error' : combine(op, seen.has('true'), seen.has('false'), seen.has('unknown'))
  return { op, value, criteria: explained }
}

function valueOf(criterion: Criterion, facts: CriterionFacts): Truth | 'error' {
  try {
    return truthOf(criterion, facts)
  } catch {
    // The engine turns the same throw into a denial; here it is shown where it happened.
    return 'error'
  }
}

/** Groups that would help somebody in: those of allow clauses that do not negate, each once, in the order written. */
export function wantedGroups(policy: Policy): readonly string[] {
  if (policy.kind !== 'rules') return []
  const wanted = policy.allow
    .filter(({ op }) => op === 'and' || op === 'or')
    .flatMap(({ criteria }) => criteria.flatMap((criterion) => criterion.wantedGroups))
  return [...new Set(wanted)]
}

/** The policy in force, and the one that is tried out beside it. */
export function policiesOf({ policy, shadow }: Pick<Route, 'policy' | 'shadow'>): readonly Policy[] {
  return shadow ? [policy, shadow.policy] : [policy]
}

/** Ids and names of groups that any rule of the route looks at, to let in or to keep out. */
export function namedGroups(route: Pick<Route, 'policy' | 'shadow'>): readonly string[] {
  return policiesOf(route).flatMap((policy) =>
    policy.kind === 'rules'
      ? [...policy.allow, ...policy.deny].flatMap(({ criteria }) => criteria.flatMap((one) => one.namedGroups))
      : [],
  )
}

/** Does any rule look at groups? */
export function asksForGroups(policy: Policy): boolean {
  if (policy.kind !== 'rules') return false
  return [...policy.allow, ...policy.deny].some(({ criteria }) => criteria.some(({ needs }) => needs === 'groups'))
}
