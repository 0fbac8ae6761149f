import { warnOfFalse } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** What a browser sends before a request of another origin's page (Fetch standard, CORS-preflight request). Whatever its data. */
export const corsPreflight: CriterionRow = {
  needs: 'nothing',
  ok: 'cors-request',
  no: 'non-cors-request',
  compile: (data) => ({
    kind: 'ok',
    test: ({ request: { method, headers } }) =>
      method === 'OPTIONS' &&
      headers.get('origin') !== undefined &&
      headers.get('access-control-request-method') !== undefined,
    describe: '',
    warnings: warnOfFalse(data, 'remove it'),
  }),
}
