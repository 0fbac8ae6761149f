import type { StreamRegistry } from '../http/exchange.ts'
import { every } from '../lib/clock.ts'
import { HEARD } from '../lib/freshness.ts'
import { earlier } from '../lib/time.ts'
import { yieldToEventLoop } from '../lib/wait.ts'
import type { Clock, Span, Store, Unsubscribe } from '../types.ts'

/** To those of whom nothing can be known, because the store cannot be asked. */
const AGAIN: Span = 1000
/** Between two looks at how long the store has been silent. */
const LOOK: Span = 500

/**
 * Sign-outs that this process did not hear of end open streams, too. Changes may have been missed (`onGap` of the store):
 * then whoever has a stream open is asked for again, until each is known to be here or gone. The store may be silent: after
 * `storeGrace` nobody's session is believed any more. Absent: the store is in this machine and never silent.
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
    // Everybody else who hears of the gap has forgotten by then.
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
