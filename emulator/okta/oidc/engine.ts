import { faultFields } from '../../../src/errors.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Readable } from 'node:stream'
import type { InteractionResults, KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { Logger } from '../../../src/types.ts'
import { TooManyGroups } from './claims.ts'
import type { Keys } from './keys.ts'
import { loadProvider } from './load-provider.ts'
import type { ServerAddress } from './metadata.ts'
import { providerConfiguration, type ProviderDeps } from './provider-configuration.ts'
import { outward } from './scopes.ts'
import { FAULTS, type OAuthFault, tokenFault } from './texts.ts'
import { textOf } from './text-of.ts'
import type { Tokens } from './tokens.ts'

/** The protocol of one authorization server, implemented by oidc-provider: requests, PKCE, codes, client authentication, grants. */
export interface Engine {
  /** Answers on `res`. `body`: form-encoded, replaces what the client sent. */
  run(
    req: IncomingMessage,
    res: ServerResponse,
    change: { readonly url: string; readonly body?: string },
  ): Promise<void>
  /** The sign-in that this browser has pending; rejects when there is none. */
  pending(req: IncomingMessage, res: ServerResponse): Promise<PendingSignIn>
  /** Ends the pending sign-in and gives the URL to continue at. */
  resolve(req: IncomingMessage, res: ServerResponse, result: InteractionResults): Promise<string>
}

export interface PendingSignIn {
  readonly clientId: string
  readonly acrValues: string | undefined
  readonly loginHint: string | undefined
  /** Cookie value of the session that existed before. */
  readonly sessionId: string | undefined
}

export interface EngineDeps extends ProviderDeps {
  readonly keys: Keys
  readonly tokens: Tokens
  readonly log: Logger
}

export async function createEngine(deps: EngineDeps): Promise<Engine> {
  const { address } = deps
  const oidc = await loadProvider()
  const provider: Provider = new oidc.Provider(address.issuer, providerConfiguration(deps, oidc))
  // The URL is fixed, whatever Host the client used: `run` sets both forwarded headers.
  provider.proxy = true
  provider.silent = true
  provider.on('server_error', (_ctx, error) =>
    deps.log.error({ ...faultFields(error) }, 'emulator: oidc-provider failed'),
  )
  // Okta does not send `iss` (RFC 9207). The declared events do not show that this one carries the response.
  const events = provider as unknown as NodeJS.EventEmitter
  events.on('authorization.success', (_ctx, response: { iss?: string }) => delete response.iss)
  const reasons = new WeakMap<object, string>()
  for (const event of ['grant', 'introspection', 'revocation', 'pushed_authorization_request']) {
    events.on(`${event}.error`, (ctx: object, error: { error_detail?: string }) =>
      reasons.set(ctx, error.error_detail ?? ''),
    )
  }
  provider.use(async (context, next) => {
    await next()
    // `oidc` is there when a route matched; the server forwards nothing else.
    const ctx = context as unknown as KoaContextWithOIDC
    await reshape(ctx, deps, reasons.get(ctx) ?? '')
  })
  const callback = provider.callback()

  return {
    run: (req, res, change) => callback(replay(req, address, change), res),
    async pending(req, res) {
      const { params, session } = await provider.interactionDetails(req, res)
      return {
        clientId: textOf(params['client_id']) ?? '',
        acrValues: textOf(params['acr_values']),
        loginHint: textOf(params['login_hint']),
        sessionId: session?.cookie,
      }
    },
    resolve: (req, res, result) => provider.interactionResult(req, res, result, { mergeWithLastSubmission: false }),
  }
}

/** The client's request with another URL or body: oidc-provider wants to read the body itself. */
function replay(
  req: IncomingMessage,
  address: ServerAddress,
  change: { readonly url: string; readonly body?: string },
): IncomingMessage {
  const { host, protocol } = new URL(address.url)
  const body = change.body === undefined ? [] : [Buffer.from(change.body)]
  const headers: NodeJS.Dict<string | string[]> = { ...req.headers, host, 'x-forwarded-proto': protocol.slice(0, -1) }
  delete headers['transfer-encoding']
  delete headers['x-forwarded-host']
  return Object.assign(Readable.from(body), {
    method: req.method,
    url: change.url,
    headers: { ...headers, 'content-length': String(body[0]?.length ?? 0) },
    socket: req.socket,
    httpVersion: req.httpVersion,
    // Koa reads what is above; the rest of IncomingMessage is never touched.
  }) as unknown as IncomingMessage
}

/** Turns oidc-provider's answers into Okta's. */
async function reshape(ctx: KoaContextWithOIDC, deps: EngineDeps, reason: string): Promise<void> {
  const endpoint = ctx.oidc?.route
  if (endpoint === 'authorization' || endpoint === 'resume') {
    ctx.set('referrer-policy', 'no-referrer')
    const location = ctx.response.get('location')
    if (location) {
      ctx.set('location', withoutIssuer(location))
      ctx.body = ''
    } else if (typeof ctx.body === 'string') {
      ctx.body = ctx.body.replace(/<input type="hidden" name="iss"[^>]*>/, '')
    }
    // Okta redirects with 302.
    if (ctx.status === 303) ctx.status = 302
    return
  }
  const body = ctx.body as Readonly<Record<string, unknown>> | undefined
  if (ctx.status >= 400 && body && typeof body['error'] === 'string') {
    const fault = tokenFault(
      {
        status: ctx.status,
        error: body['error'],
        description: textOf(body['error_description']) ?? '',
        detail: reason,
      },
      { asked: textOf(ctx.oidc.params?.['grant_type']) ?? '', configured: ctx.oidc.client?.grantTypes ?? [] },
    )
    respond(ctx, fault)
  } else if (endpoint === 'token' && ctx.status === 200) {
    await tokenResponse(ctx, deps)
  } else if (endpoint === 'introspection' && body?.['active'] === true) {
    ctx.body = introspection(ctx, body, deps)
  } else if (endpoint === 'pushed_authorization_request' && ctx.status === 201) {
    ctx.body = { ...body, expires_in: 3600 }
  }
}

function respond(ctx: KoaContextWithOIDC, fault: OAuthFault): void {
  ctx.status = fault.status
  ctx.body = { error: fault.error, error_description: fault.error_description }
}

async function tokenResponse(ctx: KoaContextWithOIDC, deps: EngineDeps): Promise<void> {
  const { AuthorizationCode: code, RefreshToken: refresh, AccessToken: access, Client: client } = ctx.oidc.entities
  const source = code ?? refresh
  const org = deps.org
  const person = org.people.get(source?.accountId ?? '')
  const app = org.apps.get(client?.clientId ?? '')
  if (!source || !access || !person || !app) throw new TypeError('token response without its entities')
  const scope = outward(access.scope ?? '')
  const server = org.authorizationServers.get(deps.address.id)
  const context = { org, person, app, scopes: new Set(scope.split(' ')), ...(server && { server }) }
  const facts = {
    authTime: source.authTime ?? 0,
    amr: source.amr ?? [],
    acr: source.acr ?? 'urn:okta:loa:1fa:any',
    // Only the first ID token answers an authentication request.
    nonce: code?.nonce,
  }
  try {
    const { accessToken, idToken } = await deps.tokens.issue(deps.address, deps.keys, context, facts, access.jti)
    const { refresh_token } = ctx.body as { readonly refresh_token?: string }
    // A refresh without rotation answers with the same token (okta-api.md#refresh-tokens).
    const kept = refresh_token ?? (code ? undefined : ctx.oidc.params?.['refresh_token'])
    ctx.body = {
      token_type: 'Bearer',
      expires_in: access.expiration,
      access_token: accessToken,
      scope,
      ...(kept !== undefined && { refresh_token: kept }),
      ...(idToken !== undefined && { id_token: idToken }),
    }
  } catch (error) {
    if (!(error instanceof TooManyGroups)) throw error
    respond(ctx, FAULTS.tooManyGroups)
  }
}

function introspection(
  ctx: KoaContextWithOIDC,
  body: Readonly<Record<string, unknown>>,
  deps: EngineDeps,
): Readonly<Record<string, unknown>> {
  const { AccessToken: access, RefreshToken: refresh } = ctx.oidc.entities
  const person = deps.org.people.get((access ?? refresh)?.accountId ?? '')
  return {
    active: true,
    ...(access && { token_type: 'Bearer' }),
    scope: outward(textOf(body['scope']) ?? ''),
    client_id: body['client_id'],
    username: person?.login,
    exp: body['exp'],
    iat: body['iat'],
    sub: person?.login,
    aud: deps.org.authorizationServers.get(deps.address.id)?.audience ?? deps.address.issuer,
    iss: deps.address.issuer,
    jti: body['jti'] ?? (access ?? refresh)?.jti,
    uid: person?.id,
  }
}

/** oidc-provider adds `iss` to errors too; it comes last in the query or the fragment. */
function withoutIssuer(location: string): string {
  return location.replace(/([?#&])iss=[^&#]*&?/, '$1').replace(/[?#&]$/, '')
}
