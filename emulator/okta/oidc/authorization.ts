import { type Call, form, html, json, redirect, type Reply } from '../http/call.ts'
import type { Org } from '../model/org.ts'
import type { Engine } from './engine.ts'
import { builtInScopes, type ServerAddress } from './metadata.ts'
import { inward } from './scopes.ts'
import { FAULTS, type OAuthFault } from './texts.ts'

export interface AuthorizeDeps {
  readonly address: ServerAddress
  readonly org: Org
  readonly engine: () => Promise<Engine>
  readonly errorPage: (fault: OAuthFault) => string
}

/** Base64url fits, base64 does not (okta-api.md#authorize). */
const STATE = /^[A-Za-z0-9,._-]+$/
const MAX_AGE = 2 ** 31 - 1

/** `GET|POST /authorize`: first the checks that Okta makes in its own way, then the protocol. */
export async function authorize(call: Call, deps: AuthorizeDeps): Promise<Reply | 'handled'> {
  const params = call.method === 'POST' ? await form(call) : call.query
  const refused = refuse(params, deps)
  if (refused) return refused
  const forwarded = new URLSearchParams(params)
  const scope = forwarded.get('scope')
  if (scope !== null) forwarded.set('scope', grantedScopes(scope, params, deps.org))
  // Okta does not read it here; oidc-provider would check it against keys of its own.
  forwarded.delete('id_token_hint')
  call.req.method = 'GET'
  await (await deps.engine()).run(call.req, call.res, { url: `${call.path}?${forwarded}` })
  return 'handled'
}

/** `POST /par` (RFC 9126): the same checks as for a request through the browser; client authentication is the protocol's. */
export async function pushedRequest(call: Call, deps: AuthorizeDeps): Promise<Reply | 'handled'> {
  const params = await form(call)
  const fault = faultOf(params, deps.org.apps.get(params.get('client_id') ?? '')?.pkceRequired === true, deps)
  if (fault) return json(fault.status, { error: fault.error, error_description: fault.error_description })
  params.set('scope', grantedScopes(params.get('scope') ?? '', params, deps.org))
  await (await deps.engine()).run(call.req, call.res, { url: call.path, body: params.toString() })
  return 'handled'
}

function refuse(params: URLSearchParams, deps: AuthorizeDeps): Reply | undefined {
  const app = deps.org.apps.get(params.get('client_id') ?? '')
  const redirectUri = params.get('redirect_uri') ?? ''
  const page = (fault: OAuthFault): Reply => html(fault.status, deps.errorPage(fault))
  // A request that was pushed has been checked; its parameters are not here.
  if (params.has('request_uri')) return undefined
  if (!app) return page(FAULTS.clientId)
  // Without a valid redirect URI the browser stays at Okta.
  if (!app.redirectUris.includes(redirectUri)) return page(FAULTS.redirectUri)
  const fault = faultOf(params, app.pkceRequired, deps)
  return fault && errorRedirect(redirectUri, fault, params)
}

function faultOf(params: URLSearchParams, pkceRequired: boolean, deps: AuthorizeDeps): OAuthFault | undefined {
  const { id } = deps.address
  const known = new Set([...builtInScopes(id), ...(deps.org.authorizationServers.get(id)?.scopes ?? [])])
  const scopes = (params.get('scope') ?? '').split(' ').filter((scope) => scope !== '')
  const maxAge = params.get('max_age')
  if (!STATE.test(params.get('state') ?? '')) return FAULTS.state
  if (scopes.length === 0 || scopes.some((scope) => !known.has(scope))) return FAULTS.scope
  if (pkceRequired && !params.has('code_challenge')) return FAULTS.pkceRequired
  if (maxAge !== null && (!/^\d{1,10}$/.test(maxAge) || Number(maxAge) > MAX_AGE)) return FAULTS.maxAge
  if (maxAge !== null && Number(maxAge) === 0 && params.get('prompt') === 'none') return FAULTS.promptNoneMaxAge
  return undefined
}

/** Without the Refresh Token grant `offline_access` is dropped without an error (okta-api.md#oauth-errors). */
function grantedScopes(scope: string, params: URLSearchParams, org: Org): string {
  const mayRefresh = org.apps.get(params.get('client_id') ?? '')?.grantTypes.includes('refresh_token')
  const scopes = scope.split(' ').filter((name) => name !== '' && (mayRefresh || name !== 'offline_access'))
  return inward(scopes.join(' '))
}

/** An error as a redirect to the client: in the query, or in the fragment when it asked for that. */
export function errorRedirect(redirectUri: string, fault: OAuthFault, params: URLSearchParams): Reply {
  const url = new URL(redirectUri)
  const state = params.get('state')
  const answer = new URLSearchParams({
    ...(state !== null && { state }),
    error: fault.error,
    error_description: fault.error_description,
  })
  if (params.get('response_mode') === 'fragment') url.hash = answer.toString()
  else for (const [name, value] of answer) url.searchParams.set(name, value)
  return redirect(url.href, 302, { 'referrer-policy': 'no-referrer' })
}
