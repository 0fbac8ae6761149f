/** Which request headers Postern alone writes: one answer for the check of a configuration, for rules and for the requests themselves. */

/** Two names with the same normal form are the same to CGI, WSGI, PHP and their like (CVE-2025-64484, CVE-2026-88011). */
export function normalName(name: string): string {
  return name.replace(/[^A-Za-z0-9]/g, '-').toLowerCase()
}

/** RFC 9110 §7.6.1 and what older software understands; `trailer` and `te` because trailers are dropped. */
export const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
])

/** Which routes of Postern a request has passed; see upstream/loop.ts. */
export const HOP_HEADER = 'postern-hop'

const IDENTITY_PREFIXES = ['x-postern-', 'x-pomerium-']
/** Present on every request to an upstream, or as its framing needs them: a route cannot remove them. */
const WRITTEN: ReadonlySet<string> = new Set([
  'connection',
  'content-length',
  'host',
  'transfer-encoding',
  'x-request-id',
  HOP_HEADER,
])

/**
 * Why no route may set this header; undefined: a route may.
 * @param normal see `normalName`.
 * @param identity normal names of the assertion header and of the claim headers.
 */
export function reservedHeader(normal: string, identity: ReadonlySet<string>): string | undefined {
  if (normal === 'host') return 'expected another header; for Host see preserve_host_header and host_rewrite'
  if (HOP_BY_HOP.has(normal) || normal === 'content-length') return 'this header belongs to the connection'
  if (normal === 'expect') return 'Postern answers this header itself'
  if (normal === 'proxy') return 'programs take this header for the setting HTTP_PROXY (CVE-2016-5385)'
  if (normal === 'x-request-id' || normal === HOP_HEADER) return 'Postern writes this header itself'
  if (identity.has(normal) || IDENTITY_PREFIXES.some((prefix) => normal.startsWith(prefix))) {
    return 'this header tells the application who is signed in; see pass_identity_headers and jwt_claims_headers'
  }
  return undefined
}

/** Why removing this header would do nothing; undefined: a route may remove it. */
export function unremovableHeader(normal: string, identity: ReadonlySet<string>): string | undefined {
  return WRITTEN.has(normal) || identity.has(normal) ? reservedHeader(normal, identity) : undefined
}

/** Forwarded headers are written after a route's own; two copies of one would be two answers. */
const FORWARDED: ReadonlySet<string> = new Set([
  'x-forwarded-for',
  'x-forwarded-host',
  'x-forwarded-port',
  'x-forwarded-proto',
])

/** Why no route may pass on what a client says in this header; undefined: a route may. */
export function unbelievableHeader(normal: string, identity: ReadonlySet<string>): string | undefined {
  return FORWARDED.has(normal) ? 'Postern writes this header itself' : reservedHeader(normal, identity)
}

/** Why no claim may be sent under this name; undefined: one may. */
export function unusableForClaims(normal: string, assertionHeader: string): string | undefined {
  if (normal === normalName(assertionHeader)) return 'this header carries the signed assertion'
  if (normal === 'cookie' || normal === 'authorization') return "this header carries the client's own credentials"
  if (FORWARDED.has(normal)) return 'this header says where the request came from'
  return IDENTITY_PREFIXES.some((prefix) => normal.startsWith(prefix)) ? undefined : reservedHeader(normal, new Set())
}

/** Why no answer may be given this header; undefined: it may. `lower`: lower case. */
export function unsettableResponseHeader(lower: string): string | undefined {
  if (HOP_BY_HOP.has(lower) || lower === 'content-length') return 'this header belongs to the connection'
  if (lower === 'x-request-id') return 'Postern writes this header itself'
  return lower === 'set-cookie'
    ? 'cookies are set by applications; one for all of them could replace a session'
    : undefined
}

/** Normal names of the headers that say who is signed in. */
export function identityHeaders(
  { assertionHeader }: { readonly assertionHeader: string },
  claimHeaders: Iterable<string>,
): ReadonlySet<string> {
  return new Set([assertionHeader, ...claimHeaders].map(normalName))
}

/** Members of a `Connection` list; undefined when they are the ordinary ones, which are gone anyway. */
export function nominatedBy(value: string, known: Set<string> | undefined): Set<string> | undefined {
  // The common case.
  if (value === 'keep-alive' || value === 'close') return known
  let nominated = known
  for (const member of value.toLowerCase().split(',')) {
    const name = member.trim()
    if (name !== '' && name !== 'close' && !HOP_BY_HOP.has(name)) nominated = (nominated ?? new Set()).add(name)
  }
  return nominated
}
