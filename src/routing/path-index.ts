import { assertNever } from '../errors.ts'
import type { PathMatch, Route } from '../config/route-model.ts'
import { literalPrefix } from './regex.ts'

/** A route with its place in the file: the first that matches wins. */
export interface Placed {
  readonly route: Route
  readonly place: number
}

type Accepts<Q> = (route: Route, path: string, request: Q) => boolean

export interface PathIndex {
  /** In file order. */
  readonly routes: readonly Placed[]
  add(placed: Placed): void
  /** The first route in file order that `accepts` takes. @param path what `accepts` compares with the routes' paths. */
  find<Q>(path: string, accepts: Accepts<Q>, request: Q): Placed | undefined
}

/** So many routes are compared in turn faster than they are looked up. */
const FEW = 4

/**
 * The routes of one host, found by the text with which all of their paths begin: one look-up for each length that
 * occurs, however many routes there are.
 */
export function createPathIndex(): PathIndex {
  const routes: Placed[] = []
  const whole = new Map<string, Placed[]>()
  const byBeginning = new Map<string, Placed[]>()
  const lengths: number[] = []
  return {
    routes,

    add(placed) {
      routes.push(placed)
      const { kind, text } = beginningOf(placed.route.match)
      append(kind === 'whole' ? whole : byBeginning, text, placed)
      if (kind === 'beginning' && !lengths.includes(text.length)) lengths.push(text.length)
    },

    find(path, accepts, request) {
      if (routes.length <= FEW) return firstOf(routes, undefined, path, accepts, request)
      let best = firstOf(whole.get(path), undefined, path, accepts, request)
      for (const length of lengths) {
        if (length > path.length) continue
        best = firstOf(byBeginning.get(path.slice(0, length)), best, path, accepts, request)
      }
      return best
    },
  }
}

/** The first of the list that is accepted, or `best` when that comes earlier. */
function firstOf<Q>(
  list: readonly Placed[] | undefined,
  best: Placed | undefined,
  path: string,
  accepts: Accepts<Q>,
  request: Q,
): Placed | undefined {
  if (list === undefined) return best
  for (const placed of list) {
    if (best && placed.place > best.place) return best
    if (accepts(placed.route, path, request)) return placed
  }
  return best
}

/** What every path of the route is, or begins with. */
function beginningOf(match: PathMatch): { readonly kind: 'whole' | 'beginning'; readonly text: string } {
  switch (match.kind) {
    case 'all':
      return { kind: 'beginning', text: '' }
    case 'path':
      return { kind: 'whole', text: match.path }
    case 'prefix':
      return { kind: 'beginning', text: match.prefix }
    case 'regex': {
      const { text } = literalPrefix(match.source)
      return { kind: 'beginning', text }
    }
    default:
      return assertNever(match)
  }
}

/** Adds to the list of a key. */
export function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key)
  if (list) list.push(item)
  else lists.set(key, [item])
}
