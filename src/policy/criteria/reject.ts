import type { CriterionRow } from '../row.ts'

/** Always false, whatever its data. */
export const reject: CriterionRow = {
  needs: 'nothing',
  ok: 'reject',
  no: 'reject',
  compile: () => ({ kind: 'ok', test: () => false, describe: '' }),
}
