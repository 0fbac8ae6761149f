import { assertNever } from '../../errors.ts'
import { every, type ListCondition, parseListMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** The scopes of a bearer token (RFC 6749 §3.3). Sessions and service tokens have none. */
export const scope: CriterionRow = {
  needs: 'session',
  ok: 'scope-ok',
  no: 'scope-unauthorized',
  compile(data) {
    const matcher = parseListMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    const test = every(matcher.conditions.map(scopeTest))
    return {
      kind: 'ok',
      test: ({ who }) => test(who?.kind === 'token' ? who.scopes : []),
      describe: matcher.describe,
      warnings: matcher.warnings,
    }
  },
}

function scopeTest({ operator, value }: ListCondition): (scopes: readonly unknown[]) => boolean {
  switch (operator) {
    case 'has':
      return (scopes) => scopes.includes(value)
    case 'exclude':
      return (scopes) => !scopes.includes(value)
    case 'is':
      return (scopes) => scopes.length === 1 && scopes.includes(value)
    default:
      return assertNever(operator)
  }
}
