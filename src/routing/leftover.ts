/**
 * Requests that somebody may think a route protects, and that a later, more open route of the same host takes: those of
 * Pomerium's string prefixes, those below an expression without `.*`, and those without the headers or parameters that the
 * route asks for.
 */
import type { PathMatch, Route } from '../config/route-model.ts'
import { firstPath } from './first-path.ts'
import { createPathIndex, type PathIndex } from './path-index.ts'
import { literalPrefix } from './regex.ts'
import { openness } from './shadow.ts'
import { matchesPath } from './table.ts'

export interface Leftover {
  readonly kind: 'string-prefix' | 'expression' | 'conditions'
  /** Places in the list of routes. */
  readonly protected: number
  readonly open: number
}

export function findLeftovers(routes: readonly Route[]): readonly Leftover[] {
  const hosts = new Map<string, PathIndex>()
  routes.forEach((route, place) => {
    const index = hosts.get(route.from.host) ?? createPathIndex()
    hosts.set(route.from.host, index)
    index.add({ route, place })
  })

  /** The route that would have the path if this one did not ask for more. */
  function next(route: Route, place: number, path: string): number | undefined {
    const found = hosts.get(route.from.host)?.find(path, takesUnasked, route)
    return found && found.place > place && openness(found.route) > openness(route) ? found.place : undefined
  }

  return routes.flatMap((route, place): readonly Leftover[] => {
    if (route.policy.kind === 'public') return []
    const { match, conditions } = route
    const longer = match.kind === 'prefix' && match.boundary && /[^/*]$/.test(match.prefix) && `${match.prefix}x`
    const left = longer ? next(route, place, longer) : undefined
    const inside = match.kind === 'regex' && belowExpression(match)
    const below = inside ? next(route, place, inside) : undefined
    const sample = conditions && conditions.headers.length + conditions.query.length > 0 && firstPath(match)
    const other = sample ? next(route, place, sample) : undefined
    return [
      ...(left === undefined ? [] : [{ kind: 'string-prefix', protected: place, open: left } as const]),
      ...(below === undefined ? [] : [{ kind: 'expression', protected: place, open: below } as const]),
      ...(other === undefined ? [] : [{ kind: 'conditions', protected: place, open: other } as const]),
    ]
  })
}

/** A path below the one that the whole expression spells; undefined: it spells several, or fits what is below. */
export function belowExpression({ source, test }: Extract<PathMatch, { kind: 'regex' }>): string | undefined {
  const { text, rest } = literalPrefix(source)
  const below = `${text.replace(/\/$/, '')}/x`
  return text !== '' && /^\$?$/.test(rest) && !test(below) ? below : undefined
}

function takesUnasked(route: Route, path: string, self: Route): boolean {
  return (
    route !== self &&
    route.conditions === undefined &&
    (route.from.port === undefined || route.from.port === self.from.port) &&
    matchesPath(route, path)
  )
}
