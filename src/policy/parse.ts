import type { Clause, Criterion } from './model.ts'
import { type CompiledCriterion, compileCriterion, isCriterion } from './criteria.ts'
import { type DataIssue, isMap, isOperator } from './matchers.ts'
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
  /** Without issues: a policy that it names is invalid, which is said there. */
  | { readonly kind: 'invalid'; readonly issues: readonly PolicyIssue[] }

/** What a policy needs of the configuration around it. */
export interface PolicyContext {
  /** Path of the claim with groups (`groups_claim`). */
  readonly groupsClaim?: string
  /** What names stand for (`policies`). */
  readonly policies?: ReadonlyMap<string, ParsedPolicy>
}

/** The claim with groups, unless said otherwise. */
export const GROUPS_CLAIM = 'groups'

const NO_POLICIES: ReadonlyMap<string, ParsedPolicy> = new Map()
const ACTIONS = ['allow', 'deny'] as const
const OPERATORS = ['and', 'or', 'not', 'nor'] as const
type Path = PolicyIssue['path']

/**
 * The policy language (grammar: pomerium-policy.md#grammar) as clauses. All operator groups of one action are
 * alternatives: `allow: {and: […], not: […]}` is the and-group OR the not-group. An empty group is no
 * group, so it can never be vacuously true. A text is the name of a policy. Reports every issue, not the first.
 */
export function parsePolicy(document: unknown, context: PolicyContext = {}): ParsedPolicy {
  const { groupsClaim = GROUPS_CLAIM, policies = NO_POLICIES } = context
  const allow: Clause[] = []
  const deny: Clause[] = []
  const issues: PolicyIssue[] = []
  const warnings: PolicyIssue[] = []
  let isComplete = true
  if (Array.isArray(document)) {
    document.forEach((ruleset: unknown, index) => readRuleset(ruleset, [index]))
  } else readRuleset(document, [])
  return issues.length > 0 || !isComplete ? { kind: 'invalid', issues } : { kind: 'ok', allow, deny, warnings }

  function readRuleset(ruleset: unknown, path: Path): void {
    if (typeof ruleset === 'string') return readName(ruleset, path)
    if (!isMap(ruleset)) return report(path, 'expected an object with allow, deny')
    for (const [key, body] of Object.entries(ruleset)) {
      if (key === 'allow') readBody(body, [...path, key], allow)
      else if (key === 'deny') readBody(body, [...path, key], deny)
      else report([...path, key], unexpected('action', key, ACTIONS, misplacedInRule(key)))
    }
  }

  function readName(name: string, path: Path): void {
    const named = policies.get(name)
    if (named?.kind === 'ok') {
      allow.push(...named.allow)
      deny.push(...named.deny)
    } else if (named) isComplete = false
    else if (/[:{\n]/.test(name))
      report(path, 'expected an object with allow, deny, found text; remove the "|" or the quotes')
    else report(path, unexpected('policy', name, [...policies.keys()], noNames()))
  }

  function noNames(): string | undefined {
    if (policies === NO_POLICIES) return 'a policy of `policies` does not name another'
    return policies.size === 0 ? 'there are no `policies`' : undefined
  }

  function readBody(body: unknown, path: Path, clauses: Clause[]): void {
    if (!isMap(body)) {
      const instead = Array.isArray(body) && body.length > 0 ? '; write `or:` above the list' : ''
      return report(path, `expected an object with and, or, not, nor${instead}`)
    }
    const before = clauses.length
    for (const [key, list] of Object.entries(body)) {
      const op = OPERATORS.find((operator) => operator === key)
      if (op) readList(op, list, [...path, key], clauses)
      // Pomerium writes the action here too and does not read it.
      else if (key !== 'action') report([...path, key], unexpected('operator', key, OPERATORS, misplacedInBody(key)))
    }
    warnOfAlternatives(clauses.slice(before), path)
  }

  function readList(op: Clause['op'], list: unknown, path: Path, clauses: Clause[]): void {
    if (!Array.isArray(list)) {
      return report(path, `expected a list of criteria${isMap(list) ? '; write "- " before each' : ''}`)
    }
    const compiled = list.flatMap((item: unknown, index) => readCriterion(item, [...path, index]) ?? [])
    const [first, ...others] = compiled.map(({ criterion }): Criterion => criterion)
    if (list.length === 0) warnings.push({ path, message: 'empty, as if it were not there' })
    if (!first) return
    clauses.push({ op, criteria: [first, ...others] })
    if (op === 'and') warnOfContradictions(compiled, path)
  }

  function readCriterion(item: unknown, path: Path): CompiledCriterion | undefined {
    if (!isMap(item)) {
      const name = typeof item === 'string' && isCriterion(item) ? item : undefined
      // Only those whose value is not looked at take a list.
      const value = name !== undefined && compileCriterion(name, [], groupsClaim).kind === 'ok' ? 'true' : '…'
      const example = name === undefined ? '{email: ann@corp.example}' : `{${name}: ${value}}`
      return report(path, `expected a criterion such as ${example}`)
    }
    const [entry, ...others] = Object.entries(item)
    if (!entry || others.length > 0)
      return report(path, `expected exactly one criterion in each list item${hintFor(item)}`)
    const [key, data] = entry
    if (OPERATORS.some((operator) => operator === key)) return report([...path, key], NESTED)
    const compiled = compileCriterion(key, data, groupsClaim)
    const inside = (issue: DataIssue): PolicyIssue => ({ ...issue, path: [...path, key, ...issue.path] })
    if (compiled.kind === 'invalid') return void issues.push(...compiled.issues.map(inside))
    warnings.push(...compiled.warnings.map(inside))
    return compiled
  }

  /** The first pitfall of the language: whoever writes `and` and `not` mostly means "and not". */
  function warnOfAlternatives(clauses: readonly Clause[], path: Path): void {
    const [positive, negative] = (['and or', 'not nor'] as const).map((some) =>
      clauses.find(({ op }) => some.split(' ').includes(op)),
    )
    if (!positive || !negative) return
    const instead =
      path.at(-1) === 'allow'
        ? `write deny: {or: […]} with what is below \`${negative.op}\`, so that it keeps people out`
        : 'write two rules where both are meant'
    warnings.push({
      path,
      message: `\`${positive.op}\` and \`${negative.op}\` are alternatives here: either of them is enough; ${instead}`,
    })
  }

  function warnOfContradictions(compiled: readonly CompiledCriterion[], path: Path): void {
    const passing = new Map<string, readonly string[]>()
    for (const one of compiled) {
      if (!one.passing) continue
      const { name } = one.criterion
      const before = passing.get(name)
      const both = before ? before.filter((value) => one.passing?.includes(value)) : one.passing
      passing.set(name, both)
      if (before && before.length > 0 && both.length === 0) {
        warnings.push({
          path,
          message: `all of this can never hold: no ${name} fits each; write \`or\` instead of \`and\`, or ${name}: {in: […]}`,
        })
      }
    }
  }

  function report(path: Path, message: string): undefined {
    issues.push({ path, message })
  }
}

const NESTED =
  'operators do not nest; write one rule for each way, such as [{allow: {and: [A, B]}}, {allow: {and: [A, C]}}] for A and (B or C)'

function unexpected(what: string, key: string, known: readonly string[], hint?: string): string {
  const meant = hint === undefined ? nearest(key, known) : undefined
  return `unknown ${what} "${key}" (${hint ?? (meant === undefined ? `expected ${known.join(', ')}` : `did you mean "${meant}"?`)})`
}

function misplacedInRule(key: string): string | undefined {
  if (OPERATORS.some((operator) => operator === key)) return `write allow: {${key}: […]} or deny: {${key}: […]}`
  return isCriterion(key) ? `write allow: {or: [{${key}: …}]}` : undefined
}

function misplacedInBody(key: string): string | undefined {
  return isCriterion(key) ? `criteria stand in a list: write or: [{${key}: …}]` : undefined
}

/** `- domain:` with `is: …` below it and not inside it. */
function hintFor(item: Readonly<Record<string, unknown>>): string {
  const [first, ...others] = Object.keys(item)
  if (first === undefined || others.length === 0) return ''
  if (others.every(isOperator)) return `; indent "${others.join('", "')}" below "${first}"`
  return '; write "- " before each'
}
