import type { CriterionRow } from '../row.ts'

/** Anybody who is signed in; the data is ignored, as in Pomerium. */
export const authenticatedUser: CriterionRow = {
  needs: 'session',
  ok: 'user-ok',
  no: 'user-unauthorized',
  compile: () => ({ kind: 'ok', test: ({ who }) => (who?.identity.subject ?? '') !== '', describe: '' }),
}
