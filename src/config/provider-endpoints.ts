import { isLoopback } from './compile/urls.ts'

/** Where browsers are sent, and where codes and the client secret go. */
const ENDPOINTS = [
  'authorization_endpoint',
  'token_endpoint',
  'jwks_uri',
  'userinfo_endpoint',
  'end_session_endpoint',
  'revocation_endpoint',
] as const

/** What is wrong with an endpoint in the metadata of an issuer, in words; undefined: nothing. Absent ones are somebody else's to miss. */
export function unsafeEndpoint(
  metadata: { readonly [name in (typeof ENDPOINTS)[number]]?: unknown },
  issuer: string,
): string | undefined {
  const unsafe = ENDPOINTS.find((name) => metadata[name] !== undefined && !isSafe(metadata[name], issuer))
  return unsafe && `its ${unsafe} is not an https URL`
}

/** `javascript:` and `data:` would run in the browser, http shows codes to everybody (RFC 9700 §2.6). http as the issuer's own is. */
function isSafe(value: unknown, issuer: string): boolean {
  if (typeof value !== 'string' || !URL.canParse(value)) return false
  const { protocol, hostname, username, password, hash } = new URL(value)
  if (username !== '' || password !== '' || hash !== '') return false
  if (protocol === 'https:') return true
  const own = new URL(issuer)
  return protocol === 'http:' && own.protocol === 'http:' && (isLoopback(hostname) || !isLoopback(own.hostname))
}
