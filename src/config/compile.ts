import { parseFrom, parseHost } from '../routing/host.ts'
import { canonicalPath } from '../routing/path.ts'
import { isReserved } from '../routing/table.ts'
import type { Config, Live, Naming } from './model.ts'
import type { Route } from './route-model.ts'
import { compileAcmeHosts, compileAutocert } from './compile/autocert.ts'
import { compileAdmin } from './compile/admin.ts'
import { compilePolicyContext } from './compile/access.ts'
import { compileDownstreamMtls } from './compile/downstream-mtls.ts'
import { checkDialect } from './compile/dialect.ts'
import { compileTokenIssuers } from './compile/bearer.ts'
import { compileClaimHeaders } from './compile/identity.ts'
import { compileGroupsScope } from './compile/groups-scope.ts'
import { compileProviders, idpsOf } from './compile/providers.ts'
import { defaultResponseHeaders } from './compile/response-headers.ts'
import { compileOutbound } from './compile/outbound.ts'
import { compileLimits } from './compile/balancing.ts'
import { checkLogFields } from './compile/log-fields.ts'
import { compileRateLimit } from './compile/rate-limit.ts'
import { compileRoutes } from './compile/routes.ts'
import { warnOfUnknownGroups } from './compile/static.ts'
import { compilePages } from './compile/pages.ts'
import { compileTelemetry } from './compile/telemetry.ts'
import { compileStorage, compileStoreGrace } from './compile/storage.ts'
import { compileListener, openPlainHttp, sideAddress } from './compile/listener.ts'
import { compileSharedSecrets, compileSigningKeys } from './compile/secrets.ts'
import { compileSharedSignals } from './compile/shared-signals.ts'
import { checkServices } from './compile/services.ts'
import { HOSTED } from './providers.ts'
import { warnOfTraps } from './compile/traps.ts'
import { checkTrust } from './compile/trust.ts'
import { behindHop, parseOrigin, parseUrl } from './compile/urls.ts'
import type { Report } from './issues.ts'
import { compileCredentials, writtenAtStart } from './credentials.ts'
import { globalKeys } from './keys.ts'
import { COMPILED, type GlobalInput, type PlainFixed, type PlainLive } from './schema.ts'
import type { Draft } from './validate.ts'

const NAMING: Readonly<Record<Live['compatibility'], Naming>> = {
  postern: {
    controlPrefix: '/.postern',
    wellKnown: '/.well-known/postern',
    assertionHeader: 'x-postern-jwt-assertion',
    claimHeaderPrefix: 'x-postern-claim-',
    csrfHeader: 'x-postern-csrf',
    cookie: { https: '__Host-postern', http: 'postern' },
  },
  pomerium: {
    controlPrefix: '/.pomerium',
    wellKnown: '/.well-known/pomerium',
    assertionHeader: 'x-pomerium-jwt-assertion',
    claimHeaderPrefix: 'x-pomerium-claim-',
    csrfHeader: 'x-pomerium-csrf',
    cookie: { https: '_pomerium', http: '_pomerium' },
  },
}

/** What the values mean, together. undefined, and the reasons in the report, when they do not fit. Pure. */
export function compileConfig(draft: Draft, report: Report): Config | undefined {
  const { globals } = draft
  const naming = NAMING[globals.compatibility]
  const authenticateUrl = compileAuthenticateUrl(draft, naming, report)
  const after = globals.signout_redirect_url
  const signoutRedirectUrl =
    after === undefined
      ? undefined
      : parseUrl(after, behindHop(globals.insecure_server), ['signout_redirect_url'], report)
  const outbound = compileOutbound(globals, report)
  const providers = compileProviders(draft, outbound, report)
  const usable = providers.flatMap(({ idp }) => idp ?? [])
  const tokenIssuers = compileTokenIssuers(globals.token_issuers, usable, outbound, report)
  const secretText = required('shared_secret', '32 random bytes, run `postern secrets generate`', draft, report)
  const sharedSecrets =
    secretText === undefined ? undefined : compileSharedSecrets(secretText, ['shared_secret'], report)
  const signingKeys =
    globals.signing_key === undefined ? [] : compileSigningKeys(globals.signing_key, ['signing_key'], report)
  const claimHeaders = compileClaimHeaders(globals.jwt_claims_headers, ['jwt_claims_headers'], naming, report)
  const downstreamMtls = compileDownstreamMtls(globals, report)
  const policies = compilePolicyContext(draft, report)
  const { routes, identityHeaders } = compileRoutes(
    draft,
    {
      timeouts: {
        timeout: globals.default_upstream_timeout,
        responseBody: globals.upstream_body_timeout,
        requestBody: globals.client_body_timeout,
        request: globals.request_timeout,
        tunnelLifetime: globals.tunnel_max_lifetime,
      },
      circuitBreaker: globals.circuit_breaker_thresholds,
      allowHttp: globals.insecure_server,
      showErrorDetails: globals.show_error_details,
      preserveHost: globals.preserve_host_header,
      compatibility: globals.compatibility,
      naming,
      identity: { globals, naming, claimHeaders, told: new Map() },
      policies,
      downstreamMtls,
      providers,
      responseHeaders: defaultResponseHeaders(globals, report),
      paths: globals,
      tokens: { issuers: tokenIssuers, idps: usable },
      forwards: new Map(),
      froms: new Map(),
    },
    report,
  )
  if (draft.routes.length === 0 && !draft.broken.has('routes') && !draft.broken.has('policy')) {
    report.warning(['routes'], 'there are no routes: every request is answered with 404')
  }
  checkDialect(globals, report)
  if (authenticateUrl) checkAuthenticateHost(authenticateUrl, draft, report)
  const admin = authenticateUrl && compileAdmin(globals, { authenticateUrl, naming, providers }, policies, report)
  const groupsScope = compileGroupsScope(providers, admin ? [...routes, admin] : routes, globals, report)
  if (providers.length === 1) warnOfUnknownGroups(providers, routes, report)
  const acme = compileAutocert(globals, outbound, report)
  const listener = compileListener(draft, authenticateUrl, routes, acme !== undefined, report)
  if (globals.downstream_mtls && listener && !listener.listen.tls) {
    report.error(['downstream_mtls'], 'certificates are shown in TLS, and TLS does not end here')
  }
  checkCookie(globals, authenticateUrl, routes, report)
  const storage = compileStorage(globals, report)
  checkServices(draft, report)
  if (storage.kind === 'memory' && typeof globals.workers === 'number' && globals.workers > 1) {
    report.error(
      ['workers'],
      'processes share sessions in the store, and storage.type is memory: write `storage: {type: embedded}`, or `workers: 1`',
    )
  }
  const ordering = acme && listener?.listen.tls ? acme : undefined
  const acmeHosts = ordering && listener ? compileAcmeHosts(draft, authenticateUrl, listener, report) : []
  const redirect = sideAddress(globals, 'http_redirect_addr', report) ?? (ordering && openPlainHttp(report))
  if (ordering && storage.kind === 'memory') {
    report.warning(
      ['autocert'],
      'certificates are ordered again at each start, because the store is in memory; authorities limit that: write `storage: {type: embedded}`',
    )
  }
  const health = sideAddress(globals, 'health_check_addr', report)
  const metrics = sideAddress(globals, 'metrics_address', report)
  const telemetry = compileTelemetry(globals, outbound, report)
  const external = [authenticateUrl?.protocol, ...routes.map(({ from }) => `${from.scheme}:`)]
  const isBehindHop = listener?.listen.tls === false && external.includes('https:')
  checkTrust(draft, routes, { listen: listener?.listen, behindHop: isBehindHop }, report)
  warnOfTraps(globals, { authenticateUrl, metrics, providers, routes }, report)
  for (const key of ['cookie_expire', 'upstream_connect_timeout', 'timeout_read', 'timeout_idle'] as const) {
    if (globals[key] === 0) report.error([key], 'expected a duration above 0')
  }
  if (globals.session_idle_timeout > 0 && globals.session_idle_timeout < 60_000) {
    report.error(['session_idle_timeout'], 'expected at least 1m, or 0 for none')
  }
  for (const [i, path] of globals.public_health_paths.entries()) {
    if (canonicalPath(path) !== path || isReserved(path, naming)) {
      report.error(
        ['public_health_paths', i],
        `expected a plain path outside ${naming.controlPrefix} and ${naming.wellKnown}, such as /ping`,
      )
    }
  }
  for (const [ours, theirs] of [
    ['upstream_max_connections', 'max_connections'],
    ['upstream_max_pending', 'max_pending_requests'],
  ] as const) {
    const at = ['circuit_breaker_thresholds', theirs]
    if (globals.circuit_breaker_thresholds[theirs] !== undefined && report.isWritten([ours])) {
      report.error(at, `${ours} is set too (${report.where([ours])}); set one of them`)
    }
  }
  for (const [i, host] of globals.programmatic_redirect_domain_whitelist.entries()) {
    if (host.endsWith(':443'))
      report.error(['programmatic_redirect_domain_whitelist', i], 'browsers leave out :443, and so must this')
  }
  const idps = idpsOf(providers)
  if (!authenticateUrl || !idps || !sharedSecrets || !listener) return undefined

  const { listen, certificate, certificates } = listener
  const sharedSignals = compileSharedSignals(
    globals,
    { providerIssuer: idps[0].issuer, authenticateUrl },
    naming,
    report,
  )
  const { fixed, live } = plainSettings(globals)
  checkLogFields(globals, report)
  const rateLimit = compileRateLimit(globals.rate_limit)
  return deepFreeze({
    fixed: {
      ...fixed,
      listen,
      authenticateServiceUrl: authenticateUrl,
      idps,
      storage,
      storeGrace: compileStoreGrace(globals, report),
      tokenIssuers,
      ...(outbound.ca !== undefined && { authorities: outbound.ca }),
      ...(sharedSignals && { sharedSignals }),
      ...(ordering && { acme: ordering }),
      ...(redirect && { httpRedirectAddr: redirect }),
      ...(health && { healthCheckAddr: health }),
      ...(metrics && { metricsAddress: metrics }),
      ...(telemetry && { telemetry }),
      written: writtenAtStart(globals),
    },
    live: {
      ...live,
      credentials: compileCredentials(
        { idps, sharedSecrets, signingKeys, ...(sharedSignals && { sharedSignals }) },
        globals,
      ),
      ...(rateLimit && { rateLimit }),
      ...compileLimits(globals.circuit_breaker_thresholds),
      naming,
      ...(certificate && { certificate }),
      ...(downstreamMtls && { downstreamMtls }),
      certificates,
      acmeHosts,
      ...(signoutRedirectUrl && { signoutRedirectUrl }),
      groupsScope,
      identityHeaders,
      ...(admin && { admin }),
      pages: compilePages(globals, report),
      routes,
    },
  })
}

/** A setting without which nothing works; silent when a broken value for it was reported already. */
function required(key: keyof GlobalInput, what: string, draft: Draft, report: Report): string | undefined {
  const value = draft.globals[key]
  if (typeof value === 'string') return value
  if (!draft.broken.has(key))
    report.error([key], `missing; expected ${what} (or ${key.toUpperCase()} in the environment)`)
  return undefined
}

/** The keys that mean what the schema gives: the two halves that PlainFixed and PlainLive describe. */
function plainSettings(globals: GlobalInput): { readonly fixed: PlainFixed; readonly live: PlainLive } {
  const compiled: ReadonlySet<string> = new Set(COMPILED)
  const fixedNames = new Set(globalKeys.filter(({ restart }) => restart).map(({ path }) => path[0]))
  const plain = Object.entries(globals).filter(([key, value]) => !compiled.has(key) && value !== undefined)
  const pick = (restart: boolean) =>
    Object.fromEntries(
      plain.filter(([key]) => fixedNames.has(key) === restart).map(([key, value]) => [camelCase(key), value]),
    )
  // The same keys as the types, which are computed from the same schema and the same list.
  return { fixed: pick(true) as unknown as PlainFixed, live: pick(false) as unknown as PlainLive }
}

function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

function compileAuthenticateUrl(draft: Draft, naming: Naming, report: Report): URL | undefined {
  const { globals } = draft
  const text = required(
    'authenticate_service_url',
    'the external URL of the sign-in service, https://authenticate.corp.example',
    draft,
    report,
  )
  const callbackPath = globals.authenticate_callback_path
  if (/[?#\s%\\]|\/\/|\/\.{1,2}(?:\/|$)/.test(callbackPath) || callbackPath === '/') {
    report.error(['authenticate_callback_path'], 'expected a plain path below /, such as /oauth2/callback')
  } else if (callbackPath.startsWith(`${naming.controlPrefix}/`) || callbackPath.startsWith('/.well-known/')) {
    report.error(['authenticate_callback_path'], `expected a path outside ${naming.controlPrefix} and /.well-known`)
  }
  const path = ['authenticate_service_url']
  const url = text === undefined ? undefined : parseOrigin(text, behindHop(globals.insecure_server), path, report)
  if (!url || !/(?:^|\.)pomerium\.app$/i.test(url.hostname)) return url
  report.error(path, HOSTED)
  return undefined
}

/** Pomerium's first pitfall: with one host for both, sign-in redirects to itself for ever. */
function checkAuthenticateHost(authenticateUrl: URL, draft: Draft, report: Report): void {
  const host = parseHost(authenticateUrl.host)?.host ?? authenticateUrl.hostname
  const place = report.where(['authenticate_service_url'])
  for (const { path, input } of draft.routes) {
    const from = parseFrom(input.from)
    if ('problem' in from) continue
    const at = [...path, 'from']
    if (from.host === host) {
      report.error(
        at,
        `${host} is the host of authenticate_service_url (${place}) too; sign-in needs a host that no route has`,
      )
    } else if (from.wildcard && matchesWildcard(from.host, host)) {
      report.warning(
        at,
        `${input.from} covers ${host}, the host of authenticate_service_url (${place}), which stays with sign-in`,
      )
    }
  }
}

function matchesWildcard(pattern: string, host: string): boolean {
  const parts = pattern.split('*').map((part) => part.replace(/[.[\]]/g, '\\$&'))
  return new RegExp(`^${parts.join('.+')}$`).test(host)
}

function checkCookie(
  globals: GlobalInput,
  authenticateUrl: URL | undefined,
  routes: readonly Route[],
  report: Report,
): void {
  const name = globals.cookie_name
  const plain = authenticateUrl?.protocol === 'http:' || routes.some(({ from }) => from.scheme === 'http')
  if (name !== undefined && !/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) {
    report.error(['cookie_name'], 'expected a cookie name: letters, digits, - and _')
  } else if (plain && name !== undefined && /^__(?:host|secure)-/i.test(name)) {
    report.error(['cookie_name'], 'browsers refuse __Host- and __Secure- cookies on http')
  }
  if (plain && globals.cookie_same_site === 'none') {
    report.error(['cookie_same_site'], 'browsers refuse SameSite=None cookies on http')
  }
}

/** Plain objects and arrays only: maps are read-only by type, and secrets, URLs and functions keep their own state. */
function deepFreeze<T>(value: T): T {
  if (
    Array.isArray(value) ||
    (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
  ) {
    for (const part of Object.values(value)) deepFreeze(part)
    Object.freeze(value)
  }
  return value
}
