import { AppError, assertNever } from '../errors.ts'
import type { PathMatch } from '../config/model.ts'

/**
 * The path that is sent to the upstream, or redirected to, for a path that matched this route: the matched part is
 * replaced by `rewrite`, the rest is kept byte for byte, and the result never leaves the
 * rewritten prefix. A `path` or `regex` match is replaced as a whole.
 */
export function rewrittenPath(match: PathMatch, rewrite: string | undefined, path: string): string {
  if (rewrite === undefined) return path
  switch (match.kind) {
    case 'all':
      return joinOnBoundary(rewrite, path)
    case 'path':
    case 'regex':
      return rewrite
    case 'prefix': {
      const { prefix, boundary } = match
      if (boundary) return joinOnBoundary(rewrite, path.slice(prefix.endsWith('/') ? prefix.length - 1 : prefix.length))
      if (leavesPrefix(match, rewrite, path))
        throw new AppError('ERR_BAD_REQUEST', 'the rewritten path leaves its prefix')
      // Pomerium's rule: the two strings are put together and no slash is added or removed.
      const joined = rewrite + path.slice(prefix.length)
      return joined.startsWith('/') ? joined : `/${joined}`
    }
    default:
      return assertNever(match)
  }
}

/** `rest` is empty or begins with a slash; exactly one slash stands between the two. */
function joinOnBoundary(rewrite: string, rest: string): string {
  const base = rewrite.endsWith('/') ? rewrite.slice(0, -1) : rewrite
  return rest === '' ? rewrite : base + rest
}

/**
 * With a plain string prefix the cut may fall inside a segment: `/strip` → `/internal/` would turn
 * `/strip../admin` into `/internal/../admin`. Such a path does not match the route.
 */
export function leavesPrefix(match: PathMatch, rewrite: string | undefined, path: string): boolean {
  if (rewrite === undefined || match.kind !== 'prefix' || match.boundary) return false
  const before = rewrite.slice(rewrite.lastIndexOf('/') + 1)
  const [after = ''] = path.slice(match.prefix.length).split('/', 1)
  return /^\.{1,2}(?:;|$)/.test(before + after)
}

/** May some path that begins with the route's prefix leave it? See `leavesPrefix`. */
export function mayLeavePrefix(match: PathMatch, rewrite: string | undefined): boolean {
  if (rewrite === undefined || match.kind !== 'prefix' || match.boundary) return false
  const before = rewrite.slice(rewrite.lastIndexOf('/') + 1)
  return before === '' ? !match.prefix.endsWith('/') : before.startsWith('.')
}
