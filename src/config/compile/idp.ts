import type { ClientAuth, IdpConfig, Outbound } from '../model.ts'
import type { Report } from '../issues.ts'
import type { GlobalInput } from '../schema.ts'
import type { Draft } from '../validate.ts'
import { realSecret } from './secrets.ts'
import { placeholderInUrl } from '../placeholder.ts'
import { PRODUCTS, type Product } from '../providers.ts'
import { isLoopback, onPrivateNetwork, parseUrl } from './urls.ts'

/** The provider of the keys `idp_…`. */
export const DEFAULT_PROVIDER = 'default'

/** A setting without which nothing works; silent when a broken value for it was reported already. */
export function required(key: keyof GlobalInput, what: string, draft: Draft, report: Report): string | undefined {
  const value = draft.globals[key]
  if (typeof value === 'string') return value
  if (!draft.broken.has(key))
    report.error([key], `missing; expected ${what} (or ${key.toUpperCase()} in the environment)`)
  return undefined
}

/** Client, issuer and what to ask for. */
export function compileIdp(draft: Draft, outbound: Outbound, report: Report): Omit<IdpConfig, 'directory'> | undefined {
  const { globals } = draft
  const product = PRODUCTS[globals.idp_provider]
  const example = product?.example ?? 'https://your-org.okta.com'
  const urlText =
    globals.idp_provider_url ??
    product?.issuer ??
    required('idp_provider_url', `the URL of the Okta org or the issuer, ${example}`, draft, report)
  const clientId = required('idp_client_id', 'the client id of the application', draft, report)
  const issuer = urlText === undefined ? undefined : compileIssuer(urlText, globals, report)
  const clientAuth = compileClientAuth(draft, report)
  const scopes = compileScopes(globals, product, report)
  for (const name of [
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'redirect_uri',
    'response_type',
    'client_id',
    'scope',
    // Each brings a set of parameters of its own (RFC 9101), these among them.
    'request',
    'request_uri',
  ]) {
    if (name in globals.idp_request_params)
      report.error(['idp_request_params', name], 'this parameter is always set by Postern')
  }
  if ((globals.idp_request_params['response_mode'] ?? 'query') !== 'query') {
    report.error(
      ['idp_request_params', 'response_mode'],
      'expected query: browsers send no cookie of a sign-in along with the form that `form_post` posts, and no fragment at all',
    )
  }
  if (globals.idp_allow_unverified_email) {
    report.warning(
      ['idp_allow_unverified_email'],
      'whoever may enter an address at the provider counts as its owner, for rules and for applications',
    )
  }
  if (issuer === undefined || clientId === undefined || !clientAuth) return undefined
  return {
    name: DEFAULT_PROVIDER,
    provider: globals.idp_provider === 'okta' ? 'okta' : 'oidc',
    issuer,
    clientId,
    clientAuth,
    scopes,
    requestParams: { ...product?.requestParams, ...globals.idp_request_params },
    timeout: globals.idp_timeout,
    outbound,
    ...(product?.logout && { logout: product.logout }),
    allowUnverifiedEmail: globals.idp_allow_unverified_email,
  }
}

/** As written, or what the product knows. */
function compileScopes(globals: GlobalInput, product: Product | undefined, report: Report): readonly string[] {
  const written = report.isWritten(['idp_scopes'])
  const asked = new Set(['openid', ...(written ? globals.idp_scopes : (product?.scopes ?? globals.idp_scopes))])
  if (product?.scopes && !product.scopes.includes('offline_access') && asked.delete('offline_access')) {
    report.warning(['idp_scopes'], `offline_access is left out: ${product.name} refuses a sign-in that asks for it`)
  }
  return [...asked]
}

function compileIssuer(text: string, globals: GlobalInput, report: Report): string | undefined {
  const path = ['idp_provider_url']
  const placeholder = placeholderInUrl(text)
  if (placeholder !== undefined) {
    report.error(path, `"${placeholder}" is the placeholder of an example; expected the real value`)
    return undefined
  }
  const url = parseUrl(text, onPrivateNetwork(globals.idp_allow_http), path, report)
  if (!url) return undefined
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    report.warning(['idp_allow_http'], 'the client secret, codes and tokens cross that network in the clear')
  }
  if (url.search) {
    report.error(path, 'expected an issuer without a query')
    return undefined
  }
  const issuer = url.origin + url.pathname.replace(/\/+$/, '')
  if (url.pathname.includes('/.well-known/')) {
    report.error(path, `expected the issuer, not its metadata document: ${issuer.replace(/\/\.well-known\/.*/, '')}`)
    return undefined
  }
  if (globals.idp_provider === 'azure') {
    const problem = problemOfAzure(url)
    if (problem === undefined) return issuer
    report.error(path, problem)
    return undefined
  }
  if (globals.idp_provider !== 'okta') return issuer
  const admin = /^(.+)-admin(\.(?:okta|oktapreview|okta-emea|okta-gov|trexcloud)\.com)$/.exec(url.hostname)
  if (admin) {
    report.error(path, `this is the address of the admin console; the org is https://${admin[1]}${admin[2]}`)
    return undefined
  }
  if (!/^(?:\/oauth2\/[^/]+)?\/*$/.test(url.pathname)) {
    report.error(
      path,
      `expected the Okta org (${url.origin}) or a custom authorization server (${url.origin}/oauth2/default); for another provider write \`idp_provider: oidc\``,
    )
    return undefined
  }
  return issuer
}

/** Tokens name the tenant that signed somebody in, and version 1 has another issuer (learn.microsoft.com). */
function problemOfAzure({ hostname, pathname }: URL): string | undefined {
  if (!hostname.startsWith('login.')) return undefined
  const [tenant = '', version] = pathname.split('/').filter(Boolean)
  if (tenant === '' || ['common', 'organizations', 'consumers'].includes(tenant)) {
    return `tokens name one tenant; expected its id, https://${hostname}/your-tenant-id/v2.0`
  }
  return version === 'v2.0' ? undefined : `expected the issuer of version 2.0, https://${hostname}/${tenant}/v2.0`
}

function compileClientAuth(draft: Draft, report: Report): ClientAuth | undefined {
  const { idp_client_secret: text, idp_client_auth: written, services } = draft.globals
  if (services === 'proxy') return { kind: 'elsewhere' }
  if (draft.broken.has('idp_client_secret') || draft.broken.has('idp_client_auth')) return undefined
  const kind = written ?? (text === undefined ? 'none' : 'basic')
  if (kind === 'none') {
    if (text !== undefined) report.warning(['idp_client_auth'], 'with `none` the client secret is not used; remove it')
    return { kind }
  }
  if (text === undefined) {
    report.error(['idp_client_auth'], `\`${kind}\` needs idp_client_secret (or IDP_CLIENT_SECRET in the environment)`)
    return undefined
  }
  const secret = realSecret(text, ['idp_client_secret'], report)
  return secret && { kind, secret }
}
