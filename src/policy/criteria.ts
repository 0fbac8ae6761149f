import type { Criterion } from './model.ts'
import { accept } from './criteria/accept.ts'
import { authenticatedUser } from './criteria/authenticated-user.ts'
import { claim } from './criteria/claim.ts'
import { clientCertificate, invalidClientCertificate } from './criteria/client-certificate.ts'
import { corsPreflight } from './criteria/cors-preflight.ts'
import { date } from './criteria/date.ts'
import { dayOfWeek } from './criteria/day-of-week.ts'
import { domain } from './criteria/domain.ts'
import { email } from './criteria/email.ts'
import { groups } from './criteria/groups.ts'
import { httpHeader } from './criteria/http-header.ts'
import { httpMethod } from './criteria/http-method.ts'
import { httpPath } from './criteria/http-path.ts'
import { httpQuery } from './criteria/http-query.ts'
import { reject } from './criteria/reject.ts'
import { sourceIp } from './criteria/source-ip.ts'
import { timeOfDay } from './criteria/time-of-day.ts'
import { user } from './criteria/user.ts'
import { type DataIssue, type InvalidData, invalid } from './matchers.ts'
import { nearest } from './nearest.ts'
import type { CriterionRow } from './row.ts'

/** The criteria by the name that people write. A new one is a file, a line here and a golden file. */
const CRITERIA: ReadonlyMap<string, CriterionRow> = new Map([
  ['accept', accept],
  ['reject', reject],
  ['authenticated_user', authenticatedUser],
  ['user', user],
  ['email', email],
  ['domain', domain],
  ['groups', groups],
  ['claim', claim],
  ['http_method', httpMethod],
  ['http_path', httpPath],
  ['http_header', httpHeader],
  ['http_query', httpQuery],
  ['cors_preflight', corsPreflight],
  ['source_ip', sourceIp],
  ['date', date],
  ['day_of_week', dayOfWeek],
  ['time_of_day', timeOfDay],
  ['client_certificate', clientCertificate],
  ['invalid_client_certificate', invalidClientCertificate],
])

const NO_SSH = 'Postern carries HTTP only'
/** Words of Pomerium's language that Postern will not judge, and why. */
const NEVER_SUPPORTED: ReadonlyMap<string, string> = new Map([
  ['device', 'Postern does not know devices'],
  ['record', 'Postern reads no external data; write groups or a claim'],
  ['pomerium_routes', 'Postern answers its own paths without a policy; remove it'],
  ['mcp_tool', 'Postern does not read what requests carry'],
  ['ssh_ca', NO_SSH],
  ['ssh_publickey', NO_SSH],
  ['ssh_username', NO_SSH],
  ['ssh_username_matches_claim', NO_SSH],
  ['ssh_username_matches_email', NO_SSH],
])

export interface CompiledCriterion {
  readonly kind: 'ok'
  readonly criterion: Criterion
  readonly warnings: readonly DataIssue[]
}

/** `NAME` or `NAME/PATH` with its data, compiled; or what is wrong with it. Paths begin at the data. */
export function compileCriterion(key: string, data: unknown): CompiledCriterion | InvalidData {
  const slash = key.indexOf('/')
  const name = slash === -1 ? key : key.slice(0, slash)
  const path = slash === -1 ? '' : key.slice(slash + 1)
  const row = CRITERIA.get(name)
  if (!row) return invalid(unknownName(name))
  if (row.takesPath !== undefined && path === '') return invalid(`"${name}" needs a path, e.g. ${row.takesPath}`)
  if (row.takesPath === undefined && slash !== -1) return invalid(`"${name}" takes no path (write "${name}")`)
  const compiled = row.compile(data, path)
  if (compiled.kind === 'invalid') return compiled
  const criterion: Criterion = {
    name: key,
    needs: row.needs,
    ok: row.ok,
    no: row.no,
    describe: compiled.describe === '' ? key : `${key} ${compiled.describe}`,
    wantedGroups: compiled.wantedGroups ?? [],
    test: compiled.test,
  }
  return { kind: 'ok', criterion, warnings: compiled.warnings ?? [] }
}

function unknownName(name: string): string {
  const never = NEVER_SUPPORTED.get(name)
  if (never !== undefined) return `the criterion "${name}" is not supported and will not be: ${never}`
  const meant = nearest(name, CRITERIA.keys())
  return `unknown criterion "${name}"${meant === undefined ? '' : ` (did you mean "${meant}"?)`}`
}
