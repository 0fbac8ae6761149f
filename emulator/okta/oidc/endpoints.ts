import { type Call, empty, form, html, json, redirect, type Reply } from '../http/call.ts'
import type { Org } from '../model/org.ts'
import { authorize, type AuthorizeDeps, pushedRequest } from './authorization.ts'
import { TooManyGroups, userinfoClaims } from './claims.ts'
import { credentialsOf } from './client.ts'
import { DEVICE_GRANT, type Devices } from './device.ts'
import type { Engine } from './engine.ts'
import type { Keys } from './keys.ts'
import { SESSION_COOKIE } from './provider-configuration.ts'
import { inward } from './scopes.ts'
import type { ServiceTokens } from './service-token.ts'
import type { OidcStorage } from './storage.ts'
import { textOf } from './text-of.ts'
import { FAULTS, type OAuthFault } from './texts.ts'
import { TOKEN_SECONDS, type Tokens } from './tokens.ts'

export interface EndpointDeps extends AuthorizeDeps {
  readonly org: Org
  readonly keys: Keys
  readonly storage: OidcStorage
  readonly tokens: Tokens
  readonly serviceTokens: ServiceTokens
  readonly engine: () => Promise<Engine>
  readonly devices: Devices
}

/** The endpoints below `/oauth2/v1/` or `/oauth2/{id}/v1/`, by last segment. */
export async function oauthEndpoint(name: string, call: Call, deps: EndpointDeps): Promise<Reply | 'handled'> {
  switch (name) {
    case 'authorize':
      return authorize(call, deps)
    case 'par':
      return pushedRequest(call, deps)
    case 'token':
      return token(call, deps)
    case 'userinfo':
      return userinfo(call, deps)
    case 'logout':
      return logout(call, deps)
    case 'introspect':
    case 'revoke':
      return aboutToken(call, deps)
    default:
      return run(call, deps, await form(call))
  }
}

/** The browser comes back from the sign-in page. */
export async function resume(call: Call, deps: EndpointDeps): Promise<'handled'> {
  await (await deps.engine()).run(call.req, call.res, { url: `${call.path}${queryOf(call)}` })
  return 'handled'
}

/** `Cache-Control` allows weeks of caching between rotations; a client reads again for an unknown `kid` (okta-api.md#keys). */
export async function keys(deps: Pick<EndpointDeps, 'keys'>): Promise<Reply> {
  const published = await deps.keys.published()
  return json(
    200,
    { keys: published.map((key) => key.jwk) },
    { 'cache-control': 'max-age=3832304, must-revalidate', 'access-control-allow-origin': '*' },
  )
}

async function token(call: Call, deps: EndpointDeps): Promise<Reply | 'handled'> {
  const body = await form(call)
  if (call.query.has('client_secret') || call.query.has('client_assertion')) return fail(FAULTS.queryCredentials)
  if (deps.address.id === 'org' && body.get('grant_type') === 'client_credentials') {
    return deps.serviceTokens.grant(call, body)
  }
  if (body.get('grant_type') === DEVICE_GRANT) return deps.devices.token(body, call)
  if (body.get('grant_type') === 'client_credentials') return clientCredentials(call, deps, body)
  const fromBrowser = call.req.headers.origin !== undefined
  if (fromBrowser && body.get('grant_type') !== 'authorization_code') return fail(FAULTS.browserGrant)
  return run(call, deps, body)
}

/** For programs, at a custom server: a service app with a secret and the server's own scopes. */
async function clientCredentials(call: Call, deps: EndpointDeps, body: URLSearchParams): Promise<Reply> {
  const { id, secret } = credentialsOf(call, body)
  const app = deps.org.apps.get(id)
  if (!app) return fail(FAULTS.unknownClient)
  if (app.kind !== 'service' || app.secret === undefined || app.secret !== secret) return fail(FAULTS.clientSecret)
  const server = deps.org.authorizationServers.get(deps.address.id)
  const scopes = (body.get('scope') ?? '').split(' ').filter(Boolean)
  if (!server || scopes.length === 0 || scopes.some((scope) => !server.scopes.includes(scope)))
    return fail(FAULTS.scope)
  const client = { id: app.id, audience: server.audience, scopes }
  const accessToken = await deps.tokens.issueToClient(deps.address, deps.keys, client)
  return json(200, {
    token_type: 'Bearer',
    expires_in: TOKEN_SECONDS,
    access_token: accessToken,
    scope: scopes.join(' '),
  })
}

/** Introspection and revocation need oidc-provider's value of the token; refresh tokens are the same in both. */
async function aboutToken(call: Call, deps: EndpointDeps): Promise<'handled'> {
  const body = await form(call)
  const record = deps.tokens.access(body.get('token') ?? '')
  if (record?.serverId === deps.address.id) body.set('token', record.inner)
  return run(call, deps, body)
}

async function run(call: Call, deps: EndpointDeps, body: URLSearchParams): Promise<'handled'> {
  const scope = body.get('scope')
  if (scope !== null) body.set('scope', inward(scope))
  await (await deps.engine()).run(call.req, call.res, { url: call.path, body: body.toString() })
  return 'handled'
}

/** Accepts any access token of this server that has not expired (okta-api.md#userinfo-and-sign-out). */
async function userinfo(call: Call, deps: EndpointDeps): Promise<Reply> {
  const [scheme, value = ''] = (call.req.headers.authorization ?? '').split(' ')
  const record = scheme === 'Bearer' ? deps.tokens.access(value) : undefined
  const { org, storage, address } = deps
  const person = record && org.people.get(record.personId)
  const app = record && org.apps.get(record.appId)
  const alive = record?.serverId === address.id && (await storage.adapter(address.id)('AccessToken').find(record.inner))
  if (!alive || !app || person?.status !== 'ACTIVE') {
    return challenge(401, 'invalid_token', 'The access token is invalid')
  }
  const scopes = new Set(record.scopes)
  if (!scopes.has('openid') || scopes.size === 1) {
    return challenge(
      403,
      'insufficient_scope',
      'The access token must provide access to at least one of these scopes - profile, email, address or phone',
    )
  }
  const server = org.authorizationServers.get(address.id)
  try {
    return json(200, userinfoClaims({ org, person, app, scopes, ...(server && { server }) }))
  } catch (error) {
    if (error instanceof TooManyGroups) return fail(FAULTS.tooManyGroups)
    throw error
  }
}

/** RP-initiated logout: through the browser, with an ID token of the session's person (okta-api.md#userinfo-and-sign-out). */
async function logout(call: Call, deps: EndpointDeps): Promise<Reply> {
  const params = call.method === 'POST' ? await form(call) : call.query
  const page = (fault: OAuthFault): Reply => html(fault.status, deps.errorPage(fault))
  const hint = await deps.tokens.readIdToken(params.get('id_token_hint') ?? '', deps.keys)
  const app = deps.org.apps.get(textOf(hint?.['aud']) ?? '')
  if (!hint || !app || hint['iss'] !== deps.address.issuer) return page(FAULTS.idTokenHint)
  const returnTo = params.get('post_logout_redirect_uri')
  if (returnTo !== null && !app.postLogoutRedirectUris.includes(returnTo)) return page(FAULTS.postLogoutUri)

  const sessionId = cookie(call, SESSION_COOKIE)
  const session = sessionId === undefined ? undefined : deps.storage.session(sessionId)
  if (session?.accountId !== undefined && session.accountId !== hint['sub']) return page(FAULTS.otherSubject)
  if (sessionId !== undefined) deps.storage.endSession(sessionId)
  if (session?.accountId) deps.org.note('user.session.end', session.accountId)

  const expired = { 'set-cookie': `${SESSION_COOKIE}=; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; HttpOnly` }
  const url = new URL(returnTo ?? '/', deps.address.url)
  const state = params.get('state')
  if (returnTo !== null && state !== null) url.searchParams.set('state', state)
  return redirect(url.href, 302, expired)
}

function fail(fault: OAuthFault): Reply {
  return json(fault.status, { error: fault.error, error_description: fault.error_description })
}

function challenge(status: number, error: string, description: string): Reply {
  return empty(status, { 'www-authenticate': `Bearer error="${error}", error_description="${description}"` })
}

export function cookie(call: Call, name: string): string | undefined {
  const pairs = (call.req.headers.cookie ?? '').split(';').map((pair) => pair.trim())
  return pairs.find((pair) => pair.startsWith(`${name}=`))?.slice(name.length + 1)
}

function queryOf(call: Call): string {
  return call.query.size > 0 ? `?${call.query}` : ''
}
