import type { Resource } from './message.ts'
import { createOrder } from './order.ts'

/** Resources in memory, found by id and by the keys of their indexes; `page` is in the order of creation. */
export interface Rows<T, Index extends string> {
  get(id: string): T | undefined
  find(index: Index, key: string): readonly T[]
  /** `start` counts from 0. */
  page(start: number, count: number): readonly T[]
  /** Returns what was there. */
  set(value: T): T | undefined
  delete(id: string): T | undefined
  ids(): Iterable<string>
  readonly size: number
}

/** `indexes`: the keys under which a resource is found. Several resources may share a key. */
export function createRows<T extends Resource, Index extends string>(
  indexes: Readonly<Record<Index, (value: T) => readonly string[]>>,
): Rows<T, Index> {
  const rows = new Map<string, T>()
  const keysOf = new Map<Index, (value: T) => readonly string[]>(
    // The keys of a record of `Index` are indexes.
    Object.entries(indexes) as [Index, (value: T) => readonly string[]][],
  )
  const idsByKey = new Map<Index, Map<string, Set<string>>>([...keysOf.keys()].map((index) => [index, new Map()]))
  /** What is added while somebody turns pages comes at the end. */
  const ordered = createOrder((left, right) => {
    const [a, b] = [rows.get(left)?.createdAt ?? 0, rows.get(right)?.createdAt ?? 0]
    return a - b || (left < right ? -1 : Number(left > right))
  })

  function reindex(id: string, before: T | undefined, after: T | undefined): void {
    for (const [index, keys] of keysOf) {
      const ids = idsByKey.get(index) ?? new Map<string, Set<string>>()
      const old = before ? new Set(keys(before)) : new Set<string>()
      for (const key of after ? keys(after) : []) {
        if (old.delete(key)) continue
        const known = ids.get(key)
        if (known) known.add(id)
        else ids.set(key, new Set([id]))
      }
      for (const key of old) {
        const known = ids.get(key)
        known?.delete(id)
        if (known?.size === 0) ids.delete(key)
      }
    }
  }

  return {
    get: (id) => rows.get(id),

    find(index, key) {
      const found: T[] = []
      for (const id of idsByKey.get(index)?.get(key) ?? []) {
        const row = rows.get(id)
        if (row) found.push(row)
      }
      return found
    },

    page(start, count) {
      return ordered.page(start, count).flatMap((id) => rows.get(id) ?? [])
    },

    set(value) {
      const before = rows.get(value.id)
      reindex(value.id, before, value)
      if (before && before.createdAt !== value.createdAt) ordered.delete(value.id)
      rows.set(value.id, value)
      if (before?.createdAt !== value.createdAt) ordered.add(value.id)
      return before
    },

    delete(id) {
      const before = rows.get(id)
      reindex(id, before, undefined)
      if (before) ordered.delete(id)
      rows.delete(id)
      return before
    },

    ids: () => rows.keys(),

    get size() {
      return rows.size
    },
  }
}
