import { parseDuration } from '../../lib/duration.ts'
import type { Secret } from '../../lib/secret.ts'
import type { ClientAuth, DirectoryConfig, IdpConfig, Millis } from '../../types.ts'
import { parseServiceAccount } from '../aliases.ts'
import type { Report } from '../issues.ts'
import type { GlobalInput } from '../schema.ts'
import type { Draft } from '../validate.ts'
import { realSecret } from './secrets.ts'
import { parseOrigin, parseUrl } from './urls.ts'

/** The schema has checked the form. */
export function millis(text: string | 0): Millis {
  return text === 0 ? 0 : (parseDuration(text) ?? Number.NaN)
}

/** A setting without which nothing works; silent when a broken value for it was reported already. */
export function required(key: keyof GlobalInput, what: string, draft: Draft, report: Report): string | undefined {
  const value = draft.globals[key]
  if (typeof value === 'string') return value
  if (!draft.broken.has(key))
    report.error([key], `missing; expected ${what} (or ${key.toUpperCase()} in the environment)`)
  return undefined
}

/** Client, issuer and what to ask for. */
export function compileIdp(draft: Draft, report: Report): IdpConfig | undefined {
  const { globals } = draft
  const urlText = required(
    'idp_provider_url',
    'the URL of the Okta org or the issuer, https://your-org.okta.com',
    draft,
    report,
  )
  const clientId = required('idp_client_id', 'the client id of the application', draft, report)
  const issuer = urlText === undefined ? undefined : compileIssuer(urlText, globals, report)
  const clientAuth = compileClientAuth(draft, report)
  const scopes = globals.idp_scopes.includes('openid') ? globals.idp_scopes : ['openid', ...globals.idp_scopes]
  for (const name of [
    'state',
    'nonce',
    'code_challenge',
    'code_challenge_method',
    'redirect_uri',
    'response_type',
    'client_id',
    'scope',
  ]) {
    if (name in globals.idp_request_params)
      report.error(['idp_request_params', name], 'this parameter is always set by Postern')
  }
  if (issuer === undefined || clientId === undefined || !clientAuth) return undefined
  return {
    provider: globals.idp_provider,
    issuer,
    clientId,
    clientAuth,
    scopes: [...new Set(scopes)],
    requestParams: globals.idp_request_params,
    groupsClaim: globals.groups_claim,
    timeout: millis(globals.idp_timeout),
  }
}

function compileIssuer(text: string, globals: GlobalInput, report: Report): string | undefined {
  const path = ['idp_provider_url']
  const url = parseUrl(text, globals.insecure_server, path, report)
  if (!url) return undefined
  if (url.search) {
    report.error(path, 'expected an issuer without a query')
    return undefined
  }
  const issuer = url.origin + url.pathname.replace(/\/+$/, '')
  if (url.pathname.includes('/.well-known/')) {
    report.error(path, `expected the issuer, not its metadata document: ${issuer.replace(/\/\.well-known\/.*/, '')}`)
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

function compileClientAuth(draft: Draft, report: Report): ClientAuth | undefined {
  const { idp_client_secret: text, idp_client_auth: written } = draft.globals
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

/** Where groups come from: Okta's API with a token, else the claim. */
export function compileDirectory(draft: Draft, issuer: string | undefined, report: Report): DirectoryConfig {
  const { globals } = draft
  const { directory } = globals
  const ages = {
    refreshInterval: millis(
      renamed('idp_refresh_directory_interval', ['directory', 'refresh_interval'], directory.refresh_interval),
    ),
    maxStaleness: millis(directory.max_staleness),
    signInTimeout: millis(directory.sign_in_timeout),
  }
  for (const [key, value] of [
    ['refresh_interval', ages.refreshInterval],
    ['max_staleness', ages.maxStaleness],
    ['sign_in_timeout', ages.signInTimeout],
  ] as const) {
    if (value === 0) report.error(['directory', key], 'expected a duration above 0')
  }
  if (ages.maxStaleness < ages.refreshInterval) {
    report.error(
      ['directory', 'max_staleness'],
      'expected at least refresh_interval, or groups are unknown before they are read again',
    )
  }
  if (globals.idp_qps !== undefined) {
    report.warning(
      ['idp_qps'],
      "ignored: calls follow Okta's own rate limits; the share of them is directory.okta.budget",
    )
  }
  const timeout = millis(
    renamed('idp_refresh_directory_timeout', ['directory', 'okta', 'timeout'], directory.okta.timeout),
  )
  const token = serviceToken()
  if (!token) return { kind: 'claims', ...ages }
  const url = apiOrigin()
  return url
    ? { kind: 'okta', ...ages, url, token, budget: directory.okta.budget, timeout }
    : { kind: 'claims', ...ages }

  /** An old key counts when the new one is not written. */
  function renamed(
    old: 'idp_refresh_directory_interval' | 'idp_refresh_directory_timeout',
    path: readonly string[],
    current: string | 0,
  ): string | 0 {
    const value = globals[old]
    if (value === undefined) return current
    const written = report.isWritten(path)
    report.warning([old], `the name is now ${path.join('.')}${written ? ', which is written too and wins' : ''}`)
    return written ? current : value
  }

  function serviceToken(): Secret | undefined {
    const old = globals.idp_service_account
    const current = directory.okta.api_token
    if (old === undefined && current === undefined) return undefined
    const oldPath = ['idp_service_account']
    const path = ['directory', 'okta', 'api_token']
    const [fromOld, fromCurrent] = [oldPath, path].map((each) => report.sourceOf(each).kind === 'environment')
    const both = old !== undefined && current !== undefined
    if (both && fromOld === fromCurrent) {
      report.error(oldPath, `directory.okta.api_token is set too (${report.where(path)}); set one of them`)
      return undefined
    }
    // The environment wins, whatever name it uses.
    const useOld = current === undefined || (both && fromOld === true)
    const parsed = parseServiceAccount((useOld ? old : current) ?? '')
    if ('token' in parsed) return realSecret(parsed.token, useOld ? oldPath : path, report)
    report.error(useOld ? oldPath : path, parsed.problem)
    return undefined
  }

  function apiOrigin(): URL | undefined {
    if (directory.okta.url !== undefined) {
      return parseOrigin(directory.okta.url, globals.insecure_server, ['directory', 'okta', 'url'], report)
    }
    if (globals.idp_provider === 'okta') return issuer === undefined ? undefined : new URL(new URL(issuer).origin)
    report.error(
      ['directory', 'okta', 'url'],
      'missing; expected the origin of the Okta org, because the provider is not Okta',
    )
    return undefined
  }
}
