import type { Call, Handler } from './call.ts'

/** Which rate-limit bucket a call counts against; undefined is exempt (metadata, keys, our own pages). */
export interface Endpoint {
  readonly method: string
  /** `/api/v1/users/:id/groups`; a segment `:name` matches one segment. */
  readonly path: string
  readonly bucket?: string
  /** `api`: an SSWS token or a service app's is required. `open`: part of Okta, no token. `own`: the emulator's own, not logged or limited. */
  readonly kind: 'api' | 'open' | 'own'
  readonly handle: Handler
}

export type Found =
  | { readonly kind: 'endpoint'; readonly endpoint: Endpoint; readonly params: Readonly<Record<string, string>> }
  | { readonly kind: 'wrong-method' }
  | { readonly kind: 'none' }

/** A literal segment wins over a `:name`, so `/users/me` comes before `/users/:id` whatever the order. */
export function createRouter(endpoints: readonly Endpoint[]): (call: Pick<Call, 'method' | 'path'>) => Found {
  const table = endpoints
    .map((endpoint) => ({ endpoint, segments: endpoint.path.split('/') }))
    .sort((left, right) => names(left.segments) - names(right.segments))
  return (call) => {
    const actual = call.path.split('/')
    let pathKnown = false
    for (const { endpoint, segments } of table) {
      const params = matchSegments(segments, actual)
      if (!params) continue
      if (endpoint.method === call.method) return { kind: 'endpoint', endpoint, params }
      pathKnown = true
    }
    return { kind: pathKnown ? 'wrong-method' : 'none' }
  }
}

const names = (segments: readonly string[]): number => segments.filter((segment) => segment.startsWith(':')).length

function matchSegments(
  pattern: readonly string[],
  actual: readonly string[],
): Readonly<Record<string, string>> | undefined {
  if (pattern.length !== actual.length) return undefined
  const params: Record<string, string> = {}
  for (const [index, expected] of pattern.entries()) {
    const segment = actual[index] ?? ''
    if (!expected.startsWith(':')) {
      if (segment !== expected) return undefined
    } else {
      const value = decode(segment)
      if (!value) return undefined
      params[expected.slice(1)] = value
    }
  }
  return params
}

function decode(segment: string): string | undefined {
  try {
    return decodeURIComponent(segment)
  } catch {
    // Not UTF-8: no resource has such a name.
    return undefined
  }
}
