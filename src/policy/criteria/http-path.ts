import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** The canonical path without the query: the one that is forwarded. Case-sensitive; the operators are on strings, not on segments. */
export const httpPath: CriterionRow = {
  needs: 'nothing',
  ok: 'http-path-ok',
  no: 'http-path-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, { problem: noPath })
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ request }) => matcher.test(request.path) }
  },
}

function noPath(text: string): string | undefined {
  const found = JSON.stringify(text)
  if (text !== '' && !text.startsWith('/')) return `no path is ${found}; write ${JSON.stringify(`/${text}`)}`
  if (/[?#]/.test(text)) return `no path is ${found}: the query is no part of it; write http_query/NAME`
  if (text.endsWith('*')) return `no path is ${found}; write {starts_with: ${text.slice(0, -1)}}`
  return undefined
}
