import { parameter } from '../../routing/query.ts'
import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/**
 * `http_query/NAME`: the value of a parameter of the query; one that is not there is the empty string. A query in which
 * applications may find another value has neither yes nor no: a throw denies.
 */
export const httpQuery: CriterionRow = {
  needs: 'nothing',
  ok: 'http-query-ok',
  no: 'http-query-unauthorized',
  takesPath: 'http_query/tenant',
  compile(data, path) {
    const matcher = parseStringMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ request }) => matcher.test(parameter(request.query, path) ?? '') }
  },
}
