import { canonicalPath, readPath } from '../../routing/path.ts'
import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** The canonical path without the query: the one that is forwarded. Case-sensitive; the operators are on strings, not on segments. */
export const httpPath: CriterionRow = {
  needs: 'nothing',
  ok: 'http-path-ok',
  no: 'http-path-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, { problem: noPath, partProblem: noPart })
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ request }) => matcher.test(request.path) }
  },
}

function noPath(text: string): string | undefined {
  const found = `no path is ${JSON.stringify(text)}`
  if (text !== '' && !text.startsWith('/')) return `${found}; write ${JSON.stringify(`/${text}`)}`
  if (text.endsWith('*')) return `${found}; write {starts_with: ${text.slice(0, -1)}}`
  const made = canonicalPath(text) ?? readPath(text)?.path
  if (text === '' || text === made || text === readPath(text)?.unmerged) return undefined
  return found + (notAsSent(text) ?? (made === undefined ? '' : `; write ${JSON.stringify(made)}`))
}

function noPart(part: string, operator: 'contains' | 'starts_with' | 'ends_with'): string | undefined {
  const found = JSON.stringify(part)
  if (operator === 'starts_with' && !part.startsWith('/'))
    return `no path begins with ${found}; write ${JSON.stringify(`/${part}`)}`
  const why = notAsSent(part)
  return why === undefined ? undefined : `no path has ${found}${why}`
}

/** What no request shows in its path. */
function notAsSent(text: string): string | undefined {
  if (/[?#]/.test(text)) return ': the query is no part of it; write http_query/NAME'
  const sent = text
    .replaceAll(/[^!-~\p{Cs}]+/gu, encodeURIComponent)
    .replaceAll(/%[0-9a-f]{2}/gi, (escape) => escape.toUpperCase())
  return text === sent ? undefined : `; write ${JSON.stringify(sent)}, as it is sent`
}
