/** A bounded map that forgets what was not used lately: at least the last `capacity / 2` keys used are kept. */
export interface Recent<K, V> {
  get(key: K): V | undefined
  set(key: K, value: V): void
  delete(key: K): void
  /** Forgets what was not used since the last turn. */
  turn(): void
  clear(): void
}

/** Two generations instead of a list: a key that is used moves to the young one; when that is full, the old one is dropped whole. */
export function createRecent<K, V>(capacity: number): Recent<K, V> {
  const generation = Math.max(1, Math.floor(capacity / 2))
  let young = new Map<K, V>()
  let old = new Map<K, V>()

  function turn(): void {
    old = young
    young = new Map()
  }

  function set(key: K, value: V): void {
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
        set(key, older)
      }
      return older
    },
    set,
    delete(key) {
      young.delete(key)
      old.delete(key)
    },
    turn,
    clear() {
      young.clear()
      old.clear()
    },
  }
}
