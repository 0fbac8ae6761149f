import { type ErrorCode, ERRORS } from '../errors.ts'
import { validator } from '../lib/json-schema.ts'
import { EPOCH_MILLIS, later } from '../lib/time.ts'
import type { Clock, Span, Store, Table, Unsubscribe, WallTime } from '../types.ts'
import type { DirectoryHealth } from './model.ts'

type Trouble = NonNullable<DirectoryHealth['lastError']>

/** A leader that is gone for as long has no successor that would know better. */
const KEPT: Span = 7 * 86_400_000

const SHAPE = {
  type: 'object',
  required: ['at', 'code', 'message'],
  additionalProperties: false,
  properties: { at: EPOCH_MILLIS, code: { enum: Object.keys(ERRORS) }, message: { type: 'string' } },
} as const

export interface ToldTrouble {
  /** The leader's news: a fault, or undefined once the source answers. Never rejects. */
  tell(trouble: Trouble | undefined): void
  /** What the leader has told. */
  heard(): Trouble | undefined
  /** Never rejects. */
  start(): Promise<void>
  close(): Promise<void>
}

/** Why the source of an issuer cannot be read: pages of the processes that do not read it themselves say it, too. */
export function createToldTrouble(deps: {
  readonly issuer: string
  readonly store: Store
  readonly clock: Clock
}): ToldTrouble {
  const { issuer, store, clock } = deps
  const isTrouble = validator<{ readonly at: WallTime; readonly code: ErrorCode; readonly message: string }>(SHAPE)
  const table: Table<Trouble> = {
    name: 'directory-trouble',
    parse: (value) => (isTrouble(value) ? value : undefined),
  }
  let heard: Trouble | undefined
  let telling: Promise<void> = Promise.resolve()
  let unwatch: Unsubscribe = () => {}

  async function look(): Promise<void> {
    try {
      heard = (await store.get(table, issuer))?.value
    } catch {
      // As below.
    }
  }

  async function write(trouble: Trouble | undefined): Promise<void> {
    try {
      if (trouble) await store.put(table, issuer, trouble, { expiresAt: later(clock.now(), KEPT) })
      else await store.delete(table, issuer)
    } catch {
      // The store's own trouble is told by the store. Who does not hear of this one says less on a page.
    }
  }

  return {
    tell(trouble) {
      telling = telling.then(() => write(trouble))
    },

    heard: () => heard,

    async start() {
      unwatch = store.watch(
        ({ table: name, key }) => {
          if (name === table.name && key === issuer) void look()
        },
        () => void look(),
      )
      await look()
    },

    async close() {
      unwatch()
      await telling
    },
  }
}
