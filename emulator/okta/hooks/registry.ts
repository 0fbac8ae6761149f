import type { Json, Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import type { Ids } from '../model/ids.ts'

/** What an admin says about a hook (okta-api.md#event-hooks). */
export interface HookDetails {
  readonly name: string
  readonly items: readonly string[]
  readonly filter: Json
  readonly uri: string
  readonly headers: readonly { readonly key: string; readonly value: string }[]
  /** Sent with every delivery, never shown again. */
  readonly auth?: { readonly key: string; readonly value: string }
}

export interface EventHook extends HookDetails {
  readonly id: string
  readonly status: 'ACTIVE' | 'INACTIVE'
  readonly verificationStatus: 'VERIFIED' | 'UNVERIFIED'
  readonly created: Span
  readonly lastUpdated: Span
}

export interface HookRegistry {
  list(): readonly EventHook[]
  get(id: string): EventHook | undefined
  create(details: HookDetails): EventHook
  /** Another channel has to be verified again. */
  update(id: string, change: Partial<HookDetails & Pick<EventHook, 'status' | 'verificationStatus'>>): EventHook
  delete(id: string): void
}

export function createHookRegistry(deps: { readonly clock: Clock; readonly ids: Ids }): HookRegistry {
  const hooks = new Map<string, EventHook>()
  return {
    list: () => [...hooks.values()],
    get: (id) => hooks.get(id),
    create(details) {
      const now = deps.clock.now()
      const hook: EventHook = {
        ...details,
        id: deps.ids.next('who'),
        status: 'ACTIVE',
        verificationStatus: 'UNVERIFIED',
        created: now,
        lastUpdated: now,
      }
      hooks.set(hook.id, hook)
      return hook
    },
    update(id, change) {
      const before = hooks.get(id)
      if (!before) throw new TypeError(`no such hook: ${id}`)
      const changed: EventHook = { ...before, ...change }
      const after: EventHook = {
        ...changed,
        ...(channelOf(changed) !== channelOf(before) && { verificationStatus: 'UNVERIFIED' }),
        lastUpdated: deps.clock.now(),
      }
      hooks.set(id, after)
      return after
    },
    delete: (id) => void hooks.delete(id),
  }
}

function channelOf({ uri, headers, auth }: HookDetails): string {
  return JSON.stringify([uri, headers, auth])
}

/** Anything else is not delivered to. */
export function delivers(hook: EventHook): boolean {
  return hook.status === 'ACTIVE' && hook.verificationStatus === 'VERIFIED'
}
