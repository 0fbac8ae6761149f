import { parseStringMatcher } from '../matchers.ts'
import type { Principal } from '../model.ts'
import type { CriterionRow } from '../row.ts'

/**
 * The name of a program: of a service token as `postern tokens` gives it, of a token of another issuer `ISSUER/SUBJECT`, of a client certificate
 * `certificate/NAME`.
 * A person has none, which is the empty string and no name that can be written.
 */
export const serviceAccount: CriterionRow = {
  needs: 'session',
  ok: 'service-account-ok',
  no: 'service-account-unauthorized',
  compile(data) {
    const matcher = parseStringMatcher(data)
    if (matcher.kind === 'invalid') return matcher
    return { ...matcher, test: ({ who }) => matcher.test(who ? accountOf(who) : '') }
  },
}

/** Without a slash it would be the name of one of our own tokens, whoever its issuer is. */
function accountOf(who: Principal): string {
  if (who.kind === 'service' || who.kind === 'certificate') return who.account
  return who.kind === 'token' && who.account?.includes('/') ? who.account : ''
}
