import type { Criterion } from './model.ts'
import { accept } from './criteria/accept.ts'
import { authenticatedUser } from './criteria/authenticated-user.ts'
import { claim } from './criteria/claim.ts'
import { domain } from './criteria/domain.ts'
import { email } from './criteria/email.ts'
import { groups } from './criteria/groups.ts'
import { httpMethod } from './criteria/http-method.ts'
import { httpPath } from './criteria/http-path.ts'
import { reject } from './criteria/reject.ts'
import { sourceIp } from './criteria/source-ip.ts'
import { user } from './criteria/user.ts'
import { type InvalidData, invalid } from './matchers.ts'
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
  ['source_ip', sourceIp],
])

/** Words of Pomerium's language that Postern knows about and cannot judge. */
const NOT_SUPPORTED: ReadonlySet<string> = new Set([
  'client_certificate',
  'cors_preflight',
  'date',
  'day_of_week',
  'device',
  'invalid_client_certificate',
  'mcp_tool',
  'pomerium_routes',
  'record',
  'ssh_ca',
  'ssh_publickey',
  'ssh_username',
  'ssh_username_matches_claim',
  'ssh_username_matches_email',
  'time_of_day',
])

/** `NAME` or `NAME/PATH` with its data, compiled; or what is wrong with it, paths beginning at the data. */
export function compileCriterion(key: string, data: unknown): Criterion | InvalidData {
  const slash = key.indexOf('/')
  const name = slash === -1 ? key : key.slice(0, slash)
  const path = slash === -1 ? '' : key.slice(slash + 1)
  const row = CRITERIA.get(name)
  if (!row) return invalid(unknownName(name))
  if (row.takesPath && path === '') return invalid(`"${name}" needs a path, e.g. ${name}/department`)
  if (!row.takesPath && slash !== -1) return invalid(`"${name}" takes no path (write "${name}")`)
  const compiled = row.compile(data, path)
  if (compiled.kind === 'invalid') return compiled
  return {
    name: key,
    needs: row.needs,
    ok: row.ok,
    no: row.no,
    describe: compiled.describe === '' ? key : `${key} ${compiled.describe}`,
    wantedGroups: compiled.wantedGroups ?? [],
    test: compiled.test,
  }
}

function unknownName(name: string): string {
  if (NOT_SUPPORTED.has(name)) return `the criterion "${name}" is not supported yet`
  const meant = nearest(name, CRITERIA.keys())
  return `unknown criterion "${name}"${meant === undefined ? '' : ` (did you mean "${meant}"?)`}`
}
