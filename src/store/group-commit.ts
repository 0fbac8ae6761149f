/** What a turn of the event loop wants written is one commit: a commit waits for the disk, and with it everybody. */

export interface GroupCommit {
  /** Runs `work` in the commit of this turn. Resolves when that is on disk and announced; rejects what `work` throws, which is undone. */
  readonly write: <T>(work: () => T) => Promise<T>
  /** Now, in place of at the end of the turn. */
  readonly flush: () => void
}

interface Write {
  readonly work: () => unknown
  readonly done: (result: unknown) => void
  readonly failed: (error: unknown) => void
}

/**
 * @param commit runs all works in one transaction, in their order; when one throws, nothing of any is written.
 * @param announced when all that is committed has been announced; undefined: it has.
 */
export function createGroupCommit(
  commit: (works: readonly (() => unknown)[]) => readonly unknown[],
  announced: () => Promise<void> | undefined,
): GroupCommit {
  let waiting: Write[] = []

  function flush(): void {
    const writes = waiting
    waiting = []
    if (writes.length > 0) commitAll(writes)
  }

  function commitAll(writes: readonly Write[]): void {
    let results: readonly unknown[]
    try {
      results = commit(writes.map(({ work }) => work))
    } catch (error) {
      // Of several each is tried on its own, so that none fails for another.
      if (writes.length > 1) for (const write of writes) commitAll([write])
      else writes[0]?.failed(error)
      return
    }
    const tell = (): void => {
      for (const [i, { done }] of writes.entries()) done(results[i])
    }
    const later = announced()
    if (later) void later.then(tell)
    else tell()
  }

  return {
    write: <T>(work: () => T) =>
      new Promise<T>((resolve, reject) => {
        if (waiting.length === 0) setImmediate(flush)
        waiting.push({ work, done: (result) => resolve(result as T), failed: reject })
      }),
    flush,
  }
}
