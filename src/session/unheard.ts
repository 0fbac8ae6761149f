import type { StreamRegistry } from '../http/exchange.ts'
import { every } from '../lib/clock.ts'
import { HEARD } from '../lib/freshness.ts'
import { earlier } from '../lib/time.ts'
import { yieldToEventLoop } from '../lib/wait.ts'
import type { Clock, Span, Store, Unsubscribe } from '../types.ts'

/** Between two attempts to identify people whom the store could not tell us about. */
const AGAIN: Span = 1000
/** Between two looks at how long the store has been silent. */
const LOOK: Span = 500

/**
 * Ends open streams after sign-outs that this process did not hear of. When changes may have been missed (`onGap` of the
 * store), everybody with an open stream is identified again, until each is known to be signed in or not. When the store is
 * silent for `storeGrace`, all are cut. Absent: the store is on this machine and never silent.
 */
export function endUnheard(deps: {
  readonly store: Pick<Store, 'watch' | 'heardAt'>
  readonly streams: Pick<StreamRegistry, 'confirm' | 'endOlder'>
  readonly clock: Clock
  readonly storeGrace?: Span | undefined
}): Unsubscribe {
  const { store, streams, clock, storeGrace } = deps
  let gaps = 0
  let stopWaiting: Unsubscribe = () => {}

  async function confirm(gap: number): Promise<void> {
    // By then every other listener of the gap has dropped its cache.
    await yieldToEventLoop()
    // A later gap asks for everybody, too.
    if (gap !== gaps || (await streams.confirm()) || gap !== gaps) return
    stopWaiting = clock.after(AGAIN, () => void confirm(gap))
  }

  function look(longest: Span): void {
    const bound = earlier(clock.monotonic(), longest)
    if (store.heardAt() < bound) streams.endOlder(bound, 'store-unavailable')
  }

  const unwatch = store.watch(
    () => {},
    () => void confirm(++gaps),
  )
  const stopLooking = storeGrace === undefined ? () => {} : every(clock, LOOK, () => look(Math.max(storeGrace, HEARD)))
  return () => {
    gaps++
    stopWaiting()
    stopLooking()
    unwatch()
  }
}
