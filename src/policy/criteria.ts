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
import { issuer } from './criteria/issuer.ts'
import { reject } from './criteria/reject.ts'
import { scope } from './criteria/scope.ts'
import { serviceAccount } from './criteria/service-account.ts'
import { sourceIp } from './criteria/source-ip.ts'
import { timeOfDay } from './criteria/time-of-day.ts'
import { user } from './criteria/user.ts'
import { isSameClaim } from './claim-path.ts'
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
  ['service_account', serviceAccount],
  ['issuer', issuer],
  ['scope', scope],
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
  readonly passing: readonly string[] | undefined
  readonly warnings: readonly DataIssue[]
}

/**
 * `NAME` or `NAME/PATH` with its data, compiled; or what is wrong with it. Paths begin at the data. A claim with groups asks
 * what `groups` asks: the directory, and not a token that is older.
 * @param groupsClaim path of the claim with groups (`groups_claim`).
 */
export function compileCriterion(key: string, data: unknown, groupsClaim: string): CompiledCriterion | InvalidData {
  const slash = key.indexOf('/')
  const name = slash === -1 ? key : key.slice(0, slash)
  const path = slash === -1 ? '' : key.slice(slash + 1)
  const row = CRITERIA.get(name)
  if (!row) return invalid(unknownName(name))
  if (row.takesPath !== undefined && path === '') return invalid(`"${name}" needs a path, e.g. ${row.takesPath}`)
  if (row.takesPath === undefined && slash !== -1) return invalid(`"${name}" takes no path (write "${name}")`)
  const isGroups = row === claim && isSameClaim(path, groupsClaim)
  const judging = isGroups ? groups : row
  const compiled = judging.compile(data, path)
  if (compiled.kind === 'invalid') return compiled
  const { describe, test, wantedGroups = [], namedGroups = [], passing, warnings = [] } = compiled
  const written = describe === '' ? key : `${isGroups ? 'groups' : key} ${describe}`
  const criterion: Criterion = {
    name: isGroups ? 'groups' : key,
    needs: judging.needs,
    ok: judging.ok,
    no: judging.no,
    describe: isGroups ? `${written} (${key})` : written,
    wantedGroups,
    namedGroups,
    test,
  }
  return { kind: 'ok', criterion, passing, warnings }
}

/** Is it the name of a criterion, with or without what may follow it? */
export function isCriterion(key: string): boolean {
  return CRITERIA.has(key.replace(/\/.*/s, ''))
}

/** What people write who know Postern's other keys, or other proxies. */
const MEANT: Readonly<Record<string, string>> = {
  allow_any_authenticated_user: 'authenticated_user: true',
  allow_public_unauthenticated_access: 'accept: true',
  allowed_domains: 'domain',
  allowed_groups: 'groups',
  allowed_idp_claims: 'claim/NAME',
  allowed_users: 'user or email',
  anyone: 'authenticated_user: true',
  authenticated: 'authenticated_user: true',
  client_ip: 'source_ip',
  everybody: 'authenticated_user: true',
  everyone: 'authenticated_user: true',
  header: 'http_header/NAME',
  ip: 'source_ip',
  method: 'http_method',
  path: 'http_path',
  query: 'http_query/NAME',
  remote_ip: 'source_ip',
  iss: 'issuer',
  role: 'claim/roles',
  roles: 'claim/roles',
  scopes: 'scope',
  service: 'service_account',
  service_accounts: 'service_account',
  service_token: 'service_account',
  user_domain: 'domain',
  user_email: 'email',
  user_group: 'groups',
  user_groups: 'groups',
  user_id: 'user',
}

function unknownName(name: string): string {
  const [, row, path] = /^(\w+)[.:](.+)$/.exec(name) ?? []
  if (row !== undefined && CRITERIA.get(row)?.takesPath !== undefined)
    return `unknown criterion "${name}" (write ${row}/${path})`
  if (Object.hasOwn(MEANT, name)) return `unknown criterion "${name}" (write ${MEANT[name]})`
  const never = NEVER_SUPPORTED.get(name)
  if (never !== undefined) return `the criterion "${name}" is not supported and will not be: ${never}`
  const meant = nearest(name, CRITERIA.keys())
  return `unknown criterion "${name}"${meant === undefined ? '' : ` (did you mean "${meant}"?)`}`
}
