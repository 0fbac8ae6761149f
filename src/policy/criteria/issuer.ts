import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** Who says who this is: the issuer of the session's provider or of the token, without a slash at the end. */
export const issuer: CriterionRow = {
  needs: 'session',
  ok: 'issuer-ok',
  no: 'issuer-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, { canonical: withoutSlash })
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ who }) => matcher.test(withoutSlash(who?.identity.issuer ?? '')) }
  },
}

function withoutSlash(url: string): string {
  return url.endsWith('/') ? url.slice(0, -1) : url
}
