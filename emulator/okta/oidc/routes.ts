import type { JsonObject, Logger } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'
import { type Call, type Handler, json, type Reply } from '../http/call.ts'
import { notFound } from '../http/okta-error.ts'
import type { Endpoint } from '../http/router.ts'
import type { Org } from '../model/org.ts'
import { errorPage } from '../pages/sign-in-page.tsx'
import type { BrowserIdentities } from '../browser-identities.ts'
import { signIn } from '../sign-in.ts'
import { createDevices } from './device.ts'
import { createEngine, type Engine } from './engine.ts'
import { type EndpointDeps, keys, oauthEndpoint, resume } from './endpoints.ts'
import type { Keys } from './keys.ts'
import { builtInScopes, metadata, serverAddress } from './metadata.ts'
import type { ServiceTokens } from './service-token.ts'
import type { OidcStorage } from './storage.ts'
import type { Tokens } from './tokens.ts'

export interface OidcDeps {
  readonly url: string
  readonly clock: Clock
  readonly log: Logger
  readonly org: Org
  readonly storage: OidcStorage
  readonly tokens: Tokens
  readonly serviceTokens: ServiceTokens
  readonly keysOf: (serverId: string) => Keys
  readonly identities?: BrowserIdentities
}

const POSTED = ['token', 'introspect', 'revoke', 'par'] as const
const BROWSED = ['authorize', 'logout', 'userinfo'] as const

/** Every OAuth path (okta-api.md#authorization-servers), for the org server and for `/oauth2/{id}`; an unknown `{id}` is 404 E0000007. */
export function oidcEndpoints(deps: OidcDeps): readonly Endpoint[] {
  const servers = new Map<string, EndpointDeps>()

  function server(call: Call): EndpointDeps {
    const id = call.params['server'] ?? 'org'
    const known = servers.get(id)
    if (known) return known
    if (id !== 'org' && !deps.org.authorizationServers.has(id)) throw notFound(id, 'AuthorizationServer')
    let engine: Promise<Engine> | undefined
    const address = serverAddress(id, deps.url)
    const created: EndpointDeps = {
      ...deps,
      address,
      errorPage,
      keys: deps.keysOf(id),
      engine: () => (engine ??= createEngine({ ...deps, address, errorPage, keys: deps.keysOf(id) })),
      devices: createDevices({ ...deps, address, keys: deps.keysOf(id) }),
    }
    servers.set(id, created)
    return created
  }

  const open = (method: string, path: string, handle: Handler, bucket?: string): Endpoint => ({
    method,
    path,
    kind: 'open',
    handle,
    ...(bucket !== undefined && { bucket }),
  })
  const discovery = (call: Call): Reply => {
    const { address } = server(call)
    const scopes = [...builtInScopes(address.id), ...(deps.org.authorizationServers.get(address.id)?.scopes ?? [])]
    const cached = { 'cache-control': 'max-age=86400, must-revalidate', 'access-control-allow-origin': '*' }
    return json(200, metadata(address, scopes), cached)
  }
  const signInPage = (call: Call): Promise<Reply> => signIn(call, { ...deps, engine: server(call).engine })

  const below = (base: string): readonly Endpoint[] => [
    open('GET', `${base}/keys`, (call) => keys(server(call))),
    open('POST', `${base}/device/authorize`, (call) => server(call).devices.authorize(call), '/oauth2/v1'),
    open('GET', `${base}/authorize/:uid`, (call) => resume(call, server(call))),
    ...[...POSTED, ...BROWSED].map((name) =>
      open('POST', `${base}/${name}`, (call) => oauthEndpoint(name, call, server(call)), bucketOf(name)),
    ),
    ...BROWSED.map((name) =>
      open('GET', `${base}/${name}`, (call) => oauthEndpoint(name, call, server(call)), bucketOf(name)),
    ),
  ]

  return [
    open('GET', '/.well-known/openid-configuration', discovery),
    open('GET', '/.well-known/ssf-configuration', () => json(200, transmitterMetadata(deps.url))),
    open('GET', '/.well-known/oauth-authorization-server', discovery),
    open('GET', '/.well-known/oauth-authorization-server/oauth2/:server', discovery),
    open('GET', '/oauth2/:server/.well-known/openid-configuration', discovery),
    open('GET', '/oauth2/:server/.well-known/oauth-authorization-server', discovery),
    ...below('/oauth2/v1'),
    ...below('/oauth2/:server/v1'),
    { method: 'GET', path: '/signin/:server/:uid', kind: 'open', handle: signInPage },
    open('GET', '/activate', (call) => server(call).devices.activate(call)),
    open('POST', '/activate', (call) => server(call).devices.activate(call)),
    { method: 'POST', path: '/signin/:server/:uid', kind: 'open', handle: signInPage },
  ]
}

/** Custom servers have buckets of their own at Okta; one plan covers both here. */
function bucketOf(name: string): string {
  return name === 'authorize' || name === 'token' ? `/oauth2/v1/${name}` : '/oauth2/v1'
}

/** okta-api.md#shared-signals. Streams are made by the control API here. */
function transmitterMetadata(url: string): JsonObject {
  return {
    issuer: url,
    jwks_uri: `${url}/oauth2/v1/keys`,
    configuration_endpoint: `${url}/api/v1/ssf/stream`,
    status_endpoint: `${url}/api/v1/ssf/stream/status`,
    verification_endpoint: `${url}/api/v1/ssf/stream/verification`,
    delivery_methods_supported: ['urn:ietf:rfc:8935', 'https://schemas.openid.net/secevent/risc/delivery-method/push'],
    authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6749' }],
    default_subjects: 'ALL',
    spec_version: '1_0-ID3',
  }
}
