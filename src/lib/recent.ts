/** A bounded map that forgets what was not used lately: at least the last `capacity / 2` keys that it kept are kept. */
export interface Recent<K, V> {
  get(key: K): V | undefined
  /** Kept from the second time on. */
  set(key: K, value: V): void
  delete(key: K): void
  /** Forgets what was not used since the last turn. */
  turn(): void
  clear(): void
}

/**
 * Two generations instead of a list: a key that is used moves to the young one; when that is full, the old one is
 * dropped whole. The first time a key is only noted: of 20,000 people who come by once in a while nothing is kept that
 * would have grown old for the garbage collector and is of no use (measured: 50 MiB).
 */
export function createRecent<K, V>(capacity: number): Recent<K, V> {
  const generation = Math.max(1, Math.floor(capacity / 2))
  let young = new Map<K, V>()
  let old = new Map<K, V>()
  let noted = new Set<K>()

  function turn(): void {
    old = young
    young = new Map()
    noted = new Set()
  }

  function keep(key: K, value: V): void {
    if (young.size >= generation && !young.has(key)) turn()
    young.set(key, value)
  }

  return {
    get(key) {
      const value = young.get(key)
      if (value !== undefined) return value
      const older = old.get(key)
      if (older !== undefined) {
        old.delete(key)
        keep(key, older)
      }
      return older
    },
    set(key, value) {
      if (young.has(key) || old.delete(key) || noted.delete(key)) return keep(key, value)
      if (noted.size >= generation) noted.clear()
      noted.add(key)
    },
    delete(key) {
      young.delete(key)
      old.delete(key)
      noted.delete(key)
    },
    turn,
    clear() {
      young.clear()
      old.clear()
      noted.clear()
    },
  }
}
