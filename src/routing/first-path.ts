import type { PathMatch } from '../config/route-model.ts'
import { assertNever } from '../errors.ts'
import { literalPrefix } from './regex.ts'

/** A path of the route, the one at which it begins; undefined: only whoever knows the application can say. */
export function firstPath(match: PathMatch): string | undefined {
  switch (match.kind) {
    case 'all':
      return '/'
    case 'path':
      return match.path
    case 'prefix':
      return match.prefix
    case 'regex':
      return ['/', literalPrefix(match.source).text].find((path) => path.startsWith('/') && match.test(path))
    default:
      return assertNever(match)
  }
}
