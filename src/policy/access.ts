/** Who can open what, whatever the request: the engine's own logic, with what only a request can tell left open. */
import type { Route } from '../config/route-model.ts'
import type { WallTime } from '../types.ts'
import { countsOn } from './engine.ts'
import { combine, type Truth, truthOf } from './evaluate.ts'
import type { Clause, Criterion, CriterionFacts, Principal } from './model.ts'

export type Access =
  | { readonly kind: 'yes' }
  | { readonly kind: 'no' }
  /** The request decides: its path, method, address or time. */
  | { readonly kind: 'conditions' }
  /** The groups, or the status, of the person are not known. */
  | { readonly kind: 'unknown' }

const YES: Access = Object.freeze({ kind: 'yes' })
const NO: Access = Object.freeze({ kind: 'no' })
const CONDITIONS: Access = Object.freeze({ kind: 'conditions' })
const UNKNOWN: Access = Object.freeze({ kind: 'unknown' })

/** What a policy says about one person who is signed in. */
export type Review = (route: Route, who: Principal) => Access

/** A review remembers which criteria look at the request. */
export function createReview(): Review {
  const looksAtRequest = new WeakSet<Criterion>()

  /** undefined: only a request can tell. */
  function truth(criterion: Criterion, facts: CriterionFacts): Truth | undefined {
    if (looksAtRequest.has(criterion)) return undefined
    try {
      return truthOf(criterion, facts)
    } catch (error) {
      if (!(error instanceof AsksForRequest)) throw error
      looksAtRequest.add(criterion)
      return undefined
    }
  }

  /** @param open what to take a criterion for that only a request can tell. */
  function any(clauses: readonly Clause[], facts: CriterionFacts, open: Truth): Truth {
    let found: Truth = 'false'
    for (const { op, criteria } of clauses) {
      let [someTrue, someFalse, someUnknown] = [false, false, false]
      for (const criterion of criteria) {
        const value = truth(criterion, facts) ?? open
        if (value === 'true') someTrue = true
        else if (value === 'false') someFalse = true
        else someUnknown = true
      }
      const value = combine(op, someTrue, someFalse, someUnknown)
      if (value === 'true') return 'true'
      if (value === 'unknown') found = 'unknown'
    }
    return found
  }

  return (route, who) => {
    const { policy } = route
    if (policy.kind === 'public') return YES
    if (!countsOn(route, who)) return NO
    if (who.status === 'inactive') return NO
    if (policy.kind === 'signed-in') return YES
    const facts = new PersonFacts(who)
    try {
      const allowed = any(policy.allow, facts, 'unknown')
      const denied = any(policy.deny, facts, 'unknown')
      if (allowed === 'false' || denied === 'true') return NO
      if (allowed === 'true' && denied === 'false') return YES
      if (who.membership === 'unknown' && asksForGroups(route)) return UNKNOWN
      // Otherwise a rule about addresses is open, of a program: the engine denies then.
      const { allow, deny } = policy
      return [...allow, ...deny].some(({ criteria }) => criteria.some((each) => looksAtRequest.has(each)))
        ? CONDITIONS
        : NO
    } catch {
      // As in the engine: a rule that cannot be evaluated might have been the one that denies.
      return NO
    }
  }
}

function asksForGroups({ policy }: Route): boolean {
  return (
    policy.kind === 'rules' &&
    [...policy.allow, ...policy.deny].some(({ criteria }) => criteria.some(({ needs }) => needs === 'groups'))
  )
}

/** By which rules the person gets in, for people: those of allow clauses that are true as far as the person goes. */
export function describeAccess({ policy }: Route, who: Principal): string {
  if (policy.kind === 'public') return 'public'
  if (policy.kind === 'signed-in') return 'everybody who is signed in'
  const facts = new PersonFacts(who)
  const clauses = policy.allow.filter(({ op, criteria }) => {
    const values = criteria.map((criterion) => quietly(criterion, facts))
    return combine(op, values.includes('true'), values.includes('false'), values.includes('unknown')) !== 'false'
  })
  const words = clauses.map(({ op, criteria }) => {
    const shown = op === 'or' ? criteria.filter((criterion) => quietly(criterion, facts) !== 'false') : criteria
    const text = shown.map(({ describe }) => describe).join(op === 'and' ? ' and ' : ' or ')
    return op === 'not' || op === 'nor' ? `not (${text})` : text
  })
  return [...new Set(words)].join(' or ')
}

function quietly(criterion: Criterion, facts: CriterionFacts): Truth {
  try {
    return truthOf(criterion, facts)
  } catch {
    return 'unknown'
  }
}

class AsksForRequest extends Error {}

/** Facts without a request and a time: a criterion that asks for one says so. A rule about time is a condition, too. */
class PersonFacts implements CriterionFacts {
  readonly who: Principal

  constructor(who: Principal) {
    this.who = who
  }

  get request(): never {
    throw new AsksForRequest()
  }

  get now(): WallTime {
    throw new AsksForRequest()
  }
}
