import { idsAfter, insertId, removeId, type SortedIds } from './sorted-ids.ts'

/** A map that can be walked in key order from any key on, which is what page cursors need. */
export interface Sorted<T> {
  readonly size: number
  get(key: string): T | undefined
  has(key: string): boolean
  set(key: string, value: T): void
  delete(key: string): boolean
  values(): IterableIterator<T>
  /** At most `limit` keys greater than `after`, ascending. */
  keys(after?: string, limit?: number): readonly string[]
  /** The values of those keys. */
  slice(after: string | undefined, limit: number): readonly T[]
  /** The same without end, one by one: whoever filters stops when a page is full. */
  from(after: string | undefined): IterableIterator<T>
  /** All values in key order. */
  ordered(): readonly T[]
}

export function createSorted<T>(): Sorted<T> {
  const map = new Map<string, T>()
  const sorted: SortedIds = []
  const keys = (after?: string, limit?: number): readonly string[] => idsAfter(sorted, after, limit)
  // Every sorted key is in the map: both change together.
  const slice = (after: string | undefined, limit: number): readonly T[] =>
    keys(after, limit).map((key) => map.get(key) as T)
  return {
    get size() {
      return map.size
    },
    get: (key) => map.get(key),
    has: (key) => map.has(key),
    set(key, value) {
      if (!map.has(key)) insertId(sorted, key)
      map.set(key, value)
    },
    delete(key) {
      removeId(sorted, key)
      return map.delete(key)
    },
    values: () => map.values(),
    keys,
    slice,
    *from(after) {
      for (const key of keys(after)) {
        const value = map.get(key)
        if (value !== undefined) yield value
      }
    },
    ordered: () => slice(undefined, Number.POSITIVE_INFINITY),
  }
}
