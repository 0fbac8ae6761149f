import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/**
 * The verified e-mail address, in any letter case. Somebody without one has the empty string, which
 * no `is`, `in`, `contains`… matches but `not` does: a deny rule written with `not` stays closed.
 */
export const email: CriterionRow = {
  needs: 'session',
  ok: 'email-ok',
  no: 'email-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, (text) => text.toLowerCase())
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ who }) => matcher.test(who?.identity.email ?? '') }
  },
}
