import { AppError } from '../../errors.ts'
import type { Secret } from '../../lib/secret.ts'
import type { JsonObject } from '../../types.ts'
import type { OktaAnswer } from './answer.ts'
import type { OktaClient } from './client.ts'
import { HOOK_EVENT_TYPES } from './events.ts'

const HOOKS = '/api/v1/eventHooks'
const ID = /^[A-Za-z0-9_-]{1,100}$/

/** What a service app is granted for `installHook`, and nothing else. */
export const HOOK_SCOPE = 'okta.eventHooks.manage'

/** The event hook that a configuration wants Okta to have (okta-api.md#event-hooks). */
export interface WantedHook {
  /** Where Okta delivers; Okta takes https only. */
  readonly uri: string
  readonly name: string
  readonly events: readonly string[]
  /** Value of the Authorization header. */
  readonly secret: Secret
}

export interface InstalledHook {
  readonly id: string
  /** What was there for this uri before. */
  readonly done: 'created' | 'updated'
  /** undefined: Okta has reached the endpoint. Otherwise what Okta said. */
  readonly unverified: string | undefined
}

export function wantedHook(uri: string, secret: Secret): WantedHook {
  return { uri, name: `Postern ${new URL(uri).host}`, events: HOOK_EVENT_TYPES, secret }
}

/**
 * Makes Okta's hook for this uri what it should be, then has Okta verify it; doing so again changes nothing. Okta never
 * tells the secret of a hook, so an existing one is always written again. Rejects with ERR_DIRECTORY_…:
 * ERR_DIRECTORY_FORBIDDEN when the token may not manage hooks.
 */
export async function installHook(client: OktaClient, wanted: WantedHook, signal: AbortSignal): Promise<InstalledHook> {
  const options = { signal, priority: 'confirm' } as const
  const before = hooksOf(await client.get(HOOKS, {}, options)).find(({ uri }) => uri === wanted.uri)
  const hook = hookOf(
    await client.write(
      before
        ? { method: 'PUT', path: `${HOOKS}/${before.id}`, body: bodyOf(wanted) }
        : { method: 'POST', path: HOOKS, body: bodyOf(wanted) },
      options,
    ),
  )
  const lifecycle = (step: string) =>
    client.write({ method: 'POST', path: `${HOOKS}/${hook.id}/lifecycle/${step}` }, options)
  if (!hook.active) await lifecycle('activate')
  const unverified = await lifecycle('verify').then(
    () => undefined,
    (error: unknown) => refusalOf(error),
  )
  return { id: hook.id, done: before ? 'updated' : 'created', unverified }
}

function bodyOf({ uri, name, events, secret }: WantedHook): JsonObject {
  const authScheme = { type: 'HEADER', key: 'Authorization', value: secret.reveal() }
  return {
    name,
    events: { type: 'EVENT_TYPE', items: events, filter: null },
    channel: { type: 'HTTP', version: '1.0.0', config: { uri, headers: [], method: 'POST', authScheme } },
  }
}

/** A 400 says that the endpoint did not pass; anything else is a fault. */
function refusalOf(error: unknown): string {
  const { status, summary } = error instanceof AppError ? error.details : {}
  if (status !== 400) throw error
  return String(summary ?? 'no reason given')
}

interface Hook {
  readonly id: string
  readonly uri: unknown
  readonly active: boolean
}

function hooksOf(answer: OktaAnswer | undefined): readonly Hook[] {
  if (!Array.isArray(answer?.body)) {
    throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: GET ${HOOKS} is not a list`)
  }
  return answer.body.map(readHook).filter((hook) => hook !== undefined)
}

function hookOf(answer: OktaAnswer | undefined): Hook {
  const hook = readHook(answer?.body)
  if (!hook) throw new AppError('ERR_DIRECTORY_BAD_ANSWER', `okta: ${HOOKS} did not answer with an event hook`)
  return hook
}

function readHook(value: unknown): Hook | undefined {
  const { id, status, channel } = (value ?? {}) as {
    readonly id?: unknown
    readonly status?: unknown
    readonly channel?: { readonly config?: { readonly uri?: unknown } | null } | null
  }
  if (typeof id !== 'string' || !ID.test(id)) return undefined
  return { id, uri: channel?.config?.uri, active: status === 'ACTIVE' }
}
