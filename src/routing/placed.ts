import type { Route } from '../config/route-model.ts'

/** A route with its place in the file: the first that matches wins. */
export interface Placed {
  readonly route: Route
  readonly place: number
}

export type Accepts<Q> = (route: Route, path: string, request: Q) => boolean

/** The first of the list, which is in file order, that is accepted, or `best` when that comes earlier. */
export function firstOf<Q>(
  list: readonly Placed[],
  best: Placed | undefined,
  path: string,
  accepts: Accepts<Q>,
  request: Q,
): Placed | undefined {
  for (const placed of list) {
    if (best && placed.place > best.place) return best
    if (accepts(placed.route, path, request)) return placed
  }
  return best
}
