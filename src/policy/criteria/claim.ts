import { assertNever } from '../../errors.ts'
import type { Json, JsonObject } from '../../types.ts'
import { every, isMap, type ListCondition, parseListMatcher, type Scalar } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** Pomerium looks no deeper. */
const MAX_DEPTH = 5

/**
 * `claim/PATH`: the values of a claim, as a list. PATH is first the whole name of a claim
 * (`claim/https://corp.example/roles`), else a way through objects, split on `/` and `.`. An absent
 * claim has no values. Only own properties are looked at: a claim called `constructor` does not exist
 * unless the provider sent it.
 */
export const claim: CriterionRow = {
  needs: 'session',
  ok: 'claim-ok',
  no: 'claim-unauthorized',
  takesPath: 'claim/department',
  compile(data, path) {
    const matcher = parseListMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    const segments = path.split(/[/.]/)
    const test = every(matcher.conditions.map(claimTest))
    return {
      kind: 'ok',
      test: ({ who }) => who !== undefined && test(lookUp(who.identity.claims, path, segments)),
      describe: matcher.describe,
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

function lookUp(claims: JsonObject, path: string, segments: readonly string[]): Json | undefined {
  if (Object.hasOwn(claims, path)) return claims[path]
  if (segments.length > MAX_DEPTH) return undefined
  let value: Json | undefined = claims
  for (const segment of segments) {
    if (!isMap(value) || !Object.hasOwn(value, segment)) return undefined
    value = value[segment]
  }
  return value
}

/** Lists of lists are one list; objects have no value that a rule could name. */
function holds(claim: Json | undefined, value: Scalar): boolean {
  return Array.isArray(claim) ? claim.some((item: Json) => holds(item, value)) : claim === value
}

function count(claim: Json | undefined): number {
  if (Array.isArray(claim)) return claim.reduce((sum: number, item: Json) => sum + count(item), 0)
  return claim === undefined ? 0 : 1
}
