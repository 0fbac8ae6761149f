import type { Clock, Monotonic, Owe } from '../types.ts'
import { elapsed, later } from './time.ts'

/** 10 MB. The least recently used are dropped first. */
const CAPACITY = 100_000

/** Debts in the memory of one process, for those that ask it. */
export function createDebts({
  clock,
  capacity = CAPACITY,
}: {
  readonly clock: Pick<Clock, 'monotonic'>
  readonly capacity?: number
}): Owe {
  const paidAt = new Map<string, Monotonic>()

  return async (debts) => {
    const now = clock.monotonic()
    const owed = debts.map(({ key, more, most }) => {
      const at = paidAt.get(key)
      const all = Math.min(most, Math.max(0, at === undefined ? 0 : elapsed(at, now)) + more)
      // Again at the end: the first of a map is the oldest.
      paidAt.delete(key)
      paidAt.set(key, later(now, all))
      return all
    })
    for (const oldest of paidAt.keys()) {
      if (paidAt.size <= capacity) break
      paidAt.delete(oldest)
    }
    return owed
  }
}
