import { warnOfFalse } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** What people mean who write `"*"`. */
export const ANYBODY =
  'for everybody who is signed in write allow_any_authenticated_user: true, or in a policy authenticated_user: true'

/** Anybody who is signed in; the data is ignored, as in Pomerium. */
export const authenticatedUser: CriterionRow = {
  needs: 'session',
  ok: 'user-ok',
  no: 'user-unauthorized',
  compile: (data) => ({
    kind: 'ok',
    test: ({ who }) => (who?.identity.subject ?? '') !== '',
    describe: '',
    warnings: warnOfFalse(data, 'write accept: true for everybody'),
  }),
}
