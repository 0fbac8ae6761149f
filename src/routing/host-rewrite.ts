import { AppError, assertNever } from '../errors.ts'
import type { HostRewrite } from '../config/route-model.ts'
import { listOf } from '../http/header-lines.ts'
import type { RequestFacts } from '../http/request.ts'
import { parseHost } from './host.ts'

/**
 * The Host header of the request to the upstream; undefined: host and port of the upstream's address.
 * @param headers lines of what else the upstream gets.
 */
export function rewrittenHost(
  rewrite: HostRewrite,
  request: Pick<RequestFacts, 'host' | 'port' | 'path'>,
  headers: string,
): string | undefined {
  switch (rewrite.kind) {
    case 'client':
      return authorityOf(request)
    case 'upstream':
      return undefined
    case 'fixed':
      return rewrite.authority
    case 'header': {
      const list = listOf(headers)
      const values = list.filter((_, i) => i % 2 === 1 && list[i - 1]?.toLowerCase() === rewrite.name)
      // Envoy leaves Host alone without the header. Two of them would be two answers.
      return values.length === 0 ? authorityOf(request) : readAuthority(values.join(), `the header ${rewrite.name}`)
    }
    case 'path-regex':
      return readAuthority(rewrite.replace(request.path), 'host_path_regex_rewrite_substitution')
    default:
      return assertNever(rewrite)
  }
}

/** Host and port as the client named them. */
export function authorityOf({ host, port }: Pick<RequestFacts, 'host' | 'port'>): string {
  return port === undefined ? host : `${host}:${port}`
}

function readAuthority(text: string, from: string): string {
  const parsed = parseHost(text)
  if (parsed) return authorityOf(parsed)
  throw new AppError('ERR_BAD_REQUEST', `${from} gives no valid Host for this request`)
}
