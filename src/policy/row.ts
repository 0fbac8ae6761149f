import type { Criterion, CriterionFacts, Reason } from './model.ts'
import type { InvalidData } from './matchers.ts'

/** One criterion of the policy language, as a row of the table in criteria.ts. */
export interface CriterionRow {
  readonly needs: Criterion['needs']
  readonly ok: Reason
  readonly no: Reason
  /** What follows the name after a slash: `claim/department` must have it, the others must not. */
  readonly takesPath?: true
  /** Checks what a person wrote, once; the result is asked for each request. */
  compile(data: unknown, path: string): CompiledData | InvalidData
}

export interface CompiledData {
  readonly kind: 'ok'
  /** Called only when what the row needs is there. */
  readonly test: (facts: CriterionFacts) => boolean
  /** For people, without the criterion's name: `is "a"`; may be empty. */
  readonly describe: string
  readonly wantedGroups?: readonly string[]
}
