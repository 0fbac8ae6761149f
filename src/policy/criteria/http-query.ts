import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/**
 * `http_query/NAME`: the value of a parameter of the query; one that is not there is the empty string. A query in which
 * applications may find another value (twice the same name, `a[]`, `;` between parameters, a broken escape) has neither
 * yes nor no: a throw denies.
 */
export const httpQuery: CriterionRow = {
  needs: 'nothing',
  ok: 'http-query-ok',
  no: 'http-query-unauthorized',
  takesPath: 'http_query/tenant',
  compile(data, path) {
    const matcher = parseStringMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ request }) => matcher.test(parameter(request.query, path)) }
  },
}

function parameter(query: string, name: string): string {
  if (query.length < 2) return ''
  let value: string | undefined
  for (const pair of query.slice(1).split(/[&;]/)) {
    const equals = pair.indexOf('=')
    const key = decode(equals === -1 ? pair : pair.slice(0, equals))
    if (likeness(key) !== likeness(name)) continue
    if (value !== undefined || key !== name || query.includes(';'))
      throw new Error(`the parameter "${name}" is ambiguous`)
    value = equals === -1 ? '' : decode(pair.slice(equals + 1))
  }
  return value ?? ''
}

/** Names that some application takes for one: PHP reads `a.b` as `a_b` and `a[]` as `a`, ASP.NET minds no case. */
function likeness(name: string): string {
  return name.replace(/\[.*/s, '').replace(/[. ]/g, '_').toLowerCase()
}

/** application/x-www-form-urlencoded (URL standard §5.1), but a broken escape throws. */
function decode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}
