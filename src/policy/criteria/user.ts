import { parseStringMatcher } from '../matchers.ts'
import { noAddress } from './email.ts'
import type { CriterionRow } from '../row.ts'

/** The identity provider's user id (`sub`), case-sensitive. */
export const user: CriterionRow = {
  needs: 'session',
  ok: 'user-ok',
  no: 'user-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, { problem: noAddress })
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ who }) => matcher.test(who?.identity.subject ?? '') }
  },
}
