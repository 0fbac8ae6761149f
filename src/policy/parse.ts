import type { Clause, Criterion } from './model.ts'
import { compileCriterion } from './criteria.ts'
import { type DataIssue, isMap } from './matchers.ts'
import { nearest } from './nearest.ts'

/** What is wrong, and where in the document. */
export interface PolicyIssue {
  readonly path: readonly (string | number)[]
  readonly message: string
}

export type ParsedPolicy =
  | {
      readonly kind: 'ok'
      readonly allow: readonly Clause[]
      readonly deny: readonly Clause[]
      /** What may be meant otherwise than it is read. */
      readonly warnings: readonly PolicyIssue[]
    }
  | { readonly kind: 'invalid'; readonly issues: readonly PolicyIssue[] }

const ACTIONS = ['allow', 'deny'] as const
const OPERATORS = ['and', 'or', 'not', 'nor'] as const
type Path = PolicyIssue['path']

/**
 * The policy language (grammar: pomerium-policy.md#grammar) as clauses. All operator groups of one action are
 * alternatives: `allow: {and: […], not: […]}` is the and-group OR the not-group. An empty group is no
 * group, so it can never be vacuously true. Reports every issue, not the first.
 */
export function parsePolicy(document: unknown): ParsedPolicy {
  const allow: Clause[] = []
  const deny: Clause[] = []
  const issues: PolicyIssue[] = []
  const warnings: PolicyIssue[] = []
  if (Array.isArray(document)) {
    document.forEach((ruleset: unknown, index) => readRuleset(ruleset, [index]))
  } else readRuleset(document, [])
  return issues.length > 0 ? { kind: 'invalid', issues } : { kind: 'ok', allow, deny, warnings }

  function readRuleset(ruleset: unknown, path: Path): void {
    if (!isMap(ruleset)) return report(path, 'expected an object with allow, deny')
    for (const [key, body] of Object.entries(ruleset)) {
      if (key === 'allow') readBody(body, [...path, key], allow)
      else if (key === 'deny') readBody(body, [...path, key], deny)
      else report([...path, key], unexpected('action', key, ACTIONS))
    }
  }

  function readBody(body: unknown, path: Path, clauses: Clause[]): void {
    if (!isMap(body)) return report(path, 'expected an object with and, or, not, nor')
    for (const [key, list] of Object.entries(body)) {
      const op = OPERATORS.find((operator) => operator === key)
      if (op) readList(op, list, [...path, key], clauses)
      // Pomerium writes the action here too and does not read it.
      else if (key !== 'action') report([...path, key], unexpected('operator', key, OPERATORS))
    }
  }

  function readList(op: Clause['op'], list: unknown, path: Path, clauses: Clause[]): void {
    if (!Array.isArray(list)) return report(path, 'expected a list of criteria')
    const [first, ...others] = list.flatMap((item: unknown, index) => readCriterion(item, [...path, index]) ?? [])
    if (first) clauses.push({ op, criteria: [first, ...others] })
  }

  function readCriterion(item: unknown, path: Path): Criterion | undefined {
    if (!isMap(item)) return report(path, 'expected a criterion such as {email: ann@corp.example}')
    const [entry, ...others] = Object.entries(item)
    if (!entry || others.length > 0) return report(path, 'expected exactly one criterion in each list item')
    const [key, data] = entry
    const compiled = compileCriterion(key, data)
    const inside = (issue: DataIssue): PolicyIssue => ({ ...issue, path: [...path, key, ...issue.path] })
    if (compiled.kind === 'invalid') return void issues.push(...compiled.issues.map(inside))
    warnings.push(...compiled.warnings.map(inside))
    return compiled.criterion
  }

  function report(path: Path, message: string): undefined {
    issues.push({ path, message })
  }
}

function unexpected(what: string, key: string, known: readonly string[]): string {
  const meant = nearest(key, known)
  return `unknown ${what} "${key}" (${meant === undefined ? `expected ${known.join(', ')}` : `did you mean "${meant}"?`})`
}
