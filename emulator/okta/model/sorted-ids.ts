/** Ids in ascending order, each once. A plain array: two million memberships must fit into a benchmark's memory. */
export type SortedIds = string[]

/** false: it was there. Appending is what usually happens, because ids ascend. */
export function insertId(ids: SortedIds, id: string): boolean {
  const last = ids.at(-1)
  if (last === undefined || last < id) {
    ids.push(id)
    return true
  }
  const at = firstGreater(ids, id)
  if (ids[at - 1] === id) return false
  ids.splice(at, 0, id)
  return true
}

/** false: it was not there. */
export function removeId(ids: SortedIds, id: string): boolean {
  const at = firstGreater(ids, id) - 1
  if (ids[at] !== id) return false
  ids.splice(at, 1)
  return true
}

/** At most `limit` ids greater than `after`. */
export function idsAfter(
  ids: readonly string[],
  after: string | undefined,
  limit = Number.POSITIVE_INFINITY,
): readonly string[] {
  const start = after === undefined ? 0 : firstGreater(ids, after)
  return ids.slice(start, start + limit)
}

function firstGreater(ids: readonly string[], id: string): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ids[middle] ?? '') <= id) low = middle + 1
    else high = middle
  }
  return low
}
