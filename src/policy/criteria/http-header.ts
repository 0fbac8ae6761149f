import { isForeign } from '../../lib/foreign-headers.ts'
import { normalName, reservedHeader } from '../../lib/header-names.ts'
import { invalid, parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

const NONE: ReadonlySet<string> = new Set()

/**
 * `http_header/NAME`: all values of a header of the client, joined with `, `, as the upstream will see them; one that is
 * not there is the empty string. Clients choose their headers.
 */
export const httpHeader: CriterionRow = {
  needs: 'nothing',
  ok: 'http-header-ok',
  no: 'http-header-unauthorized',
  takesPath: 'http_header/X-Environment',
  compile(data, path) {
    // RFC 9110 §5.1.
    if (!/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(path)) return invalid(`"${path}" is no name of a header`)
    const name = path.toLowerCase()
    if (name === 'cookie') return invalid('rules do not see cookies')
    const matcher = parseStringMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    const normal = normalName(name)
    const unseen = isForeign(normal) || reservedHeader(normal, NONE) !== undefined
    const warnings = unseen
      ? [
          ...matcher.warnings,
          {
            path: [],
            message: 'rules do not see this header, because clients cannot send it on; it is as if it were not there',
          },
        ]
      : matcher.warnings
    return { ...matcher, warnings, test: ({ request }) => matcher.test(request.headers.get(name) ?? '') }
  },
}
