/** Numbers that follow from a seed (mulberry32), so that a case can be had again. */
export interface Random {
  /** From 0, below `limit`. */
  below(limit: number): number
  pick<T>(list: readonly [T, ...T[]]): T
  /** One time out of `times`? */
  once(times: number): boolean
}

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000) * limit)
  }
  return {
    below,
    pick: (list) => list[below(list.length)] ?? list[0],
    once: (times) => below(times) === 0,
  }
}
