/** The candidate a person probably meant: one to three slips of the keyboard away, by the length of the word. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const lower = word.toLowerCase()
  let best: string | undefined
  let bestDistance = (word.length < 4 ? 1 : word.length < 9 ? 2 : 3) + 1
  for (const candidate of candidates) {
    // Each character more or less is a slip.
    if (Math.abs(candidate.length - word.length) >= bestDistance) continue
    const distance = editDistance(lower, candidate.toLowerCase(), bestDistance)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** Insertions, deletions and substitutions that turn one word into the other (Levenshtein); `most` for so many or more. */
function editDistance(from: string, to: string, most: number): number {
  let row = Array.from({ length: to.length + 1 }, (_, i) => i)
  for (let i = 1; i <= from.length; i++) {
    const next = [i]
    let least = i
    for (let j = 1; j <= to.length; j++) {
      const substituted = (row[j - 1] ?? 0) + (from[i - 1] === to[j - 1] ? 0 : 1)
      const distance = Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
      next.push(distance)
      if (distance < least) least = distance
    }
    // From one row to the next it never becomes less.
    if (least >= most) return most
    row = next
  }
  return row[to.length] ?? 0
}
