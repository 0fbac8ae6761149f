/** The second resource of a WebDAV request: COPY and MOVE write to their `Destination` (RFC 4918 §10.3). */
import type { RequestFacts } from '../http/request.ts'
import { parseHost } from './host.ts'
import { canonicalPath } from './path.ts'

/** Does the method have a `Destination`? */
export function hasDestination(method: string): boolean {
  return method === 'COPY' || method === 'MOVE'
}

/**
 * Canonical path of a destination on the host that was asked. undefined: it is another host's, or cannot be read in one
 * way only. Throws ERR_BAD_REQUEST when applications may see another header.
 */
export function destinationPath(value: string, { host, port }: RequestFacts): string | undefined {
  const [, authority, path = value] = /^https?:\/\/([^/]*)(\/.*)?$/i.exec(value) ?? []
  if (authority === undefined) return value.startsWith('//') ? undefined : canonicalPath(value)
  const named = parseHost(authority)
  return named?.host === host && named.port === port ? canonicalPath(path) : undefined
}
