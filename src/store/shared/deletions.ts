/** Bounds memory: 10 MB. Handed-over codes, ended sessions, requests to the directory. */
const KEPT = 65_536

export interface Deletion {
  readonly table: string
  readonly key: string
  readonly id: string
  readonly sequence: number
}

/**
 * The deletions that this process heard of. A Redis that lost the newest changes (a failover, an older state on disk) has
 * records again that were deleted: here they stay deleted, and after the gap they are deleted there, too.
 */
export interface Deletions {
  add(deletion: Deletion): void
  /** Was the record with this version deleted later? */
  include(table: string, id: string, version: number): boolean
  /** Newest first. */
  all(): readonly Deletion[]
  /** They are done. */
  clear(): void
}

export function createDeletions(capacity = KEPT): Deletions {
  const kept = new Map<string, Deletion>()
  const nameOf = (table: string, id: string): string => `${table} ${id}`
  return {
    add(deletion) {
      const name = nameOf(deletion.table, deletion.id)
      // Again at the end: the first of a map is the oldest.
      kept.delete(name)
      kept.set(name, deletion)
      for (const oldest of kept.keys()) {
        if (kept.size <= capacity) break
        kept.delete(oldest)
      }
    },
    include: (table, id, version) => (kept.get(nameOf(table, id))?.sequence ?? 0) > version,
    all: () => [...kept.values()].toReversed(),
    clear: () => kept.clear(),
  }
}
