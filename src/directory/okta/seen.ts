/** Ids that came in before, the last `most` of them: Okta delivers at least once. */
export interface Seen {
  has(id: string): boolean
  add(id: string): void
}

export function createSeen(most = 20_000): Seen {
  let old = new Set<string>()
  let young = new Set<string>()
  return {
    has: (id) => young.has(id) || old.has(id),
    add(id) {
      if (young.size >= most / 2) {
        old = young
        young = new Set()
      }
      young.add(id)
    },
  }
}
