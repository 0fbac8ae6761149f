import { z } from 'zod'
import {
  ACCESS_FIELDS,
  ASKED_FIELDS,
  AUTHORIZE_FIELDS,
  HEADER_FIELD,
  POMERIUM_FIELDS,
  POMERIUM_OTHERS,
} from '../../lib/request-log-fields.ts'
import { oneOf } from './fields.ts'

const NAMES = [
  ...new Set<string>([
    ...ACCESS_FIELDS,
    ...AUTHORIZE_FIELDS,
    ...ASKED_FIELDS,
    ...Object.keys(POMERIUM_FIELDS),
    ...Object.keys(POMERIUM_OTHERS),
  ]),
]
const error = 'a field of the log, such as status or user-agent, or a header as headers.X-Name'

const logFields = z.array(z.union([z.enum(NAMES), z.string().regex(HEADER_FIELD, { error })], { error }), {
  error: 'a list of fields of the log',
})

/** What is logged, and where. */
export const logKeys = {
  log_level: oneOf('trace', 'debug', 'info', 'warn', 'error', 'off', 'disabled')
    .default('info')
    .describe('Lowest level of log lines.'),
  log_format: oneOf('auto', 'json', 'pretty')
    .default('auto')
    .describe(
      'Form of log lines: `json`, or `pretty` for people, with colour unless `NO_COLOR` is set. auto: `pretty` on a terminal, else `json`.',
    ),
  access_log_fields: logFields
    .optional()
    .describe(
      'Fields about request and answer in the line of a request, instead of all of them: names of docs/log.md or of Pomerium; also `query`, `referer`, `forwarded_for`, `client_certificate` and `headers.X-Name`, which are not logged otherwise.',
    ),
  authorize_log_fields: logFields
    .optional()
    .describe('The same for fields about route and person. Decision, reasons and faults are always in the line.'),
  audit_log: z
    .string()
    .regex(/^(?:stdout|stderr|off)$|\//, { error: 'stdout, stderr, off, or a path with a slash' })
    .default('stdout')
    .describe(
      'Where audit events go (docs/audit.md): `stdout` is the log; a path (from the working directory) is a file of their own, which a reload opens again. `log_level` does not apply to them.',
    ),
}
