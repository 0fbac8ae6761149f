/** How many sessions there are, for operators: counted when somebody asks, and not again for a while. */
import { elapsed } from '../lib/time.ts'
import type { Clock, Monotonic, Span, Store } from '../types.ts'
import { sessionsTable } from './tables.ts'

/** A million keys of the embedded store take a second of a core, in pieces: not with every look at a page. */
const KEPT: Span = 60_000

/** Sessions of all processes; those that ended in the last quarter of an hour may be among them. Rejects ERR_STORE_UNAVAILABLE. */
export function createSessionCount({
  store,
  clock,
}: {
  readonly store: Pick<Store, 'count'>
  readonly clock: Pick<Clock, 'monotonic'>
}): () => Promise<number> {
  let counted: { readonly number: Promise<number>; readonly at: Monotonic } | undefined
  return () => {
    const now = clock.monotonic()
    if (counted && elapsed(now, counted.at) < KEPT) return counted.number
    const number = store.count(sessionsTable)
    counted = { number, at: now }
    // Who asks next asks the store.
    number.catch(() => (counted = undefined))
    return number
  }
}
