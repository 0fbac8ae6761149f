import type { CriterionRow } from '../row.ts'

/** Always true, whatever its data. */
export const accept: CriterionRow = {
  needs: 'nothing',
  ok: 'accept',
  no: 'accept',
  compile: () => ({ kind: 'ok', test: () => true, describe: '' }),
}
