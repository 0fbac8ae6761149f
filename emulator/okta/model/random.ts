/** A number in [0, 1), the same sequence for the same seed (mulberry32). */
export type Random = () => number

export function createRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** A copy in another order (Fisher-Yates). */
export function shuffle<T>(items: readonly T[], random: Random): readonly T[] {
  const shuffled = [...items]
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1))
    const [left, right] = [shuffled[last], shuffled[other]]
    shuffled[last] = right as T
    shuffled[other] = left as T
  }
  return shuffled
}
