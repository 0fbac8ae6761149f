import type { Report } from '../issues.ts'
import type { GlobalInput } from '../schema.ts'

/** Keys that nobody writes who does not come from Pomerium. */
const ONLY_POMERIUM = [
  'policy',
  'cookie_secret',
  'cookie_secret_file',
  'databroker_storage_type',
  'databroker_storage_connection_string',
  'databroker_service_url',
  'authorize_service_url',
  'grpc_address',
  'grpc_insecure',
  'runtime_flags',
  'autocert_dir',
] as const

/** Says once what is different here, in a file that was written for Pomerium and does not say how it wants to be read. */
export function checkDialect(globals: GlobalInput, report: Report): void {
  if (report.isWritten(['compatibility'])) return
  const claims = typeof globals.jwt_claims_headers === 'string' ? [] : Object.keys(globals.jwt_claims_headers)
  const sign = ONLY_POMERIUM.find((key) => report.isWritten([key])) ?? claims.find((name) => /^x-pomerium-/i.test(name))
  if (sign === undefined) return
  report.warning(
    ['compatibility'],
    `this looks like a file of Pomerium (${sign}), and some things differ: applications receive X-Postern-Jwt-Assertion, WebSockets are allowed unless allow_websockets is false, a prefix ends at a segment of the path. Write \`compatibility: pomerium\` for Pomerium's names and prefixes, or \`compatibility: postern\` for these`,
  )
}
