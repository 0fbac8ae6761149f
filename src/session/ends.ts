/** Sessions by when they end, so that those that have ended are found without a look at all of them. */
import { faultFields } from '../errors.ts'
import { every } from '../lib/clock.ts'
import { epochMillis, later } from '../lib/time.ts'
import type { Clock, Logger, SessionId, Span, Store, Table, WallTime } from '../types.ts'
import type { Session, Sessions } from './model.ts'
import { endOf } from './life.ts'

/** Sessions that end within the same ten seconds are looked for together. */
const BUCKET: Span = 10_000
const LOOK_INTERVAL: Span = 5000
/** How long the record of a session that is over is kept, so that it can be ended with a reason. It opens nothing. */
export const ENDED_KEPT: Span = 900_000

interface End {
  readonly at: WallTime
}

export const endsTable: Table<End> = {
  name: 'session-ends',
  parse: (value) =>
    typeof value === 'object' && value !== null && 'at' in value && typeof value.at === 'number'
      ? { at: value.at as unknown as WallTime }
      : undefined,
  index: ({ at }) => String(bucketOf(at)),
}

function bucketOf(at: WallTime): number {
  return Math.floor(epochMillis(at) / BUCKET)
}

/** Written when a session begins, and whenever its end moves. */
export async function noteEnd(store: Pick<Store, 'put'>, session: Session): Promise<void> {
  const at = endOf(session)
  await store.put(endsTable, session.id, { at }, { expiresAt: later(at, ENDED_KEPT) })
}

export async function forgetEnd(store: Pick<Store, 'delete'>, id: SessionId): Promise<void> {
  await store.delete(endsTable, id)
}

/** Ends sessions whose time is over: their records go, streams are cut, tokens revoked, and the log says which limit it was. */
export function createExpiry(deps: {
  readonly store: Store
  readonly sessions: Pick<Sessions, 'endIfOver'>
  readonly clock: Clock
  readonly logger: Logger
}): { readonly close: () => Promise<void> } {
  const { store, sessions, clock, logger } = deps
  let next = bucketOf(clock.now()) - ENDED_KEPT / BUCKET
  let looking: Promise<void> | undefined
  const stop = every(clock, LOOK_INTERVAL, () => {
    looking ??= look().finally(() => {
      looking = undefined
    })
  })

  /** Never rejects; what fails is looked for again. */
  async function look(): Promise<void> {
    try {
      for (; next < bucketOf(clock.now()); next++) {
        for await (const [id] of store.list(endsTable, String(next))) {
          // One process of all takes it. If its end has moved meanwhile, it is noted again.
          const end = await store.take(endsTable, id)
          if (!end) continue
          const left = await sessions.endIfOver(id)
          if (left) await noteEnd(store, left)
        }
      }
    } catch (error) {
      logger.debug(faultFields(error), 'sessions that have ended cannot be looked up')
    }
  }

  return {
    async close() {
      stop()
      await looking
    },
  }
}
