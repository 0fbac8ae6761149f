/** What the command line asks of Okta itself, with the service account of a configuration. */
import { createOktaClient, type OktaClient } from './directory/okta/client.ts'
import {
  HOOK_SCOPE,
  type InstalledHook,
  installHook,
  type WantedHook,
  wantedHook,
} from './directory/okta/hook-install.ts'
import {
  inspectApplication,
  inspectOkta,
  type OktaApplication,
  type OktaInspection,
  type Probe,
} from './directory/okta/inspect.ts'
import { isOktaUser } from './directory/okta/shapes.ts'
import { createOktaSource } from './directory/okta/source.ts'
import { namedGroups } from './directory/open.ts'
import { toMembership } from './directory/view.ts'
import { AppError } from './errors.ts'
import { personKey } from './lib/person.ts'
import type { OperatorDeps, PersonView } from './operator.ts'
import type { Config, DirectoryConfig, IdpConfig } from './config/model.ts'

export type { GroupProblem } from './directory/okta/inspect.ts'

/**
 * One person as Okta sees them now; `user` is an Okta user id or a login. undefined: Okta has no such person.
 * Throws ERR_USAGE without a service account, ERR_DIRECTORY_… when Okta does not answer.
 */
export async function readLive(
  { issuer, directory: configured }: IdpConfig,
  user: string,
  deps: OperatorDeps,
  signal: AbortSignal,
): Promise<PersonView | undefined> {
  const { clock, logger } = deps
  const directory = oktaOf(configured, '--live reads groups with a service account: configure idp_service_account')
  return withClient(directory, deps, async (client) => {
    const readAt = clock.now()
    const path = `/api/v1/users/${encodeURIComponent(user)}`
    const body = (await client.get(path, {}, { signal, priority: 'confirm' }))?.body
    if (!isOktaUser(body)) return undefined
    // Okta also finds people by short names, `me` among them; an address is a login, anything else must be the id.
    if (!user.includes('@') && body.id !== user) return undefined
    const entry = await createOktaSource({ client, clock, logger }).lookup(body.id, signal, 'confirm')
    if (!entry) return undefined
    const { subject, status, statusText, groups, asOf } = entry
    const membership = toMembership({ ...entry, readAt }, readAt, 'okta')
    return {
      person: personKey({ issuer, subject }),
      subject,
      email: emailOf(body),
      identity: undefined,
      record: { status, statusText, groups, source: 'okta', asOf, readAt, freshAt: readAt, membership },
    }
  })
}

/** May Postern do at Okta what it has to, and does Okta have the groups of the policies? Throws ERR_USAGE without Okta's API. */
export async function inspect(
  { live }: Pick<Config, 'live'>,
  { name, directory: configured }: IdpConfig,
  deps: OperatorDeps,
  signal: AbortSignal,
): Promise<OktaInspection> {
  const directory = oktaOf(configured, 'groups are not read from Okta: configure idp_service_account')
  const wanted = namedGroups(live.routes.filter(({ demand }) => demand?.providers?.includes(name) ?? true))
  const isApp = directory.credentials.kind === 'service-app'
  return withClient(directory, deps, (client) => inspectOkta(client, { wanted, isApp }, signal))
}

/** The application at Okta that people sign in to. Throws ERR_USAGE without Okta's API. */
export async function inspectClientApplication(
  { clientId, directory: configured }: IdpConfig,
  deps: OperatorDeps,
  signal: AbortSignal,
): Promise<Probe<OktaApplication | undefined>> {
  const directory = oktaOf(configured, 'groups are not read from Okta: configure idp_service_account')
  const client = withScopes(directory, ['okta.apps.read'])
  return withClient(client, deps, (okta) => inspectApplication(okta, clientId, signal))
}

/** The event hook that Okta should have; undefined: no secret is configured for one. */
export function hookOf(
  { fixed: { authenticateServiceUrl }, live }: Config,
  { directory }: IdpConfig,
): WantedHook | undefined {
  if (directory.kind !== 'okta' || !directory.hookSecret) return undefined
  return wantedHook(`${authenticateServiceUrl.origin}${live.naming.controlPrefix}/hooks/okta`, directory.hookSecret)
}

/** Makes the hook at Okta and has it verified (hook-install.ts). Throws ERR_USAGE without a service account. */
export async function installOktaHook(
  { directory: configured }: IdpConfig,
  hook: WantedHook,
  deps: OperatorDeps,
  signal: AbortSignal,
): Promise<InstalledHook> {
  const directory = oktaOf(configured, "hooks are made through Okta's API: configure idp_service_account")
  // Postern itself reads only, and its own token should say so.
  return withClient(withScopes(directory, [HOOK_SCOPE]), deps, (client) => installHook(client, hook, signal))
}

/** A service app asks for other scopes; a token may do what its administrator may. */
function withScopes(directory: OktaDirectory, scopes: readonly string[]): OktaDirectory {
  const { credentials } = directory
  return credentials.kind === 'token' ? directory : { ...directory, credentials: { ...credentials, scopes } }
}

type OktaDirectory = Extract<DirectoryConfig, { kind: 'okta' }>

function oktaOf(directory: DirectoryConfig, otherwise: string): OktaDirectory {
  if (directory.kind !== 'okta') throw new AppError('ERR_USAGE', otherwise)
  return directory
}

async function withClient<T>(
  directory: OktaDirectory,
  { clock }: OperatorDeps,
  work: (client: OktaClient) => Promise<T>,
): Promise<T> {
  const client = createOktaClient({ ...directory, origin: directory.url.origin, clock })
  try {
    return await work(client)
  } finally {
    await client.close()
  }
}

function emailOf(user: object): string | undefined {
  const profile: unknown = 'profile' in user ? user.profile : undefined
  const email: unknown = typeof profile === 'object' && profile && 'email' in profile ? profile.email : undefined
  return typeof email === 'string' && email !== '' ? email.toLowerCase() : undefined
}
