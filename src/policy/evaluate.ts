import { assertNever } from '../errors.ts'
import type { Clause, Criterion, CriterionFacts, Principal } from './model.ts'
import { NO_REASONS, plus, type Reasons, union } from './reasons.ts'

/** Kleene's three values: `unknown` is what depends on a session, on groups or on an address that are not there. */
export type Truth = 'true' | 'false' | 'unknown'

/** The value of one criterion. A criterion whose needs are not met is not asked. Throws what the criterion throws. */
export function truthOf(criterion: Criterion, facts: CriterionFacts): Truth {
  if (criterion.needs !== 'nothing') {
    if (facts.who === undefined) return 'unknown'
    if (criterion.needs === 'groups' && facts.who.membership === 'unknown') return 'unknown'
    if (criterion.needs === 'address' && isProgram(facts.who)) return 'unknown'
  }
  const answer: unknown = criterion.test(facts)
  // `undefined` is falsy, and a deny rule that is falsy lets people in.
  if (typeof answer !== 'boolean') throw new TypeError(`criterion ${criterion.name} did not answer yes or no`)
  return answer ? 'true' : 'false'
}

/** Neither let in nor kept out by a rule about addresses; whoever lacks one only because nobody said it is a person all the same. */
function isProgram(who: Principal): boolean {
  return who.kind === 'service' || who.kind === 'certificate' || (who.kind === 'token' && who.account !== undefined)
}

/** `not` is true when all are false, `nor` when any is: the negations of `or` and `and`. */
export function combine(op: Clause['op'], someTrue: boolean, someFalse: boolean, someUnknown: boolean): Truth {
  switch (op) {
    case 'and':
      return someFalse ? 'false' : someUnknown ? 'unknown' : 'true'
    case 'or':
      return someTrue ? 'true' : someUnknown ? 'unknown' : 'false'
    case 'not':
      return someTrue ? 'false' : someUnknown ? 'unknown' : 'true'
    case 'nor':
      return someFalse ? 'true' : someUnknown ? 'unknown' : 'false'
    default:
      return assertNever(op)
  }
}

export interface Evaluation {
  /** Clauses of one action are alternatives: true when any is. */
  readonly truth: Truth
  /** Was a criterion left open by an evaluation that did not come out true? */
  readonly open: boolean
  /** Of the criteria that made it so; none while unknown. */
  readonly reasons: Reasons
}

/** All allow clauses, or all deny clauses, of a policy. Every criterion is asked, so that a broken one is always noticed. */
export function evaluate(clauses: readonly Clause[], facts: CriterionFacts): Evaluation {
  let someTrue = false
  let someUnknown = false
  let open = false
  let whyTrue = NO_REASONS
  let whyFalse = NO_REASONS
  for (const { op, criteria } of clauses) {
    let yes = NO_REASONS
    let no = NO_REASONS
    let asked = 0
    for (const criterion of criteria) {
      const truth = truthOf(criterion, facts)
      if (truth === 'true') {
        yes = plus(yes, criterion.ok)
        asked |= 1
      } else if (truth === 'false') {
        no = plus(no, criterion.no)
        asked |= 2
      } else asked |= 4
    }
    const truth = combine(op, (asked & 1) !== 0, (asked & 2) !== 0, (asked & 4) !== 0)
    const negated = op === 'not' || op === 'nor'
    if (truth === 'true') {
      someTrue = true
      whyTrue = union(whyTrue, negated ? no : yes)
    } else {
      someUnknown ||= truth === 'unknown'
      open ||= (asked & 4) !== 0
      whyFalse = union(whyFalse, negated ? yes : no)
    }
  }
  if (someTrue) return { truth: 'true', open: false, reasons: whyTrue }
  if (someUnknown) return { truth: 'unknown', open, reasons: NO_REASONS }
  return { truth: 'false', open, reasons: whyFalse }
}
