import { type Accepts, firstOf, type Placed } from './placed.ts'
import { combineRegexes } from './regex.ts'

/** Routes with an expression each. */
export interface Expressions {
  /** In file order. */
  add(placed: Placed): void
  /** The first that is accepted, or `best` when that comes earlier. */
  find<Q>(best: Placed | undefined, path: string, accepts: Accepts<Q>, request: Q): Placed | undefined
}

/** So many are tried in turn. */
const FEW = 4
/**
 * So many are tried in one pass over the path. With more in one automaton, expressions that have nothing in common need
 * more states than fit into memory, and each path makes them again.
 */
const TOGETHER = 128
/** Bytes for the states of all automata, and the least for one. */
const MEMORY = 8 << 20
const LEAST_MEMORY = 128 << 10

export function createExpressions(): Expressions {
  const all: Placed[] = []
  let chunks: readonly Chunk[] | undefined
  return {
    add(placed) {
      all.push(placed)
      chunks = undefined
    },

    find(before, path, accepts, request) {
      if (all.length <= FEW) return firstOf(all, before, path, accepts, request)
      let best = before
      for (const { placed, fitting } of (chunks ??= chunksOf(all))) {
        if (best && (placed[0]?.place ?? 0) > best.place) return best
        // What fits is asked like any other: the automaton only leaves out.
        best = firstOf(fitting(path), best, path, accepts, request)
      }
      return best
    },
  }
}

interface Chunk {
  readonly placed: readonly Placed[]
  /** Those whose expression matches the path. */
  readonly fitting: Fitting
}

type Fitting = (path: string) => readonly Placed[]

function chunksOf(all: readonly Placed[]): readonly Chunk[] {
  const count = Math.ceil(all.length / TOGETHER)
  const memory = Math.max(LEAST_MEMORY, MEMORY / count)
  return Array.from({ length: count }, (_, i) => chunkOf(all.slice(i * TOGETHER, (i + 1) * TOGETHER), memory))
}

function chunkOf(placed: readonly Placed[], memory: number): Chunk {
  let fitting: Fitting | undefined
  // The automaton is made with the first path: it takes some milliseconds.
  return { placed, fitting: (path) => (fitting ??= fittingOf(placed, memory))(path) }
}

function fittingOf(placed: readonly Placed[], memory: number): Fitting {
  const matching = combineRegexes(placed.map(sourceOf), memory)
  return matching ? (path) => matching(path).flatMap((i) => placed[i] ?? []) : () => placed
}

function sourceOf({ route: { match } }: Placed): string {
  return match.kind === 'regex' ? match.source : ''
}
