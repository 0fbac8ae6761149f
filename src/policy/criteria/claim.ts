import { assertNever } from '../../errors.ts'
import type { Json } from '../../types.ts'
import { compileClaimPath } from '../claim-path.ts'
import { every, type ListCondition, parseListMatcher, type Scalar } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** `claim/PATH`: the values of a claim, as a list; an absent one has none. The claim with groups is the criterion `groups`. */
export const claim: CriterionRow = {
  needs: 'session',
  ok: 'claim-ok',
  no: 'claim-unauthorized',
  takesPath: 'claim/department',
  compile(data, path) {
    const matcher = parseListMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    const claimOf = compileClaimPath(path)
    const test = every(matcher.conditions.map(claimTest))
    return {
      kind: 'ok',
      test: ({ who }) => who !== undefined && test(claimOf(who.identity.claims)),
      describe: matcher.describe,
      warnings: matcher.warnings,
    }
  },
}

function claimTest({ operator, value }: ListCondition): (claim: Json | undefined) => boolean {
  switch (operator) {
    case 'has':
      return (claim) => holds(claim, value)
    case 'exclude':
      return (claim) => !holds(claim, value)
    case 'is':
      return (claim) => holds(claim, value) && count(claim) === 1
    default:
      return assertNever(operator)
  }
}

/** Lists of lists are one list; objects have no value that a rule could name. */
function holds(claim: Json | undefined, value: Scalar): boolean {
  return Array.isArray(claim) ? claim.some((item: Json) => holds(item, value)) : claim === value
}

function count(claim: Json | undefined): number {
  if (Array.isArray(claim)) return claim.reduce((sum: number, item: Json) => sum + count(item), 0)
  return claim === undefined ? 0 : 1
}
