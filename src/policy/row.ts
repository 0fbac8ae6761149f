import type { Criterion, CriterionFacts, Reason } from './model.ts'
import type { DataIssue, InvalidData } from './matchers.ts'

/** One criterion of the policy language, as a row of the table in criteria.ts. */
export interface CriterionRow {
  readonly needs: Criterion['needs']
  readonly ok: Reason
  readonly no: Reason
  /** An example of what follows the name after a slash, which must be there: `claim/department`. Absent: nothing may follow. */
  readonly takesPath?: string
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
  readonly namedGroups?: readonly string[]
  /** All values that can pass, where they can be counted: two of them in one `and` may exclude each other. */
  readonly passing?: readonly string[]
  /** What is odd about the data, paths beginning there. */
  readonly warnings?: readonly DataIssue[]
}
