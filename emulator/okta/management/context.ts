import type { Call, Handler, Reply } from '../http/call.ts'
import { OktaError } from '../http/okta-error.ts'
import type { Endpoint } from '../http/router.ts'
import type { IndexName } from '../model/lagging.ts'
import type { Org } from '../model/org.ts'
import type { Caller } from './caller.ts'
import type { Paging } from './paging.ts'

/** What the management endpoints work on. */
export interface Management {
  readonly org: Org
  readonly paging: Paging
  /** Origin of the org. */
  readonly url: string
  /** Who makes the running call; the server has authenticated them. */
  callerOf(call: Call): Caller
  /** Ends a person's sessions at the authorization servers; `tokens`: their OAuth tokens too. */
  endSessions(personId: string, tokens: boolean): void
}

/** An endpoint that needs an API token or a service app; GET needs read access, everything else write access. */
export function api(
  method: string,
  path: string,
  bucket: string,
  handle: (call: Call) => Promise<Reply> | Reply,
): Endpoint {
  const handler: Handler = handle
  return { method, path, bucket, kind: 'api', handle: handler }
}

/** Which index answers a list; undefined: no index, the objects themselves. */
export function indexOf(query: URLSearchParams): IndexName | undefined {
  if (query.has('filter')) return 'filter'
  return query.has('search') ? 'search' : undefined
}

/** @throws OktaError E0000003 when the body is not a JSON object. */
export async function jsonBody(call: Call): Promise<Readonly<Record<string, unknown>>> {
  try {
    const value: unknown = JSON.parse((await call.body()).toString('utf8'))
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Falls through: not JSON is the same answer as the wrong kind of JSON.
  }
  throw new OktaError('E0000003')
}
