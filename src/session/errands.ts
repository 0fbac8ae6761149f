/** What a process that may call the identity provider has to do for sessions: left in the shared store by the others. */
import { validator } from '../lib/json-schema.ts'
import { every } from '../lib/clock.ts'
import { createFaultLog } from '../lib/fault-tally.ts'
import { EPOCH_MILLIS, later } from '../lib/time.ts'
import { createTurns } from '../lib/wait.ts'
import type { AuditFields } from '../lib/audit-events.ts'
import type { Clock, Logger, SessionId, Span, Store, Table, WallTime } from '../types.ts'

export type Errand =
  /** The session's tokens are due. */
  | { readonly kind: 'refresh'; readonly id: SessionId }
  /** The session has ended: its refresh token is of no more use. */
  | {
      readonly kind: 'revoke'
      readonly id: SessionId
      readonly provider?: string
      readonly issuer: string
      /** As the session had them. */
      readonly sealedTokens: string
      /** Attempts that brought no answer, and when the next may begin; absent: none yet. */
      readonly failed?: { readonly attempts: number; readonly notBefore: WallTime }
    }
  /** A line for the log of a running Postern, from the command line. */
  | { readonly kind: 'audit'; readonly key: string; readonly fields: AuditFields; readonly message: string }

/** The longest that a request waits for a refresh. */
const REFRESH_KEPT: Span = 60_000
/** A provider that is down for a day keeps the token until it expires there. */
const KEPT: Span = 86_400_000
/** Those that were left when nobody was there, or failed. */
const LOOK_INTERVAL: Span = 60_000
const REVOCATIONS_AT_ONCE = 8

const ID = { type: 'string', minLength: 22, maxLength: 22 } as const
const isErrand = validator<Errand>({
  oneOf: [
    { type: 'object', required: ['kind', 'id'], properties: { kind: { const: 'refresh' }, id: ID } },
    {
      type: 'object',
      required: ['kind', 'id', 'issuer', 'sealedTokens'],
      properties: {
        kind: { const: 'revoke' },
        id: ID,
        provider: { type: 'string' },
        issuer: { type: 'string' },
        sealedTokens: { type: 'string' },
        failed: {
          type: 'object',
          required: ['attempts', 'notBefore'],
          properties: { attempts: { type: 'integer' }, notBefore: EPOCH_MILLIS },
        },
      },
    },
    {
      type: 'object',
      required: ['kind', 'key', 'fields', 'message'],
      properties: {
        kind: { const: 'audit' },
        key: { type: 'string' },
        fields: { type: 'object' },
        message: { type: 'string' },
      },
    },
  ],
})

const errandsTable: Table<Errand> = {
  name: 'session-errands',
  parse: (value) => (isErrand(value) ? value : undefined),
}

/** Resolves when it is stored. The same errand for the same session is one. */
export async function postErrand(store: Pick<Store, 'put'>, clock: Clock, errand: Errand): Promise<void> {
  const expiresAt = later(clock.now(), errand.kind === 'refresh' ? REFRESH_KEPT : KEPT)
  await store.put(errandsTable, keyOf(errand), errand, { expiresAt })
}

function keyOf(errand: Errand): string {
  return `${errand.kind} ${errand.kind === 'audit' ? errand.key : errand.id}`
}

/**
 * Takes what is there and what comes, each by one process of all. `run` gives what is to be tried again later; what it rejects
 * with is logged, and the errand forgotten. Slow ones, to a provider that is away, keep the others waiting for nothing.
 */
export function createErrands(deps: {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  readonly run: (errand: Errand) => Promise<Errand | undefined>
}): { readonly close: () => Promise<void> } {
  const { store, clock, run } = deps
  const tell = createFaultLog(deps)
  const turns = createTurns(REVOCATIONS_AT_ONCE)
  const underWay = new Map<string, Promise<void>>()
  let closed = false
  const stops = [
    store.watch(
      ({ table, key, kind }) => {
        if (table === errandsTable.name && kind === 'put') begin(key)
      },
      () => void look(),
    ),
    every(clock, LOOK_INTERVAL, () => void look()),
    clock.after(0, () => void look()),
  ]

  function begin(key: string): void {
    if (closed || underWay.has(key)) return
    const work = key.startsWith('revoke ') ? turns(() => take(key)) : take(key)
    underWay.set(
      key,
      work.finally(() => underWay.delete(key)),
    )
  }

  /** Never rejects. */
  async function take(key: string): Promise<void> {
    try {
      const found = closed ? undefined : (await store.get(errandsTable, key))?.value
      if (!found || (found.kind === 'revoke' && found.failed && found.failed.notBefore > clock.now())) return
      const errand = await store.take(errandsTable, key)
      const again = errand && (await run(errand))
      if (again) await postErrand(store, clock, again)
    } catch (error) {
      if (!closed) tell(error, 'an errand for a session could not be done')
    }
  }

  /** Never rejects. */
  async function look(): Promise<void> {
    try {
      for await (const [key] of store.list(errandsTable)) begin(key)
    } catch (error) {
      if (!closed) tell(error, 'errands for sessions could not be listed')
    }
  }

  return {
    async close() {
      closed = true
      for (const stop of stops) stop()
      await Promise.all(underWay.values())
    },
  }
}
