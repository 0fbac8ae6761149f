import type { ProviderSettings } from './provider-settings.ts'
import type { ClientAuth, IdpConfig, Outbound } from '../model.ts'
import type { Path, Report } from '../issues.ts'
import { compileAuthorities, realSecret } from './secrets.ts'
import { placeholderInUrl } from '../placeholder.ts'
import { PRODUCTS, type Product } from '../providers.ts'
import { isLoopback, onPrivateNetwork, parseUrl } from './urls.ts'

type Idp = Omit<IdpConfig, 'directory'>

/** Parameters that are no choice of whoever configures. */
const OWN_PARAMETERS = [
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
]

/** Client, issuer and what to ask for. `outbound`: the way out, without the provider's own authorities. */
export function compileIdp(settings: ProviderSettings, outbound: Outbound, report: Report): Idp | undefined {
  const { name, values, at } = settings
  const product = PRODUCTS[values.provider]
  const example = product?.example ?? 'https://your-org.okta.com'
  const urlText =
    values.url ??
    product?.issuer ??
    missing('url', `the URL of the Okta org or the issuer, ${example}`, settings, report)
  const clientId = values.client_id ?? missing('client_id', 'the client id of the application', settings, report)
  const issuer = urlText === undefined ? undefined : compileIssuer(urlText, settings, report)
  const internalUrl = compileInternalUrl(settings, report)
  const clientAuth = compileClientAuth(settings, report)
  const scopes = compileScopes(settings, product, report)
  const ca = values.ca === undefined ? undefined : compileAuthorities(values.ca, at('ca'), report)
  for (const parameter of OWN_PARAMETERS) {
    if (parameter in values.request_params)
      report.error([...at('request_params'), parameter], 'this parameter is always set by Postern')
  }
  if ((values.request_params['response_mode'] ?? 'query') !== 'query') {
    report.error(
      [...at('request_params'), 'response_mode'],
      'expected query: browsers send no cookie of a sign-in along with the form that `form_post` posts, and no fragment at all',
    )
  }
  if (values.allow_unverified_email) {
    report.warning(
      at('allow_unverified_email'),
      'whoever may enter an address at the provider counts as its owner, for rules and for applications',
    )
  }
  if (values.timeout === 0) report.error(at('timeout'), 'expected a duration above 0')
  if (issuer === undefined || clientId === undefined || !clientAuth) return undefined
  const authorities = [outbound.ca, ca].filter((each) => each !== undefined)
  return {
    name,
    label: values.label ?? (values.provider === 'okta' ? 'Okta' : (product?.name ?? new URL(issuer).host)),
    provider: values.provider === 'okta' ? 'okta' : 'oidc',
    issuer,
    ...(internalUrl !== undefined && { internalUrl }),
    clientId,
    clientAuth,
    scopes,
    callbackPath: settings.callbackPath,
    requestParams: { ...product?.requestParams, ...values.request_params },
    pushedRequests: compilePushedRequests(values),
    timeout: values.timeout,
    outbound: { ...outbound, ...(authorities.length > 0 && { ca: authorities.join('\n') }) },
    ...(product?.logout && { logout: product.logout }),
    allowUnverifiedEmail: values.allow_unverified_email,
  }
}

/** Silent when a broken value for it was reported already. */
function missing(
  key: 'url' | 'client_id',
  what: string,
  { at, isBroken }: ProviderSettings,
  report: Report,
): undefined {
  const path = at(key)
  if (!isBroken(key)) report.error(path, `missing; expected ${what}${orInEnvironment(path)}`)
  return undefined
}

/** Keys inside a map have no variable of their own. */
function orInEnvironment([name, ...inside]: Path): string {
  return inside.length === 0 ? ` (or ${String(name).toUpperCase()} in the environment)` : ''
}

function compilePushedRequests({ pushed_requests: written }: ProviderSettings['values']): IdpConfig['pushedRequests'] {
  if (written === undefined) return 'when-possible'
  return written ? 'always' : 'never'
}

/** As written, or what the product knows. */
function compileScopes(
  { values, at }: ProviderSettings,
  product: Product | undefined,
  report: Report,
): readonly string[] {
  const written = report.isWritten(at('scopes'))
  const asked = new Set(['openid', ...(written ? values.scopes : (product?.scopes ?? values.scopes))])
  if (product?.scopes && !product.scopes.includes('offline_access') && asked.delete('offline_access')) {
    report.warning(at('scopes'), `offline_access is left out: ${product.name} refuses a sign-in that asks for it`)
  }
  return [...asked]
}

function compileIssuer(text: string, { values, at }: ProviderSettings, report: Report): string | undefined {
  const path = at('url')
  const placeholder = placeholderInUrl(text)
  if (placeholder !== undefined) {
    report.error(path, `"${placeholder}" is the placeholder of an example; expected the real value`)
    return undefined
  }
  const url = parseUrl(text, onPrivateNetwork(values.allow_http, String(at('allow_http').at(-1))), path, report)
  if (!url) return undefined
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    report.warning(at('allow_http'), 'the client secret, codes and tokens cross that network in the clear')
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
  if (values.provider === 'azure') {
    const problem = problemOfAzure(url)
    if (problem === undefined) return issuer
    report.error(path, problem)
    return undefined
  }
  if (values.provider !== 'okta') return issuer
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

/** The same issuer under an address of an inner network. */
function compileInternalUrl({ values, at }: ProviderSettings, report: Report): string | undefined {
  if (values.internal_url === undefined) return undefined
  const url = parseUrl(
    values.internal_url,
    onPrivateNetwork(values.allow_http, String(at('allow_http').at(-1))),
    at('internal_url'),
    report,
  )
  if (!url) return undefined
  if (url.search || url.pathname.includes('/.well-known/')) {
    report.error(at('internal_url'), 'expected the address of the issuer, without a query and without /.well-known/')
    return undefined
  }
  return url.origin + url.pathname.replace(/\/+$/, '')
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

function compileClientAuth(settings: ProviderSettings, report: Report): ClientAuth | undefined {
  const { values, at, isBroken, holdsSecrets } = settings
  const { client_secret: text, client_auth: written } = values
  if (!holdsSecrets) return { kind: 'elsewhere' }
  if (isBroken('client_secret') || isBroken('client_auth')) return undefined
  const kind = written ?? (text === undefined ? 'none' : 'basic')
  if (kind === 'none') {
    if (text !== undefined) report.warning(at('client_auth'), 'with `none` the client secret is not used; remove it')
    return { kind }
  }
  if (text === undefined) {
    report.error(
      at('client_auth'),
      `\`${kind}\` needs ${at('client_secret').at(-1)}${orInEnvironment(at('client_secret'))}`,
    )
    return undefined
  }
  const secret = realSecret(text, at('client_secret'), report)
  return secret && { kind, secret }
}
