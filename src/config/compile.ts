import { normalName } from '../lib/header-names.ts'
import { parseNetwork } from '../routing/address.ts'
import { parseFrom, parseHost } from '../routing/host.ts'
import type {
  Address,
  AuthenticateConfig,
  Config,
  CookieConfig,
  ListenConfig,
  Naming,
  OperationsConfig,
  Route,
  StorageConfig,
} from './model.ts'
import type { Clause } from '../policy/model.ts'
import { compileDirectory } from './compile/directory.ts'
import { compileClaimHeaders } from './compile/headers.ts'
import { compileIdp, millis, required } from './compile/idp.ts'
import { compileRoutes } from './compile/routes.ts'
import { compileCertificate, compileSharedSecrets, compileSigningKeys } from './compile/secrets.ts'
import { parseAddress, parseOrigin, parseUrl } from './compile/urls.ts'
import type { Report } from './issues.ts'
import type { GlobalInput } from './schema.ts'
import type { Draft } from './validate.ts'

const NAMING: Readonly<Record<Config['compatibility'], Naming>> = {
  postern: {
    controlPrefix: '/.postern',
    wellKnown: '/.well-known/postern',
    assertionHeader: 'x-postern-jwt-assertion',
    claimHeaderPrefix: 'x-postern-claim-',
    cookie: { https: '__Host-postern', http: 'postern' },
  },
  pomerium: {
    controlPrefix: '/.pomerium',
    wellKnown: '/.well-known/pomerium',
    assertionHeader: 'x-pomerium-jwt-assertion',
    claimHeaderPrefix: 'x-pomerium-claim-',
    cookie: { https: '_pomerium', http: '_pomerium' },
  },
}

/** What the values mean, together. undefined, and the reasons in the report, when they do not fit. Pure. */
export function compileConfig(draft: Draft, report: Report): Config | undefined {
  const { globals } = draft
  const naming = NAMING[globals.compatibility]
  const authenticate = compileAuthenticate(draft, naming, report)
  const idp = compileIdp(draft, report)
  const directory = compileDirectory(draft, idp?.issuer, report)
  const secretText = required('shared_secret', '32 random bytes, run `postern secrets generate`', draft, report)
  const sharedSecrets =
    secretText === undefined ? undefined : compileSharedSecrets(secretText, ['shared_secret'], report)
  const signingKeys =
    globals.signing_key === undefined ? [] : compileSigningKeys(globals.signing_key, ['signing_key'], report)
  const claims = compileClaimHeaders(globals.jwt_claims_headers, naming, report)
  const routes = compileRoutes(
    draft,
    {
      timeout: millis(globals.default_upstream_timeout),
      passIdentityHeaders: globals.pass_identity_headers,
      allowHttp: globals.insecure_server,
      compatibility: globals.compatibility,
      identity: new Set([naming.assertionHeader, ...claims.keys()].map(normalName)),
    },
    report,
  )
  if (draft.routes.length === 0 && !draft.broken.has('routes') && !draft.broken.has('policy')) {
    report.warning(['routes'], 'there are no routes: every request is answered with 404')
  }
  if (authenticate) checkAuthenticateHost(authenticate, draft, report)
  if (directory.kind === 'claims') warnAboutClaims(routes, draft, report)
  const listen = compileListen(draft, authenticate, routes, report)
  const cookie = compileCookie(globals, authenticate, routes, report)
  const storage = compileStorage(globals, report)
  const operations = compileOperations(globals, report)
  for (const [i, text] of globals.trusted_proxies.entries()) {
    if (!parseNetwork(text))
      report.error(
        ['trusted_proxies', i],
        `expected an address or CIDR such as 10.0.0.0/8, found ${JSON.stringify(text)}`,
      )
  }
  for (const key of [
    'idp_timeout',
    'cookie_expire',
    'upstream_connect_timeout',
    'timeout_read',
    'timeout_idle',
  ] as const) {
    if (millis(globals[key]) === 0) report.error([key], 'expected a duration above 0')
  }
  if (!authenticate || !idp || !sharedSecrets || !listen) return undefined

  return deepFreeze({
    compatibility: globals.compatibility,
    naming,
    listen,
    authenticate,
    idp,
    directory,
    sharedSecrets,
    signingKeys,
    cookie,
    storage,
    identityHeaders: { claims, pass: globals.pass_identity_headers },
    trust: { proxies: globals.trusted_proxies, hops: globals.xff_num_trusted_hops },
    log: { level: globals.log_level === 'disabled' ? 'off' : globals.log_level },
    timeouts: {
      header: millis(globals.timeout_read),
      idle: millis(globals.timeout_idle),
      upstream: millis(globals.default_upstream_timeout),
      upstreamBody: millis(globals.upstream_body_timeout),
      connect: millis(globals.upstream_connect_timeout),
    },
    operations,
    routes,
  })
}

function compileAuthenticate(draft: Draft, naming: Naming, report: Report): AuthenticateConfig | undefined {
  const { globals } = draft
  const text = required(
    'authenticate_service_url',
    'the external URL of the sign-in service, https://authenticate.corp.example',
    draft,
    report,
  )
  const url =
    text === undefined ? undefined : parseOrigin(text, globals.insecure_server, ['authenticate_service_url'], report)
  const callbackPath = globals.authenticate_callback_path
  if (/[?#\s%\\]|\/\/|\/\.{1,2}(?:\/|$)/.test(callbackPath) || callbackPath === '/') {
    report.error(['authenticate_callback_path'], 'expected a plain path below /, such as /oauth2/callback')
  } else if (callbackPath.startsWith(`${naming.controlPrefix}/`) || callbackPath.startsWith('/.well-known/')) {
    report.error(['authenticate_callback_path'], `expected a path outside ${naming.controlPrefix} and /.well-known`)
  }
  const after = globals.signout_redirect_url
  const signOutRedirect =
    after === undefined ? undefined : parseUrl(after, globals.insecure_server, ['signout_redirect_url'], report)
  return url && { url, callbackPath, ...(signOutRedirect && { signOutRedirect }) }
}

/** Pomerium's first pitfall: with one host for both, sign-in redirects to itself for ever. */
function checkAuthenticateHost(authenticate: AuthenticateConfig, draft: Draft, report: Report): void {
  const host = parseHost(authenticate.url.host)?.host ?? authenticate.url.hostname
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

function warnAboutClaims(routes: readonly Route[], draft: Draft, report: Report): void {
  const first = routes.find(({ policy }) => policy.kind === 'rules' && asksForGroups([...policy.allow, ...policy.deny]))
  // A service account that was written and is wrong has been reported.
  const written = [['idp_service_account'], ['directory', 'okta', 'api_token']].some((path) => report.isWritten(path))
  if (!first || written) return
  const { idp_provider: provider, groups_claim: claim } = draft.globals
  const cost = `groups come from the claim "${claim}" of the sign-in, and a change in the directory counts only after the next one`
  if (provider === 'okta') {
    report.warning(
      ['idp_service_account'],
      `missing, and rules ask for groups (first ${first.definedAt}): ${cost}; Okta may refuse the sign-in of people in more than 100 groups`,
    )
  } else report.warning(['groups_claim'], `rules ask for groups (first ${first.definedAt}): ${cost}`)
}

function asksForGroups(clauses: readonly Clause[]): boolean {
  return clauses.some(({ criteria }) => criteria.some(({ needs }) => needs === 'groups'))
}

function compileListen(
  draft: Draft,
  authenticate: AuthenticateConfig | undefined,
  routes: readonly Route[],
  report: Report,
): ListenConfig | undefined {
  const { globals, broken } = draft
  const { certificate, certificate_key: key, insecure_server: insecure } = globals
  const wantsTls =
    !insecure && (authenticate?.url.protocol === 'https:' || routes.some(({ from }) => from.scheme === 'https'))
  let tls: ListenConfig['tls']
  if (certificate !== undefined && key !== undefined) {
    const pair = compileCertificate(
      { text: certificate, path: ['certificate'] },
      { text: key, path: ['certificate_key'] },
      report,
    )
    if (wantsTls) tls = pair
    else
      report.warning(
        ['certificate'],
        `not used: ${insecure ? 'insecure_server is true' : 'every external URL is http'}`,
      )
  } else if (broken.has('certificate') || broken.has('certificate_key') || broken.has('insecure_server')) {
    return undefined
  } else if (certificate !== undefined || key !== undefined) {
    report.error(
      [certificate === undefined ? 'certificate_key' : 'certificate'],
      'expected certificate and certificate_key (or their _file forms) together',
    )
  } else if (wantsTls) {
    report.error(
      ['certificate_file'],
      'missing; https needs certificate_file and certificate_key_file, or `insecure_server: true` behind a hop that ends TLS',
    )
  }
  const address = parseAddress(globals.address ?? (wantsTls ? ':8443' : ':8080'), ['address'], report)
  return address && { ...address, ...(tls && { tls }) }
}

function compileOperations(globals: GlobalInput, report: Report): OperationsConfig {
  const address = (key: 'health_check_addr' | 'metrics_address'): Address | undefined =>
    globals[key] === undefined ? undefined : parseAddress(globals[key], [key], report)
  const health = address('health_check_addr')
  const metrics = address('metrics_address')
  return {
    ...(health && { health }),
    ...(metrics && { metrics }),
    drainDelay: millis(globals.drain_delay),
    drainTimeout: millis(globals.drain_timeout),
  }
}

function compileCookie(
  globals: GlobalInput,
  authenticate: AuthenticateConfig | undefined,
  routes: readonly Route[],
  report: Report,
): CookieConfig {
  const name = globals.cookie_name
  const plain = authenticate?.url.protocol === 'http:' || routes.some(({ from }) => from.scheme === 'http')
  if (name !== undefined && !/^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/.test(name)) {
    report.error(['cookie_name'], 'expected a cookie name: letters, digits, - and _')
  } else if (plain && name !== undefined && /^__(?:host|secure)-/i.test(name)) {
    report.error(['cookie_name'], 'browsers refuse __Host- and __Secure- cookies on http')
  }
  if (plain && globals.cookie_same_site === 'none') {
    report.error(['cookie_same_site'], 'browsers refuse SameSite=None cookies on http')
  }
  return {
    ...(name !== undefined && { name }),
    expire: millis(globals.cookie_expire),
    sameSite: globals.cookie_same_site,
  }
}

function compileStorage(globals: GlobalInput, report: Report): StorageConfig {
  const { databroker_storage_type: type, databroker_storage_connection_string: place, storage } = globals
  if (type === undefined || report.isWritten(['storage'])) {
    if (type !== undefined)
      report.error(
        ['databroker_storage_type'],
        `storage is written too (${report.where(['storage'])}); set one of them`,
      )
    return storage.type === 'memory' ? { kind: 'memory' } : { kind: 'embedded', path: storage.path }
  }
  if (type === 'memory') return { kind: 'memory' }
  return { kind: 'embedded', path: place?.replace(/^file:\/\//, '') ?? storage.path }
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
