import type { Clock, Monotonic, Store, Table } from '../types.ts'
import { every } from './clock.ts'
import type { Freshness } from './freshness.ts'
import { readable } from './readable.ts'
import { createRecent } from './recent.ts'

/** What the store said; `value: undefined`: that there is no such record. */
export interface Held<T> {
  readonly value: T | undefined
  readonly readAt: Monotonic
}

/** Records of a table in memory, as true as the store's change feed makes them. */
export interface Followed<T> {
  /** undefined: it has to be read. Costs no promise. */
  peek(key: string): Held<T> | undefined
  /** Reads it, once for all who ask meanwhile. While the store does not answer, what was known until lately counts. */
  load(key: string): Promise<T | undefined>
  close(): void
}

/**
 * A record that cannot be read is none.
 * @param toValue what is held of a record; undefined: nothing, as if there were none.
 * @param capacity records that are held between requests.
 * @param holdsAbsent also holds that there is no such record: for keys that anybody may send again and again.
 */
export function createFollowed<R, T>(deps: {
  readonly store: Pick<Store, 'get' | 'watch'>
  readonly table: Table<R>
  readonly toValue: (key: string, record: R) => T | undefined
  readonly capacity: number
  readonly holdsAbsent: boolean
  readonly freshness: Freshness
  readonly clock: Clock
  /** It was deleted, anywhere. */
  readonly onDelete: (key: string) => void
}): Followed<T> {
  const { store, table, toValue, capacity, holdsAbsent, freshness, clock, onDelete } = deps
  const held = createRecent<string, Held<T>>(capacity)
  const loads = new Map<string, Promise<T | undefined>>()

  // What is older has to be read again anyway, and would only be memory.
  const stopTurning = every(clock, freshness.turn, () => held.turn())
  const unwatch = store.watch(
    (change) => {
      if (change.table !== table.name) return
      held.delete(change.key)
      // What a load under way brings may be older than this change: it is not to be held.
      loads.delete(change.key)
      if (change.kind === 'delete') onDelete(change.key)
    },
    () => {
      held.clear()
      loads.clear()
    },
  )

  async function read(key: string): Promise<T | undefined> {
    const found = await readable(store.get(table, key))
    return found && toValue(key, found.value)
  }

  return {
    peek(key) {
      const known = held.get(key)
      return known && freshness.isFresh(known.readAt) ? known : undefined
    },

    load(key) {
      const loading = loads.get(key)
      if (loading) return loading
      const readAt = clock.monotonic()
      const flight = read(key)
        .then(
          (value) => {
            if (value === undefined && !holdsAbsent) held.delete(key)
            else if (loads.get(key) === flight) held.set(key, { value, readAt })
            return value
          },
          (fault: unknown) => {
            const known = held.get(key)
            if (known && freshness.isGood(known.readAt)) return known.value
            throw fault
          },
        )
        .finally(() => {
          if (loads.get(key) === flight) loads.delete(key)
        })
      loads.set(key, flight)
      return flight
    },

    close() {
      stopTurning()
      unwatch()
      held.clear()
    },
  }
}
