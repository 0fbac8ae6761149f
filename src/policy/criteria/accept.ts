import { warnOfFalse } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** Always true, whatever its data. */
export const accept: CriterionRow = {
  needs: 'nothing',
  ok: 'accept',
  no: 'accept',
  compile: (data) => ({
    kind: 'ok',
    test: () => true,
    describe: '',
    warnings: warnOfFalse(data, 'write reject: true'),
  }),
}
