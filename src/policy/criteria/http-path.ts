import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** The canonical path without the query: the one that is forwarded. Case-sensitive; the operators are on strings, not on segments. */
export const httpPath: CriterionRow = {
  needs: 'nothing',
  ok: 'http-path-ok',
  no: 'http-path-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ request }) => matcher.test(request.path) }
  },
}
