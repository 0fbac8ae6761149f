import { normalName } from '../../lib/header-names.ts'
import { HEADER_FIELD, POMERIUM_OTHERS } from '../../lib/request-log-fields.ts'
import type { Report } from '../issues.ts'
import type { GlobalInput } from '../schema.ts'

/** By normal name: what lets somebody in. */
const SECRET = /^(?:authorization|proxy-authorization|cookie|set-cookie)$|token|secret|password|api-?key|jwt|assertion/

/** `access_log_fields`, `authorize_log_fields`: no secret, and a word about what is not there. */
export function checkLogFields(globals: GlobalInput, report: Report): void {
  for (const key of ['access_log_fields', 'authorize_log_fields'] as const) {
    for (const [i, name] of (globals[key] ?? []).entries()) {
      const header = HEADER_FIELD.exec(name)?.[1]
      if (header !== undefined && SECRET.test(normalName(header))) {
        report.error([key, i], `${header} may hold what lets somebody in, and is never logged`)
      }
      if (name in POMERIUM_OTHERS) {
        report.warning([key, i], `not logged: ${POMERIUM_OTHERS[name as keyof typeof POMERIUM_OTHERS]}`)
      }
    }
  }
}
