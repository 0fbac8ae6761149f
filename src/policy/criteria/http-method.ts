import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** The request's method, which is always in capitals; rules may be written in any case. */
export const httpMethod: CriterionRow = {
  needs: 'nothing',
  ok: 'http-method-ok',
  no: 'http-method-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, { canonical: (text) => text.toUpperCase() })
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ request }) => matcher.test(request.method) }
  },
}
