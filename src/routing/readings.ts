import type { RequestFacts } from '../http/request.ts'
import type { RouteMatch } from './model.ts'

/**
 * What serves a path that servers read in more than one way (routing/path.ts). A route says which of the readings it
 * takes; whatever it says, a path is refused when another reading belongs to another route, or to us: its policy would
 * not have been asked.
 */
export function matchReadings(match: (request: RequestFacts) => RouteMatch, request: RequestFacts): RouteMatch {
  const merged = match(request)
  const { decoded, unmerged } = request.readings ?? {}
  if (decoded !== undefined) {
    if (merged.kind !== 'route' || merged.route.paths?.escapedSlashes !== 'keep') return ESCAPED_SLASH
    const other = match({ ...request, path: decoded })
    if (other.kind !== 'none' && !isSame(other, merged)) return ESCAPED_TWO_ROUTES
  }
  if (unmerged === undefined) return merged
  const asked = { ...request, path: unmerged }
  const other = match(asked)
  if (!keepsSlashes(merged) && !keepsSlashes(other)) return merged
  return merged.kind === 'route' && isSame(merged, other) ? { ...merged, asked } : MERGED_TWO_ROUTES
}

function isSame(one: RouteMatch, other: RouteMatch): boolean {
  return one.kind === 'route' && other.kind === 'route' && one.route === other.route
}

function keepsSlashes(match: RouteMatch): boolean {
  return match.kind === 'route' && match.route.paths?.slashes === 'keep'
}

/** What to write for a route whose paths hold escaped slashes. */
export const KEEP_ESCAPED_SLASHES = 'path_with_escaped_slashes_action: keep'

const ESCAPED_SLASH: RouteMatch = Object.freeze({
  kind: 'bad-path',
  detail: 'escaped slash (%2F or %5C) in the path',
  advice: KEEP_ESCAPED_SLASHES,
})
const ESCAPED_TWO_ROUTES: RouteMatch = Object.freeze({
  kind: 'bad-path',
  detail: 'the path with its escaped slash (%2F or %5C) decoded is no path of the same route',
})
const MERGED_TWO_ROUTES: RouteMatch = Object.freeze({
  kind: 'bad-path',
  detail: 'the path with its repeated slashes merged is no path of the same route (merge_slashes: false)',
})
