import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { DEMO } from '../../emulator/okta/demo-seed.ts'
import { find, start, UNDER_TEST } from '../programs.ts'
import { originOf, type Peer, type Place } from './peer.ts'

const CALLBACK = '/oauth2/callback'

/** Envoy: oauth2 keeps the session, jwt_authn proves the ID token of each request, rbac asks for the group; no log. */
export const envoy: Peer = {
  name: 'Envoy + oauth2 + jwt_authn + rbac',
  needs: { envoy: 'bash scripts/bench-peers.sh' },
  versionOf: [['envoy', '--version']],
  callback: CALLBACK,
  async start(place) {
    const file = `${place.directory}/envoy.json`
    writeFileSync(file, JSON.stringify(await configuration(place)))
    const flags = ['--concurrency', '1', '--disable-hot-restart', '--log-level', 'error']
    return start(UNDER_TEST, [find('envoy') ?? '', '-c', file, ...flags])
  },
}

async function configuration(place: Place): Promise<object> {
  const keys = await (await fetch(`${place.okta}/oauth2/v1/keys`, { signal: AbortSignal.timeout(10_000) })).text()
  const endpoint = (path: string): string => `${place.okta}/oauth2/v1/${path}`
  const filter = (name: string, type: string, config: object): object => ({
    name: `envoy.filters.${type.startsWith('network') ? '' : 'http.'}${name}`,
    typed_config: { '@type': `type.googleapis.com/envoy.extensions.filters.${type}`, ...config },
  })
  const oauth2 = filter('oauth2', 'http.oauth2.v3.OAuth2', {
    config: {
      token_endpoint: { cluster: 'okta', uri: endpoint('token'), timeout: '10s' },
      authorization_endpoint: endpoint('authorize'),
      redirect_uri: `${originOf(place)}${CALLBACK}`,
      redirect_path_matcher: { path: { exact: CALLBACK } },
      signout_path: { path: { exact: '/signout' } },
      forward_bearer_token: true,
      auth_scopes: ['openid', 'profile', 'email', 'groups'],
      credentials: { client_id: DEMO.clientId, token_secret: { name: 'client' }, hmac_secret: { name: 'hmac' } },
    },
  })
  const jwt = filter('jwt_authn', 'http.jwt_authn.v3.JwtAuthentication', {
    providers: {
      okta: {
        issuer: place.okta,
        audiences: [DEMO.clientId],
        from_cookies: ['IdToken'],
        local_jwks: { inline_string: keys },
        payload_in_metadata: 'claims',
        claim_to_headers: [{ header_name: 'x-email', claim_name: 'email' }],
      },
    },
    rules: [{ match: { prefix: '/' }, requires: { provider_name: 'okta' } }],
  })
  const rbac = filter('rbac', 'http.rbac.v3.RBAC', {
    rules: {
      action: 'ALLOW',
      policies: {
        engineering: {
          permissions: [{ any: true }],
          principals: [
            {
              metadata: {
                filter: 'envoy.filters.http.jwt_authn',
                path: [{ key: 'claims' }, { key: 'groups' }],
                value: { list_match: { one_of: { string_match: { exact: 'Engineering' } } } },
              },
            },
          ],
        },
      },
    },
  })
  const manager = filter(
    'network.http_connection_manager',
    'network.http_connection_manager.v3.HttpConnectionManager',
    {
      stat_prefix: 'in',
      route_config: {
        virtual_hosts: [
          { name: 'all', domains: ['*'], routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }] },
        ],
      },
      http_filters: [oauth2, jwt, rbac, filter('router', 'http.router.v3.Router', {})],
    },
  )
  const secret = (name: string, inline_string: string): object => ({
    name,
    generic_secret: { secret: { inline_string } },
  })
  const at = (port: number): object => ({ socket_address: { address: '127.0.0.1', port_value: port } })
  const cluster = (name: string, port: number): object => ({
    name,
    type: 'STATIC',
    circuit_breakers: { thresholds: [{ max_connections: 16384, max_pending_requests: 16384, max_requests: 16384 }] },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: [{ endpoint: { address: at(port) } }] }],
    },
  })
  return {
    static_resources: {
      listeners: [{ address: at(place.port), filter_chains: [{ filters: [manager] }] }],
      clusters: [cluster('app', place.upstream), cluster('okta', Number(new URL(place.okta).port))],
      secrets: [secret('client', DEMO.clientSecret), secret('hmac', randomBytes(32).toString('hex'))],
    },
  }
}
