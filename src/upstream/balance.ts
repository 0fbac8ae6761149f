/** Smooth weighted round robin: with weights 5, 1, 1 the heavy one is never chosen five times in a row. */
export function createBalancer<T extends { readonly weight: number }>(choices: readonly [T, ...T[]]): () => T {
  const [first] = choices
  if (choices.length === 1) return () => first
  const total = choices.reduce((sum, choice) => sum + choice.weight, 0)
  const turns = choices.map((choice) => ({ choice, credit: 0 }))
  return () => {
    let best: { readonly choice: T; credit: number } | undefined
    for (const turn of turns) {
      turn.credit += turn.choice.weight
      if (!best || turn.credit > best.credit) best = turn
    }
    if (!best) return first
    best.credit -= total
    return best.choice
  }
}
