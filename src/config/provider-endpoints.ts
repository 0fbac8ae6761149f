import { isLoopback } from './compile/urls.ts'

/** Where browsers are sent. */
const FRONT = ['authorization_endpoint', 'end_session_endpoint'] as const
/** Where Postern calls: codes, tokens and the client secret go there. */
const BACK = [
  'token_endpoint',
  'jwks_uri',
  'userinfo_endpoint',
  'pushed_authorization_request_endpoint',
  'revocation_endpoint',
  'introspection_endpoint',
  'device_authorization_endpoint',
] as const

type Metadata = { readonly [name in (typeof FRONT | typeof BACK)[number]]?: unknown }

/** The addresses of a provider. */
export interface ProviderAddress {
  readonly issuer: string
  /** Where Postern reaches it, when browsers reach it at `issuer` (`idp_internal_url`). */
  readonly internalUrl?: string
}

/** Where an issuer publishes its metadata (OpenID Connect Discovery §4), for Postern. */
export function discoveryUrl({ issuer, internalUrl }: ProviderAddress): string {
  return `${internalUrl ?? issuer}/.well-known/openid-configuration`
}

/**
 * What is wrong with an endpoint in the metadata of an issuer, in words; undefined: nothing. Absent ones are somebody else's
 * to miss. For metadata in which `placed` has put the endpoints where they belong.
 */
export function unsafeEndpoint(metadata: Metadata, { issuer, internalUrl }: ProviderAddress): string | undefined {
  const isUnsafe = (name: keyof Metadata, address: string): boolean =>
    metadata[name] !== undefined && !isSafe(metadata[name], address)
  const unsafe =
    FRONT.find((name) => isUnsafe(name, issuer)) ??
    BACK.find((name) => isUnsafe(name, issuer) && !isAt(metadata[name], internalUrl))
  return unsafe && `its ${unsafe} is not an https URL`
}

/**
 * Metadata in which Postern's own calls go to the inner address, and browsers to the public one, whichever of the two the
 * provider has named: some write the address that they were asked at.
 */
export function placed<T extends object>(metadata: T, { issuer, internalUrl }: ProviderAddress): T {
  if (internalUrl === undefined) return metadata
  const found = metadata as Metadata
  const moved = [
    ...FRONT.map((name) => [name, move(found[name], internalUrl, issuer)] as const),
    ...BACK.map((name) => [name, move(found[name], issuer, internalUrl)] as const),
  ]
  return { ...metadata, ...Object.fromEntries(moved.filter(([, value]) => value !== undefined)) }
}

function move(value: unknown, from: string, to: string): unknown {
  if (typeof value !== 'string' || !URL.canParse(value)) return value
  if (value.startsWith(`${from}/`)) return to + value.slice(from.length)
  const [url, old] = [new URL(value), new URL(from)]
  return url.origin === old.origin ? new URL(to).origin + url.pathname + url.search : value
}

/** On a private network, by configuration. */
function isAt(value: unknown, address: string | undefined): boolean {
  if (address === undefined || typeof value !== 'string' || !URL.canParse(value)) return false
  const { origin, username, password, hash } = new URL(value)
  return origin === new URL(address).origin && username === '' && password === '' && hash === ''
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
