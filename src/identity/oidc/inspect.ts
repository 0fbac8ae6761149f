/** What a provider says of our client before anybody signs in: for whoever checks a configuration. */
import * as oidc from 'openid-client'
import { messageOf } from '../../errors.ts'
import type { Clock, Logger } from '../../types.ts'
import { boundedFetch } from '../bounded-fetch.ts'
import { fetchKeySet } from '../key-set.ts'
import { createOidcProvider } from '../oidc.ts'
import { createOidcClient } from './client.ts'
import { toFault } from './faults.ts'
import type { OidcSettings } from './settings.ts'

/** The answer to a request for a sign-in that nobody can finish. */
export type AuthorizationAnswer =
  /** It leads to the redirect URI: that, and the client, are known. */
  | { readonly kind: 'returned'; readonly error: string; readonly description: string }
  /** A page of the provider, or the way to one: it has no objection yet. */
  | { readonly kind: 'page' }
  /** An error page. `about`: what its text speaks of. */
  | { readonly kind: 'refused'; readonly status: number; readonly about: 'client' | 'redirect-uri' | 'something else' }
  | { readonly kind: 'unknown'; readonly problem: string }

/** The answer to a code that never was: a provider judges the client before it (RFC 6749 §5.2). */
export type TokenAnswer =
  | { readonly kind: 'accepted' }
  | { readonly kind: 'refused'; readonly error: string; readonly description: string }
  | { readonly kind: 'unknown'; readonly problem: string }

export interface ClientInspection {
  /** How many it publishes, or why they cannot be read. */
  readonly keys: { readonly count: number } | { readonly problem: string }
  readonly authorization: AuthorizationAnswer
  /** undefined: this process has no secret of the provider. */
  readonly token: TokenAnswer | undefined
  /** undefined: it has no such page, or needs the ID token of somebody (Okta). */
  readonly signOut: AuthorizationAnswer | undefined
}

export interface ClientOfProvider {
  readonly idp: OidcSettings
  readonly redirectUri: URL
  readonly signOutUri: URL
  /** Beside `idp_scopes`. */
  readonly scopes: readonly string[]
}

const CODE = 'postern-check-which-no-sign-in-made'
const VERIFIER = 'postern-check-which-no-sign-in-made-0123456789'

/** Asks as a sign-in would, and with its credentials; nothing is made at the provider, nobody is signed in. Never rejects. */
export async function inspectClient(
  client: ClientOfProvider,
  deps: { readonly clock: Clock; readonly logger: Logger },
): Promise<ClientInspection> {
  const [keys, authorization, token, signOut] = await Promise.all([
    readKeys(client, deps),
    askForSignIn(client, deps),
    client.idp.clientAuth.kind === 'elsewhere' ? undefined : askForToken(client, deps),
    askForSignOut(client, deps),
  ])
  return { keys, authorization, token, signOut }
}

type Deps = Parameters<typeof inspectClient>[1]

async function readKeys({ idp }: ClientOfProvider, deps: Deps): Promise<ClientInspection['keys']> {
  try {
    const { connect, send } = createOidcClient({ idp, ...deps })
    const { jwks_uri: url = '' } = (await connect(AbortSignal.timeout(idp.timeout))).serverMetadata()
    return { count: (await fetchKeySet(url, { send, timeout: idp.timeout })).keys.length }
  } catch (error) {
    return { problem: messageOf(error) }
  }
}

/** `prompt=none`: a provider that knows the redirect URI answers there at once, because nobody is signed in. */
async function askForSignIn({ idp, redirectUri, scopes }: ClientOfProvider, deps: Deps): Promise<AuthorizationAnswer> {
  const pushedRequests = idp.pushedRequests === 'always' ? 'always' : 'never'
  const requestParams = { ...idp.requestParams, prompt: 'none' }
  const signal = AbortSignal.timeout(idp.timeout)
  try {
    const provider = createOidcProvider({ idp: { ...idp, pushedRequests, requestParams }, redirectUri, ...deps })
    const { redirect } = await provider.begin(signal, { scopes })
    return await askForPage(redirect, redirectUri, idp, deps)
  } catch (error) {
    // Of a request that was pushed ahead.
    const answer = await answerIn(error)
    if ('problem' in answer) return { kind: 'unknown', ...answer }
    if (answer.error === 'invalid_scope') return { kind: 'returned', ...answer }
    // Of id and secret together, which the other question is about.
    if (answer.error === 'invalid_client')
      return { kind: 'unknown', problem: 'the provider does not accept the client' }
    return { kind: 'refused', status: 400, about: subjectOf(`${answer.error} ${answer.description}`) }
  }
}

async function askForToken({ idp, redirectUri }: ClientOfProvider, deps: Deps): Promise<TokenAnswer> {
  try {
    const config = await createOidcClient({ idp, ...deps }).connect(AbortSignal.timeout(idp.timeout))
    const parameters = { code: CODE, code_verifier: VERIFIER, redirect_uri: redirectUri.href }
    await oidc.genericGrantRequest(config, 'authorization_code', parameters)
    return { kind: 'unknown', problem: 'it took a code that it never gave' }
  } catch (error) {
    const answer = await answerIn(error)
    if ('problem' in answer) return { kind: 'unknown', ...answer }
    if (answer.error === 'invalid_grant') return { kind: 'accepted' }
    if (answer.error === 'invalid_client' || answer.error === 'unauthorized_client')
      return { kind: 'refused', ...answer }
    return { kind: 'unknown', problem: `it answered ${answer.error}` }
  }
}

/** Without the ID token of somebody, by the id of the client (RP-Initiated Logout 1.0 §2). */
async function askForSignOut(
  { idp, signOutUri }: ClientOfProvider,
  deps: Deps,
): Promise<AuthorizationAnswer | undefined> {
  // Okta refuses every such request, whatever the address.
  if (idp.provider === 'okta' || idp.logout !== undefined) return undefined
  try {
    const config = await createOidcClient({ idp, ...deps }).connect(AbortSignal.timeout(idp.timeout))
    if (config.serverMetadata().end_session_endpoint === undefined) return undefined
    const url = oidc.buildEndSessionUrl(config, { post_logout_redirect_uri: signOutUri.href })
    return await askForPage(url, signOutUri, idp, deps)
  } catch (error) {
    return { kind: 'unknown', problem: messageOf(error) }
  }
}

/** One page as a browser would ask for it, without following where it leads. */
async function askForPage(url: URL, back: URL, idp: OidcSettings, deps: Deps): Promise<AuthorizationAnswer> {
  const { send } = createOidcClient({ idp, ...deps })
  const init = { method: 'GET', headers: { accept: 'text/html' }, redirect: 'manual' } as const
  const answer = await boundedFetch(url.href, init, AbortSignal.timeout(idp.timeout), send)
  const location = answer.headers.get('location')
  if (location !== null && URL.canParse(location, url)) {
    const to = new URL(location, url)
    if (to.origin === back.origin && to.pathname === back.pathname) {
      const { searchParams: params } = to
      return { kind: 'returned', error: params.get('error') ?? '', description: params.get('error_description') ?? '' }
    }
    // Some lead to a page that says it.
    return /error/i.test(to.pathname)
      ? { kind: 'refused', status: answer.status, about: subjectOf(decodeURIComponent(to.search)) }
      : { kind: 'page' }
  }
  if (answer.status < 400) return { kind: 'page' }
  return { kind: 'refused', status: answer.status, about: subjectOf(await answer.text()) }
}

/** The words of Okta, Keycloak, Auth0, node-oidc-provider and others, for people. */
function subjectOf(text: string): 'client' | 'redirect-uri' | 'something else' {
  if (
    /'client_id' param|invalid[ _]client|client[ _](?:id )?(?:is )?(?:not[ _]found|invalid|unknown)|unknown client/i.test(
      text,
    )
  )
    return 'client'
  return /redirect[ _]?ur[il]|callback url/i.test(text) ? 'redirect-uri' : 'something else'
}

/** What the provider said, or why it said nothing. */
async function answerIn(
  error: unknown,
): Promise<{ readonly error: string; readonly description: string } | { readonly problem: string }> {
  const fault = toFault('check', error)
  const { error: code, description = '' } = fault.details
  if (typeof code !== 'string' || code === 'bad_answer') return { problem: fault.message.replace(/^check: /, '') }
  return { error: code, description: (await bodyOf(error)) ?? String(description) }
}

/** A challenge has words of its own, and the body says more. */
async function bodyOf(error: unknown): Promise<string | undefined> {
  if (!(error instanceof oidc.WWWAuthenticateChallengeError)) return undefined
  try {
    const body: unknown = JSON.parse(await error.response.text())
    const text: unknown = typeof body === 'object' && body && 'error_description' in body && body.error_description
    return typeof text === 'string' ? text : undefined
  } catch {
    // The challenge is all that was said.
    return undefined
  }
}
