/** Kinds of Okta ids that the emulator makes; each is the prefix of a 20-character id. */
export type IdKind = '00u' | '00g' | '0oa' | '00o' | '00T' | 'aus' | 'oty' | 'who'

export interface Ids {
  /** Ids of one kind ascend, so that a page cursor can be "after this id". */
  next(kind: IdKind): string
}

const STEP = 1_000_003
const START = Number.parseInt('k3f9a1b2c', 36)

/** The same `seed` gives the same ids in the same order. */
export function createIds(seed: string): Ids {
  const tag = orgTag(seed)
  let count = 0
  return {
    next(kind) {
      count += 1
      return kind + (START + count * STEP).toString(36).padStart(9, '0') + tag
    },
  }
}

/** Eight characters that all ids of one org share, like the cell suffix of real ones. FNV-1a, 32 bit. */
function orgTag(seed: string): string {
  let hash = 0x811c9dc5
  for (const character of seed) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0
  return `${hash.toString(36).padStart(7, '0').slice(0, 6)}d7`
}
