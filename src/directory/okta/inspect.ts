import { AppError, toAppError } from '../../errors.ts'
import { EVERYONE } from '../../policy/membership.ts'
import type { Group } from '../model.ts'
import type { Span } from '../../types.ts'
import { LIST_PAGE } from './answer.ts'
import type { CallOptions, OktaClient } from './client.ts'
import { DELTA_INTERVAL } from './feed.ts'
import { means, nearestName } from './listed.ts'
import { isOktaGroup, toGroup } from './shapes.ts'

/** What came of one question. */
export type Probe<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: AppError }

/** A group that policies ask for and that is not exactly one of Okta's. */
export type GroupProblem =
  /** Nobody is in it. */
  | { readonly kind: 'unknown'; readonly group: string; readonly nearest: string | undefined }
  /** Each of them counts. */
  | { readonly kind: 'ambiguous'; readonly group: string; readonly ids: readonly string[] }
  /** Rules do not match imported groups by name. */
  | { readonly kind: 'imported'; readonly group: string; readonly id: string }

/** Whether Postern may do at Okta what it has to. */
export interface OktaInspection {
  /** The login that the token belongs to; undefined: a service app. */
  readonly account: Probe<string | undefined>
  /** Absent: nothing was asked after the account, because Okta does not answer, or not these credentials. */
  readonly people?: Probe<undefined>
  readonly groups?: Probe<readonly GroupProblem[]>
  readonly log?: Probe<undefined>
  /** How often changes are looked for where the log may not be read. */
  readonly withoutLog: Span
}

/** `wanted`: ids and names of groups as policies write them. `isApp`: a service app asks. Never rejects. */
export async function inspectOkta(
  client: OktaClient,
  { wanted, isApp }: { readonly wanted: readonly string[]; readonly isApp: boolean },
  signal: AbortSignal,
): Promise<OktaInspection> {
  const options = { signal, priority: 'confirm' } as const
  const account = await probe(() => (isApp ? readAnybody(client, options) : readOwner(client, options)))
  // The rest would say the same.
  if (!account.ok && account.error.code !== 'ERR_DIRECTORY_FORBIDDEN') return { account, withoutLog: DELTA_INTERVAL }
  const people = await probe(() => readAnybody(client, options))
  const groups = await probe(() => readGroups(client, wanted, options))
  const log = await probe(async () => void (await client.get('/api/v1/logs', { limit: '1' }, options)))
  return { account, people, groups, log, withoutLog: DELTA_INTERVAL }
}

/** What Okta knows of the application that people sign in to. */
export interface OktaApplication {
  /** `ACTIVE`, or nobody can sign in. */
  readonly status: string
  readonly signOutUris: readonly string[]
  readonly grantTypes: readonly string[]
}

/** `undefined`: there is none with this client id. Never rejects. */
export function inspectApplication(
  client: OktaClient,
  clientId: string,
  signal: AbortSignal,
): Promise<Probe<OktaApplication | undefined>> {
  return probe(async () => {
    const path = `/api/v1/apps/${encodeURIComponent(clientId)}`
    const answer = await client.get(path, {}, { signal, priority: 'confirm' })
    if (!answer) return undefined
    const { status, settings } = answer.body as {
      readonly status?: unknown
      readonly settings?: { readonly oauthClient?: Readonly<Record<string, unknown>> | null } | null
    }
    const { post_logout_redirect_uris: signOutUris, grant_types: grantTypes } = settings?.oauthClient ?? {}
    return { status: String(status), signOutUris: textsOf(signOutUris), grantTypes: textsOf(grantTypes) }
  })
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}

async function probe<T>(ask: () => Promise<T>): Promise<Probe<T>> {
  try {
    return { ok: true, value: await ask() }
  } catch (error) {
    return { ok: false, error: toAppError(error) }
  }
}

async function readOwner(client: OktaClient, options: CallOptions): Promise<string> {
  const answer = await client.get('/api/v1/users/me', {}, options)
  const { profile } = (answer?.body ?? {}) as { readonly profile?: { readonly login?: unknown } | null }
  return typeof profile?.login === 'string' ? profile.login : 'somebody without a login'
}

/** A service app is nobody, but reads people. */
async function readAnybody(client: OktaClient, options: CallOptions): Promise<undefined> {
  await client.get('/api/v1/users', { limit: '1' }, options)
}

async function readGroups(
  client: OktaClient,
  wanted: readonly string[],
  options: CallOptions,
): Promise<readonly GroupProblem[]> {
  const named = wanted.filter((group) => group !== EVERYONE)
  const groups: Group[] = []
  // Nobody asks for a group: that they may be read is all there is to know.
  for await (const { body } of client.pages('/api/v1/groups', { limit: named.length > 0 ? LIST_PAGE : '1' }, options)) {
    if (!Array.isArray(body)) throw new AppError('ERR_DIRECTORY_BAD_ANSWER', 'okta: GET /api/v1/groups is not a list')
    groups.push(...body.filter(isOktaGroup).map(toGroup))
    if (named.length === 0) break
  }
  return named.map((group) => problemOf(group, groups)).filter((problem) => problem !== undefined)
}

function problemOf(group: string, groups: readonly Group[]): GroupProblem | undefined {
  const matching = groups.filter((each) => means(group, each))
  if (matching.length === 1) return undefined
  if (matching.length > 1) return { kind: 'ambiguous', group, ids: matching.map(({ id }) => id) }
  const imported = groups.find(({ name }) => name === group)
  if (imported) return { kind: 'imported', group, id: imported.id }
  return { kind: 'unknown', group, nearest: nearestName(group, groups) }
}
