import { z } from 'zod'
import {
  ACCESS_FIELDS,
  ASKED_FIELDS,
  AUTHORIZE_FIELDS,
  HEADER_FIELD,
  POMERIUM_FIELDS,
  POMERIUM_OTHERS,
} from '../../lib/request-log-fields.ts'

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

/** Some fields of a log line. */
export const logFields = z.array(z.union([z.enum(NAMES), z.string().regex(HEADER_FIELD, { error })], { error }), {
  error: 'a list of fields of the log',
})
