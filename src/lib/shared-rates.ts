import { faultFields } from '../errors.ts'
import type { Clock, Logger, Owe, Span, Unsubscribe } from '../types.ts'
import type { Bucket, Spent } from './rate-limiter.ts'
import { later } from './time.ts'

/** So long what was spent is gathered. Each process may let through a little of what another one has spent meanwhile. */
const INTERVAL: Span = 100
/** After a failure. */
const PAUSE: Span = 1000
/** At once; the rest waits its turn. */
const BATCH = 1000
/** Beyond that buckets count in this process alone. */
const CAPACITY = 20_000
/** What several processes let through at once is waited for later: bursts of so many. No more, because a clock may have stepped. */
const MOST_BURSTS = 16
const SLACK: Span = 10_000

/**
 * One count for all processes that share a store or a primary: each goes on deciding by what it knows, tells the others
 * ten times a second what its busy buckets have spent, all of them in one call, and hears what these owe to all together.
 * Without answers each counts alone.
 */
export function createSharedRates({
  owe,
  clock,
  logger,
}: {
  readonly owe: Owe
  readonly clock: Clock
  readonly logger: Pick<Logger, 'warn' | 'info'>
}): { readonly spent: Spent; close(): void } {
  const waiting = new Map<string, { readonly bucket: Bucket; readonly depth: Span }>()
  let stopWaiting: Unsubscribe | undefined
  let isAlone = false
  let closed = false

  function exchangeAfter(delay: Span): void {
    stopWaiting = clock.after(delay, () => void exchange())
  }

  async function exchange(): Promise<void> {
    const batch = [...waiting].slice(0, BATCH).map(([key, { bucket, depth }]) => {
      const told = bucket.untold
      waiting.delete(key)
      bucket.untold = 0
      return { key, bucket, depth, told, most: MOST_BURSTS * depth + SLACK }
    })
    const askedAt = clock.monotonic()
    try {
      const owed = await owe(batch.map(({ key, told, most }) => ({ key, more: told, most })))
      for (const [i, { bucket, most }] of batch.entries()) {
        const fullAt = later(askedAt, Math.min(owed[i] ?? 0, most) + bucket.untold)
        // What is known here is owed at the least, whatever a store says that has come back empty.
        if (fullAt > bucket.fullAt) bucket.fullAt = fullAt
      }
      if (isAlone) logger.info({}, 'rate limits count for all processes again')
      isAlone = false
    } catch (error) {
      for (const { bucket, depth, told } of batch) bucket.untold = Math.min(depth, bucket.untold + told)
      if (!isAlone && !closed) {
        logger.warn(faultFields(error), 'rate limits count for this process alone: others cannot be told')
      }
      isAlone = true
    }
    stopWaiting = undefined
    if (!closed && (waiting.size > 0 || isAlone)) exchangeAfter(isAlone ? PAUSE : INTERVAL)
  }

  return {
    spent(key, bucket, depth) {
      if (closed || waiting.size >= CAPACITY) return
      waiting.set(key, { bucket, depth })
      if (!stopWaiting) exchangeAfter(INTERVAL)
    },
    close() {
      closed = true
      stopWaiting?.()
    },
  }
}
