/** The service account at Okta, and the groups of the policies. */
import { type AppError, assertNever } from '../../../src/errors.ts'
import { describeDuration } from '../../../src/lib/duration.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { GroupProblem } from '../../../src/okta-account.ts'
import type { Config, DirectoryConfig, IdpConfig } from '../../../src/config/model.ts'
import type { Clock } from '../../../src/types.ts'
import { withDeadline } from '../deadline.ts'
import { signOutUri } from '../commands/registration.ts'
import { type Finding, remedyOf } from '../finding.ts'

/** Rate limits make Okta's answers wait. Shorter than the deadline of the whole, so that Okta is named. */
const TIMEOUT_MS = 20_000

type OktaDirectory = Extract<DirectoryConfig, { kind: 'okta' }>

/** May Postern do at Okta what it has to, and does Okta have the groups of the policies? */
export async function checkOkta(
  config: Config,
  idp: IdpConfig,
  directory: OktaDirectory,
  clock: Clock,
): Promise<readonly Finding[]> {
  // Here and not above: what it brings with it is for those who ask.
  const { inspect } = await import('../../../src/okta-account.ts')
  const { account, people, groups, log, withoutLog } = await withDeadline(TIMEOUT_MS, (signal) =>
    inspect(config, idp, { clock, logger: silentLogger }, signal),
  )
  const { origin } = directory.url
  const isApp = directory.credentials.kind === 'service-app'
  const findings: Finding[] = []
  const fail = (check: string, error: AppError, scope: string): void =>
    void findings.push({ check, status: 'fail', ...reasonOfOkta(error, isApp, scope) })
  const accountCheck = `service account at ${origin}`
  if (account.ok) {
    const message =
      account.value === undefined ? 'the service app is accepted' : `the token belongs to ${account.value}`
    findings.push({ check: accountCheck, status: 'ok', message })
  } else fail(accountCheck, account.error, 'okta.users.read')
  const peopleCheck = `people at ${origin}`
  if (people?.ok) findings.push({ check: peopleCheck, status: 'ok', message: 'can be read' })
  // Of a service app the same was said above.
  else if (people && account.ok) fail(peopleCheck, people.error, 'okta.users.read')
  const groupsCheck = `groups at ${origin}`
  if (groups?.ok) {
    findings.push({ check: groupsCheck, status: 'ok', message: 'can be read' }, ...groups.value.map(describeProblem))
  } else if (groups) fail(groupsCheck, groups.error, 'okta.groups.read')
  const logCheck = `System Log at ${origin}`
  const every = describeDuration(directory.logInterval)
  if (log?.ok)
    findings.push({ check: logCheck, status: 'ok', message: `can be read: changes are looked for every ${every}` })
  else if (log?.error.code === 'ERR_DIRECTORY_FORBIDDEN') {
    findings.push({
      check: logCheck,
      status: 'warn',
      message: `may not be read: Postern falls back to lists of what changed, so changes take up to ${describeDuration(withoutLog)} and more, instead of ${every}`,
      remedy: isApp ? 'grant the app the scope okta.logs.read' : 'create the token as a Read-only Administrator',
    })
  } else if (log) fail(logCheck, log.error, 'okta.logs.read')
  return findings
}

/** What only Okta's API tells of the client: whether a sign-out may come back, and whether tokens can be refreshed. */
export async function checkApplication(config: Config, idp: IdpConfig, clock: Clock): Promise<readonly Finding[]> {
  const { inspectClientApplication } = await import('../../../src/okta-account.ts')
  const found = await withDeadline(TIMEOUT_MS, (signal) =>
    inspectClientApplication(idp, { clock, logger: silentLogger }, signal),
  )
  const uri = signOutUri(config)
  const check = `sign-out URI ${uri}`
  const add = `add it to the Sign-out redirect URIs of client ${idp.clientId}, to the letter`
  if (!found.ok) {
    const remedy = `see that it is among the Sign-out redirect URIs of client ${idp.clientId}`
    return [
      { check, status: 'note', message: 'cannot be proven: the settings of the application may not be read', remedy },
    ]
  }
  // Said of the client already.
  if (!found.value) return []
  const { status, signOutUris, grantTypes } = found.value
  const findings: Finding[] = [
    signOutUris.includes(uri)
      ? { check, status: 'ok', message: 'Okta knows it' }
      : { check, status: 'fail', message: 'Okta does not know it, so a sign-out ends at an error page', remedy: add },
  ]
  const application = `application of client ${idp.clientId}`
  if (status !== 'ACTIVE') {
    const message = `it is ${status}, so nobody can sign in`
    findings.push({ check: application, status: 'fail', message, remedy: 'activate it in Okta' })
  }
  if (idp.scopes.includes('offline_access') && !grantTypes.includes('refresh_token')) {
    findings.push({
      check: application,
      status: 'warn',
      message: 'it may not have refresh tokens, so what changes at Okta shows at the next sign-in only',
      remedy: 'allow it the grant type Refresh Token',
    })
  }
  return findings
}

function describeProblem(problem: GroupProblem): Finding {
  const warn = (message: string, remedy?: string): Finding => ({
    check: `group ${JSON.stringify(problem.group)}`,
    status: 'warn',
    message,
    ...(remedy !== undefined && { remedy }),
  })
  switch (problem.kind) {
    case 'unknown':
      return warn(
        'Okta has no such group, so no person is in it',
        problem.nearest === undefined ? undefined : `did you mean ${JSON.stringify(problem.nearest)}?`,
      )
    case 'ambiguous':
      return warn(
        `${problem.ids.length} groups have this name, and each of them counts`,
        `write an id: ${problem.ids.join(', ')}`,
      )
    case 'imported':
      return warn(
        'only an imported group has this name, which rules do not match by name',
        `write its id: ${problem.id}`,
      )
    default:
      return assertNever(problem)
  }
}

/** For whoever has to do something about it. */
function reasonOfOkta(
  error: AppError,
  isApp: boolean,
  scope: string,
): { readonly message: string; readonly remedy: string } {
  const { code, message } = error
  switch (code) {
    case 'ERR_DIRECTORY_UNAUTHORIZED':
      return isApp
        ? {
            message: `Okta does not accept the service app (${message})`,
            remedy: 'client_id, private_key and the key in Okta must belong together',
          }
        : {
            message: 'Okta does not accept the token: it is wrong, revoked, or was unused for 30 days',
            remedy: 'create one in Security > API > Tokens, as a Read-only Administrator',
          }
    case 'ERR_DIRECTORY_FORBIDDEN':
      return isApp
        ? {
            message: `the service app may not do this (${message})`,
            remedy: `grant it the scope ${scope}, and the role Read-only Administrator`,
          }
        : { message: `the token may not do this (${message})`, remedy: 'create it as a Read-only Administrator' }
    case 'ERR_DIRECTORY_RATE_LIMITED':
      return { message: "Okta's rate limit is used up", remedy: 'try again in a minute' }
    case 'ERR_DIRECTORY_UNREACHABLE':
      return { message, remedy: 'see directory.okta.url, that this machine may connect there, and status.okta.com' }
    case 'ERR_DIRECTORY_BAD_ANSWER':
      return { message, remedy: 'what answers there is not Okta: see directory.okta.url, and proxies on the way' }
    default:
      return { message, remedy: remedyOf(error) }
  }
}
