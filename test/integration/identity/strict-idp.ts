import { generateKeyPairSync } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type ClientMetadata, type Configuration, type KoaContextWithOIDC, Provider } from 'oidc-provider'

export const SECRET = 'a-client-secret-of-more-than-32-characters'

export interface StrictIdp {
  readonly issuer: string
  /** Where it listens: the issuer, unless that is a public name. */
  readonly url: string
  /** Method and path of every call that came, in order. */
  readonly calls: readonly string[]
  /** Takes an authorization URL as a signed-in browser would and returns where it ends at the client. */
  browse(authorize: URL): Promise<URL>
  close(): Promise<void>
}

/**
 * Plain oidc-provider, a certified server and a strict oracle, that signs everybody in as `alice`. `path`: `''` or
 * `/oauth2/default`. `publicOrigin`: it issues tokens under this name, which nobody but browsers resolves; like Keycloak it
 * writes endpoints as it was asked.
 */
export async function startStrictIdp(
  path: '' | '/oauth2/default',
  clients: ClientMetadata[],
  options: StrictOptions = {},
): Promise<StrictIdp> {
  const calls: string[] = []
  let handle: (req: IncomingMessage, res: ServerResponse) => unknown = () => {}
  const server = createServer((req, res) => {
    calls.push(`${req.method} ${req.url?.split('?')[0]}`)
    if (!req.url?.startsWith(path)) return void res.writeHead(404).end()
    Object.assign(req, { originalUrl: req.url })
    req.url = req.url.slice(path.length) || '/'
    return void handle(req, res)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`
  const issuer = options.publicOrigin === undefined ? url : options.publicOrigin + path
  const provider = createProvider(issuer, clients, options)
  const callback = provider.callback()
  handle = async (req, res) => {
    if (!req.url?.startsWith('/interaction/')) return callback(req, res)
    await provider.interactionFinished(req, res, { login: { accountId: '00u-alice' }, consent: {} })
  }
  return {
    issuer,
    url,
    calls,
    browse: (authorize) => browse(authorize, new URL(issuer).origin, new URL(url).origin),
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

interface StrictOptions {
  readonly fetch?: Configuration['fetch']
  readonly publicOrigin?: string
  /** It requires pushed requests. */
  readonly mustPush?: boolean
}

function createProvider(
  issuer: string,
  clients: ClientMetadata[],
  { fetch, mustPush = false }: StrictOptions,
): Provider {
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })
  const p384 = generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey.export({ format: 'jwk' })
  const ed = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' })
  const provider = new Provider(issuer, {
    clients,
    jwks: {
      keys: [{ ...rsa }, { ...ec, alg: 'ES256' }, { ...p384, alg: 'ES384' }, { ...ed }],
    },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'ES384', 'EdDSA'] },
    pkce: { required: () => true },
    ...(fetch && { fetch }),
    scopes: ['openid', 'profile', 'email', 'offline_access', 'groups'],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name'], groups: ['groups'] },
    // Like a custom Okta server: profile claims are at userinfo, not in the ID token.
    conformIdTokenClaims: true,
    features: {
      devInteractions: { enabled: false },
      rpInitiatedLogout: { enabled: true },
      backchannelLogout: { enabled: true },
      revocation: { enabled: true },
      pushedAuthorizationRequests: { enabled: true, requirePushedAuthorizationRequests: mustPush },
    },
    interactions: {
      url: (_ctx, interaction) => `${new URL(issuer).pathname.replace(/\/$/, '')}/interaction/${interaction.uid}`,
    },
    cookies: { keys: ['test'] },
    ttl: { Interaction: 600, Grant: 600, Session: 600, AccessToken: 600, RefreshToken: 600, IdToken: 600 },
    issueRefreshToken: async (_ctx, client, code) =>
      client.grantTypeAllowed('refresh_token') && code.scopes.has('offline_access'),
    rotateRefreshToken: true,
    findAccount: (_ctx, id) => ({
      accountId: id,
      claims: () => ({
        sub: id,
        email: 'Alice@Corp.Example',
        email_verified: true,
        name: 'Alice Example',
        groups: ['Engineering', 'Everyone'],
      }),
    }),
    async loadExistingGrant(ctx: KoaContextWithOIDC) {
      const { client, session, provider } = ctx.oidc
      const grant = new provider.Grant({ clientId: client?.clientId ?? '', accountId: session?.accountId ?? '' })
      grant.addOIDCScope('openid profile email offline_access groups')
      await grant.save()
      return grant
    },
  })
  return provider
}

async function browse(start: URL, origin: string, address: string): Promise<URL> {
  const cookies = new Map<string, string>()
  let at = start
  for (let step = 0; step < 10; step++) {
    if (at.origin !== origin) return at
    const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(address + at.pathname + at.search, { redirect: 'manual', headers: { cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      cookies.set(name, value)
    }
    const location = response.headers.get('location')
    if (!location) throw new Error(`${response.status} without a redirect at ${at.pathname}: ${await response.text()}`)
    await response.body?.cancel()
    at = new URL(location, at)
    if (at.origin === address) at = new URL(at.pathname + at.search, origin)
  }
  throw new Error('too many redirects')
}
