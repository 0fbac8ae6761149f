/** What of a request changes on its way: keys of a route that rewrite its path and its Host. */
import { unsettableResponseHeader } from '../../lib/header-names.ts'
import { parseHost } from '../../routing/host.ts'
import { authorityOf } from '../../routing/host-rewrite.ts'
import { isCanonicalPrefix } from '../../routing/path.ts'
import { compileSubstitution } from '../../routing/regex.ts'
import { HEADER_NAME, HEADER_VALUE } from './headers.ts'
import type { Path, Report } from '../issues.ts'
import type { HeaderRewrite, HostRewrite, PathMatch, PathRewrite, Rewrite, Substitution } from '../route-model.ts'
import type { RouteInput } from '../schema/route.ts'
import type { Target } from './upstreams.ts'

export interface RewriteDefaults {
  readonly preserveHost: boolean | undefined
  readonly compatibility: 'postern' | 'pomerium'
}

export function compileRewrite(
  input: RouteInput,
  match: PathMatch,
  target: Target,
  path: Path,
  defaults: RewriteDefaults,
  report: Report,
): Rewrite | undefined {
  const rewrite = compilePath(input, match, target, path, defaults, report)
  const host = compileHost(input, target, path, defaults, report)
  const responseHeaders = compileResponseHeaders(input, path, report)
  if (rewrite === INVALID || !host) return undefined
  return { ...(rewrite && { path: rewrite }), host, ...(responseHeaders.length > 0 && { responseHeaders }) }
}

const INVALID = 'invalid'

/** `regex_rewrite_pattern`, else `prefix_rewrite`, else the path of `to`. */
function compilePath(
  input: RouteInput,
  match: PathMatch,
  target: Target,
  path: Path,
  defaults: RewriteDefaults,
  report: Report,
): PathRewrite | undefined | typeof INVALID {
  const { prefix_rewrite: prefix } = input
  const regex = compilePair(input, 'regex_rewrite', path, report)
  if (regex === INVALID) return INVALID
  if (regex && prefix !== undefined) {
    report.error([...path, 'prefix_rewrite'], 'regex_rewrite_pattern is written too; expected one of them')
    return INVALID
  }
  if (target.path.length > 1 && (regex ?? prefix) !== undefined) {
    const key = regex ? 'regex_rewrite_pattern' : 'prefix_rewrite'
    report.warning([...path, 'to'], `the path is not used, because ${key} is written`)
  }
  if (regex) return { kind: 'regex', ...regex }
  if (prefix !== undefined) {
    return checkPrefix(prefix, [...path, 'prefix_rewrite'], report) ? pathRewrite(match, prefix, defaults) : INVALID
  }
  if (target.path !== '/') return target.path === '' ? undefined : pathRewrite(match, target.path, defaults)
  // `http://app/`: nothing to replace, or a slash instead of the prefix. With a regex nobody means every path.
  if (match.kind === 'all' || (match.kind === 'regex' && defaults.compatibility !== 'pomerium')) return undefined
  const matched = match.kind === 'prefix' ? match.prefix : match.kind === 'path' ? match.path : match.source
  report.warning(
    [...path, 'to'],
    `the slash at its end is sent instead of ${matched}; without it the path is sent as it was asked`,
  )
  return pathRewrite(match, '/', defaults)
}

/** `prefix_rewrite` of a route or of its redirect: may it stand before what follows the matched prefix? */
export function checkPrefix(to: string, at: Path, report: Report): boolean {
  if (isCanonicalPrefix(to)) return true
  report.error(
    at,
    `expected a path without //, dot segments and escapes of plain characters, found ${JSON.stringify(to)}`,
  )
  return false
}

/** What is not a prefix is replaced as a whole, as in Envoy. */
export function pathRewrite(
  match: PathMatch,
  to: string,
  { compatibility }: Pick<RewriteDefaults, 'compatibility'>,
): PathRewrite | undefined {
  if (match.kind === 'path' || match.kind === 'regex') return { kind: 'whole', to }
  const prefix = match.kind === 'prefix' ? match.prefix : '/'
  return prefix === to ? undefined : { kind: 'prefix', prefix, to, boundary: compatibility !== 'pomerium' }
}

/** Pomerium's precedence: what is written further down and does not count is named. */
function compileHost(
  input: RouteInput,
  { upstreams }: Target,
  path: Path,
  { preserveHost, compatibility }: RewriteDefaults,
  report: Report,
): HostRewrite | undefined {
  const written = (
    ['host_rewrite', 'host_rewrite_header', 'host_path_regex_rewrite_pattern', 'preserve_host_header'] as const
  ).filter((key) => input[key] !== undefined)
  const [used, ...unused] = written
  for (const key of unused) report.warning([...path, key], `not used, because ${used} is written`)
  const regex = compilePair(input, 'host_path_regex_rewrite', path, report)
  if (regex === INVALID) return undefined
  switch (used) {
    case 'host_rewrite': {
      const parsed = parseHost(input.host_rewrite ?? '')
      if (parsed) return { kind: 'fixed', authority: authorityOf(parsed) }
      report.error([...path, used], `expected a host, perhaps with a port, found ${JSON.stringify(input.host_rewrite)}`)
      return undefined
    }
    case 'host_rewrite_header': {
      const name = (input.host_rewrite_header ?? '').toLowerCase()
      if (!HEADER_NAME.test(name)) {
        report.error([...path, used], 'expected a header name')
        return undefined
      }
      if (!Object.keys(input.set_request_headers).some((key) => key.toLowerCase() === name)) {
        report.warning([...path, used], 'clients choose the Host that the upstream gets; policies do not see it')
      }
      return { kind: 'header', name }
    }
    case 'host_path_regex_rewrite_pattern':
      return regex && { kind: 'path-regex', ...regex }
    default: {
      const plain = upstreams.every(({ origin }) => !origin.startsWith('https'))
      const preserve = input.preserve_host_header ?? preserveHost ?? (compatibility !== 'pomerium' && plain)
      return { kind: preserve ? 'client' : 'upstream' }
    }
  }
}

function compileResponseHeaders(input: RouteInput, path: Path, report: Report): readonly HeaderRewrite[] {
  return input.rewrite_response_headers.map(({ header, prefix, value }, i) => {
    const at = [...path, 'rewrite_response_headers', i]
    const lower = header.toLowerCase()
    const unsettable = lower === 'set-cookie' ? undefined : unsettableResponseHeader(lower)
    if (!HEADER_NAME.test(header)) report.error([...at, 'header'], 'expected a header name')
    else if (unsettable !== undefined) report.error([...at, 'header'], unsettable)
    if (!HEADER_VALUE.test(value)) report.error([...at, 'value'], 'expected a value of one line in Latin-1')
    return { header: lower, prefix, value }
  })
}

/** Pattern and substitution: both or neither. */
function compilePair(
  input: RouteInput,
  name: 'regex_rewrite' | 'host_path_regex_rewrite',
  path: Path,
  report: Report,
): Substitution | undefined | typeof INVALID {
  const [patternKey, substitutionKey] = [`${name}_pattern`, `${name}_substitution`] as const
  const [pattern, substitution] = [input[patternKey], input[substitutionKey]]
  if (pattern === undefined && substitution === undefined) return undefined
  if (pattern === undefined || substitution === undefined) {
    const [there, missing] = pattern === undefined ? [substitutionKey, patternKey] : [patternKey, substitutionKey]
    report.error([...path, there], `expected ${missing} beside it`)
    return INVALID
  }
  const compiled = compileSubstitution(pattern, substitution)
  if (!('problem' in compiled)) return compiled
  report.error([...path, patternKey], compiled.problem)
  return INVALID
}
