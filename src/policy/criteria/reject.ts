import { warnOfFalse } from '../matchers.ts'
import type { CriterionRow } from '../row.ts'

/** Always false, whatever its data. */
export const reject: CriterionRow = {
  needs: 'nothing',
  ok: 'reject',
  no: 'reject',
  compile: (data) => ({
    kind: 'ok',
    test: () => false,
    describe: '',
    warnings: warnOfFalse(data, 'write accept: true'),
  }),
}
