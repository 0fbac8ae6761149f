import { parseStringMatcher } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** What follows the `@` of the verified e-mail address, in any letter case and as a whole: `corp.example` is not `x.corp.example`. */
export const domain: CriterionRow = {
  needs: 'session',
  ok: 'domain-ok',
  no: 'domain-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data, (text) => text.toLowerCase())
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ who }) => matcher.test(domainOf(who?.identity.email ?? '')) }
  },
}

/** The identity layer lets only addresses with exactly one `@` through. */
function domainOf(address: string): string {
  const at = address.lastIndexOf('@')
  return at === -1 ? '' : address.slice(at + 1)
}
