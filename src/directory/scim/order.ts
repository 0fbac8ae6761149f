/** Ids in an order that stands while they come and go; a change costs the same wherever it is. */
export interface Order {
  add(id: string): void
  /** The id must still compare as it did when it was added. */
  delete(id: string): void
  /** `start` counts from 0. */
  page(start: number, count: number): readonly string[]
}

/** Ids in a block: as many as are moved when one comes. */
const MOST = 512

/** Blocks in order instead of one list: 100,000 ids are never sorted, or moved, in one turn of the event loop. */
export function createOrder(compare: (left: string, right: string) => number): Order {
  const blocks: string[][] = [[]]

  /** The last block that begins with nothing later. */
  function blockOf(id: string): number {
    return Math.max(0, firstAfter(blocks, (block) => block[0] !== undefined && compare(block[0], id) > 0) - 1)
  }

  return {
    add(id) {
      const at = blockOf(id)
      const block = blocks[at] ?? []
      block.splice(
        firstAfter(block, (other) => compare(other, id) > 0),
        0,
        id,
      )
      if (block.length > MOST) blocks.splice(at + 1, 0, block.splice(MOST / 2))
    },

    delete(id) {
      const at = blockOf(id)
      const block = blocks[at] ?? []
      const place = firstAfter(block, (other) => compare(other, id) >= 0)
      if (block[place] !== id) return
      block.splice(place, 1)
      if (block.length === 0 && blocks.length > 1) blocks.splice(at, 1)
    },

    page(start, count) {
      const found: string[] = []
      let skip = start
      for (const block of blocks) {
        if (found.length >= count) break
        if (skip < block.length) found.push(...block.slice(skip, skip + count - found.length))
        skip = Math.max(0, skip - block.length)
      }
      return found
    },
  }
}

/** Where the first is of which `isAfter` holds; it holds of all behind it. */
function firstAfter<T>(items: readonly T[], isAfter: (item: T) => boolean): number {
  let [from, to] = [0, items.length]
  while (from < to) {
    const middle = (from + to) >> 1
    const item = items[middle]
    if (item !== undefined && isAfter(item)) to = middle
    else from = middle + 1
  }
  return from
}
