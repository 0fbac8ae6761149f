import { AppError, assertNever } from '../errors.ts'
import type { PathRewrite } from '../config/route-model.ts'
import { isCanonicalLike } from './path.ts'

/**
 * The path that is sent to the upstream, or redirected to, for a path that matched the route. What is not replaced is kept
 * byte for byte. The result begins with what the route writes and is canonical, so it never leaves that prefix: anything
 * else is refused.
 */
export function rewrittenPath(rewrite: PathRewrite | undefined, path: string): string {
  if (rewrite === undefined) return path
  switch (rewrite.kind) {
    case 'prefix':
      return rewrite.boundary ? joined(rewrite, path) : canonical(concatenated(rewrite, path), path)
    case 'whole':
      return rewrite.to
    case 'regex':
      return canonical(rewrite.replace(path), path)
    default:
      return assertNever(rewrite)
  }
}

type PrefixRewrite = Extract<PathRewrite, { kind: 'prefix' }>

/** The prefix itself becomes `to` as it is written; exactly one slash stands between `to` and what follows the prefix. */
function joined({ prefix, to }: PrefixRewrite, path: string): string {
  const sent = path.length === prefix.length ? to : withoutSlash(to) + path.slice(withoutSlash(prefix).length)
  // With `merge_slashes: false`: what began the path would be read as a host.
  return sent.startsWith('//') ? refuse() : sent
}

/** Pomerium puts the two strings together. Where that makes two slashes, one is sent: no server shall see an empty segment. */
function concatenated({ prefix, to }: PrefixRewrite, path: string): string {
  const rest = path.slice(prefix.length)
  return (rest.startsWith('/') ? withoutSlash(to) : to) + rest
}

/** A rewrite can join two halves of a dot segment: `/strip` → `/internal/` makes `/internal/../admin` of `/strip../admin`. */
function canonical(path: string, asked: string): string {
  return isCanonicalLike(path, asked) ? path : refuse()
}

function refuse(): never {
  throw new AppError('ERR_BAD_REQUEST', 'the rewritten path would leave its prefix or is not canonical')
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}
