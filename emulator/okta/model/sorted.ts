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
  // Sorted lazily: a seed of 100,000 people must not sort on every insertion.
  let sorted: readonly string[] | undefined
  function keys(after?: string, limit = Number.POSITIVE_INFINITY): readonly string[] {
    sorted ??= [...map.keys()].sort(byCode)
    const start = after === undefined ? 0 : firstGreater(sorted, after)
    return sorted.slice(start, start + limit)
  }
  // Every sorted key is in the map: `sorted` is dropped whenever the set of keys changes.
  const slice = (after: string | undefined, limit: number): readonly T[] =>
    keys(after, limit).map((key) => map.get(key) as T)
  return {
    get size() {
      return map.size
    },
    get: (key) => map.get(key),
    has: (key) => map.has(key),
    set(key, value) {
      if (!map.has(key)) sorted = undefined
      map.set(key, value)
    },
    delete(key) {
      const deleted = map.delete(key)
      if (deleted) sorted = undefined
      return deleted
    },
    values: () => map.values(),
    keys,
    slice,
    *from(after) {
      for (const key of keys(after)) yield map.get(key) as T
    },
    ordered: () => slice(undefined, Number.POSITIVE_INFINITY),
  }
}

const byCode = (left: string, right: string): number => (left < right ? -1 : left > right ? 1 : 0)

function firstGreater(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') <= key) low = middle + 1
    else high = middle
  }
  return low
}
