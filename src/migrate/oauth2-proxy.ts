import {
  type Draft,
  type Keys,
  lost,
  type Missing,
  type Options,
  type RouteDraft,
  textOf,
  texts,
  unneeded,
  type Written,
} from './draft.ts'
import { literalPrefix } from '../routing/regex.ts'
import { FATES } from './oauth2-proxy-options.ts'
import { writeStorage } from './oauth2-proxy-storage.ts'

/** Options by their names in the cfg file. What may be given more than once is a list. */
export type ProxyOptions = ReadonlyMap<string, unknown>

/** One application behind oauth2-proxy. */
export interface ProxyUpstream {
  /** Where it is mounted; a regular expression when it begins with `^`. */
  readonly path: string
  readonly to: { readonly kind: 'url'; readonly url: string } | { readonly kind: 'static'; readonly status: number }
  readonly rewriteTarget?: string
  readonly keys?: Readonly<Record<string, unknown>>
}

/** Configuration of oauth2-proxy: one host, one rule for all of it. */
export function fromProxyOptions(
  proxyOptions: ProxyOptions,
  upstreams: readonly ProxyUpstream[],
  options: Options,
  already: readonly Missing[] = [],
): Draft {
  const globals: Keys = new Map()
  const missing: Missing[] = [...already]
  const left = new Map(proxyOptions)
  const take = (name: string): unknown => {
    const value = left.get(name)
    left.delete(name)
    return value === '' ? undefined : value
  }
  const text = (name: string): string | undefined => {
    const value = take(name)
    return value === undefined ? undefined : textOf(Array.isArray(value) ? value[0] : value)
  }
  const list = (name: string): readonly string[] => texts(take(name))
  const set = (key: string, value: unknown, comment?: string): void => {
    if (value !== undefined) globals.set(key, comment === undefined ? { value } : { value, comment })
  }

  const from = originOf(text('redirect_url'), missing)
  writeAuthenticateUrl(options, globals, missing)
  writeProvider({ text, list, set, missing })
  writeStorage({ text, list, set, missing })
  set('groups_claim', text('oidc_groups_claim'))
  if (text('insecure_oidc_allow_unverified_email') === 'true') {
    set('idp_allow_unverified_email', true, 'Whoever may write an address at the provider may be anybody here.')
  }
  set('cookie_expire', text('cookie_expire'))
  const sameSite = text('cookie_samesite')
  if (sameSite !== undefined && sameSite !== 'none') set('cookie_same_site', sameSite)
  writeListener({ text, list, set, missing }, from)
  writeHeaders({ text, list, set, missing }, take('claim_headers') ?? USER_HEADERS)

  const { restricted, policy } = policyOf(left, take, missing)
  const routeKeys: Record<string, Written> = {
    ...(policy !== undefined && { policy: upstreams.length > 1 ? { value: 'members' } : policy }),
    ...(text('skip_auth_preflight') === 'true' && { cors_allow_preflight: { value: true } }),
  }
  if (policy !== undefined && upstreams.length > 1) {
    globals.set('policies', { ...policy, value: { members: policy.value } })
  }
  const passHost = text('pass_host_header') !== 'false'
  const websockets = text('proxy_websockets') !== 'false'
  const skipVerify = text('ssl_upstream_insecure_skip_verify') === 'true'
  const timeout = text('upstream_timeout')
  if (timeout !== undefined) set('default_upstream_timeout', timeout)
  const forward = (upstream: ProxyUpstream): readonly [string, Written][] => {
    if (upstream.to.kind === 'static') {
      return [['response', { value: { status: upstream.to.status, body: 'Authenticated' } }]]
    }
    return [
      ['to', { value: upstream.to.url }],
      ['preserve_host_header', { value: passHost }],
      ...(websockets
        ? []
        : ([['allow_websockets', { value: false }]] as const).map((each) => [...each] as [string, Written])),
      ...(skipVerify && upstream.to.url.startsWith('https:')
        ? [['tls_skip_verify', { value: true }] as [string, Written]]
        : []),
      ...Object.entries(upstream.keys ?? {}).map(([key, value]): [string, Written] => [key, { value }]),
    ]
  }

  const sorted = [...upstreams].sort((a, b) => rank(b) - rank(a))
  const open = openRoutes(take('skip_auth_routes'), take('skip_auth_regex'), sorted, missing)
  const routes: readonly RouteDraft[] = [
    ...open.map(({ regex, methods, upstream, was }) => ({
      keys: new Map<string, Written>([
        ['from', { value: from }],
        [
          'regex',
          { value: regex, comment: `Was ${was}. There a part of the path has to match, here the whole of it.` },
        ],
        ...(methods ? ([['methods', { value: methods }]] as [string, Written][]) : []),
        ...forward(upstream),
        ['allow_public_unauthenticated_access', { value: true }],
      ]),
      missing: [],
    })),
    ...sorted.map((upstream) => ({
      keys: new Map<string, Written>([
        ['from', { value: from }],
        ...matchOf(upstream),
        ...forward(upstream),
        ...(policy === undefined ? ([['allow_any_authenticated_user', { value: true }]] as [string, Written][]) : []),
        ...Object.entries(routeKeys),
      ]),
      missing: restricted,
    })),
  ]
  for (const [name, value] of left) {
    if (value === '' || value === undefined || (Array.isArray(value) && value.length === 0)) continue
    const fate = FATES.get(name)
    if (fate === undefined) missing.push(lost(name, 'unknown option'))
    else if (fate.kind !== 'restricts')
      missing.push(fate.kind === 'unneeded' ? unneeded(name, fate.message) : lost(name, fate.message))
  }
  return { globals, routes, missing }
}

interface Reader {
  readonly text: (name: string) => string | undefined
  readonly list: (name: string) => readonly string[]
  readonly set: (key: string, value: unknown, comment?: string) => void
  readonly missing: Missing[]
}

function originOf(redirectUrl: string | undefined, missing: Missing[]): string {
  if (redirectUrl !== undefined && URL.canParse(redirectUrl) && /^https?:/.test(redirectUrl))
    return new URL(redirectUrl).origin
  missing.push(lost('redirect_url', 'it names no host; write the host of the application into `from`'))
  return 'https://app.corp.example'
}

function writeAuthenticateUrl({ authenticateUrl }: Options, globals: Keys, missing: Missing[]): void {
  if (authenticateUrl === undefined) {
    missing.push(
      lost(
        'authenticate_service_url',
        'oauth2-proxy has none; give the host of your sign-in service by --authenticate-url',
      ),
    )
    return
  }
  const origin = authenticateUrl.replace(/\/$/, '')
  globals.set('authenticate_service_url', {
    value: origin,
    comment: `A host of its own serves the sign-in. Register ${origin}/oauth2/callback at the identity provider.`,
  })
}

/** Provider → ours. The others do not speak OpenID Connect. */
const PROVIDERS: Readonly<Record<string, string>> = {
  oidc: 'oidc',
  google: 'google',
  azure: 'azure',
  'entra-id': 'azure',
  gitlab: 'gitlab',
  'keycloak-oidc': 'keycloak',
  keycloak: 'keycloak',
  adfs: 'oidc',
  'login.gov': 'oidc',
  linkedin: 'oidc',
}

function writeProvider({ text, list, set, missing }: Reader): void {
  const provider = text('provider') ?? 'google'
  const ours = PROVIDERS[provider]
  const issuer = text('oidc_issuer_url')
  const tenant = text('azure_tenant')
  if (ours === undefined) {
    missing.push(lost('provider', `${provider} does not speak OpenID Connect; choose another provider`))
  } else {
    set('idp_provider', issuer?.includes('.okta.com') || issuer?.includes('.oktapreview.com') ? 'okta' : ours)
  }
  if (issuer !== undefined) set('idp_provider_url', issuer)
  else if (tenant !== undefined) set('idp_provider_url', `https://login.microsoftonline.com/${tenant}/v2.0`)
  set('idp_client_id', text('client_id'))
  set('idp_client_secret', text('client_secret'))
  set('idp_client_secret_file', text('client_secret_file'))
  const scopes = list('scope')
  if (scopes.length > 0) set('idp_scopes', scopes)
  const parameters = Object.fromEntries(
    [
      ['prompt', text('prompt') ?? (text('approval_prompt') === 'force' ? 'consent' : undefined)],
      ['acr_values', text('acr_values')],
    ].filter(([, value]) => value !== undefined),
  ) as Record<string, string>
  if (Object.keys(parameters).length > 0) set('idp_request_params', parameters)
  const authorities = list('provider_ca_files')
  set('certificate_authority_file', authorities[0])
  if (authorities.length > 1) missing.push(lost('provider_ca_files', 'put all certificates into the first file'))
}

function writeListener({ text, list, set, missing }: Reader, from: string): void {
  const certificate = text('tls_cert_file')
  const [http, https] = [text('http_address'), text('https_address')]
  set('certificate_file', certificate)
  set('certificate_key_file', text('tls_key_file'))
  const address = certificate === undefined ? http : (https ?? http)
  if (address !== undefined) set('address', address.replace(/^\[?(?:https?|tcp):?\]?\/\//, ''))
  if (certificate === undefined && from.startsWith('https:')) {
    set('insecure_server', true, 'TLS ends in front: nobody else may reach this address.')
  }
  const proxies = list('trusted_proxy_ips')
  const reverse = text('reverse_proxy') === 'true'
  if (proxies.length > 0) set('trusted_proxies', proxies)
  else if (reverse)
    missing.push(lost('reverse_proxy', 'write the addresses of the proxies in front into trusted_proxies'))
  set('metrics_address', text('metrics_address'))
  const health = [text('ping_path'), text('ready_path')].filter((path) => path !== undefined)
  if (health.length > 0) set('public_health_paths', health, 'On hosts of routes these paths belong to the application.')
}

function writeHeaders({ text, set, missing }: Reader, claimHeaders: unknown): void {
  const basic = text('pass_basic_auth')
  if (basic === 'true')
    missing.push(lost('pass_basic_auth', 'applications get headers and a signed assertion, no password'))
  if (text('pass_user_headers') === 'false') return
  set('pass_identity_headers', true, 'Applications get a signed assertion as well, in X-Postern-Jwt-Assertion.')
  set('jwt_claims_headers', claimHeaders)
}

/** What `pass_user_headers` passes. */
const USER_HEADERS = {
  'X-Forwarded-User': 'sub',
  'X-Forwarded-Email': 'email',
  'X-Forwarded-Preferred-Username': 'preferred_username',
  'X-Forwarded-Groups': 'groups',
}

/** Who may open it: an address of a domain, and a group. `restricted`: what could not be carried over would let more people in. */
function policyOf(
  left: ReadonlyMap<string, unknown>,
  take: (name: string) => unknown,
  missing: Missing[],
): { readonly restricted: readonly Missing[]; readonly policy: Written | undefined } {
  const domains = texts(take('email_domains'))
  const groups = ['allowed_groups', 'google_groups', 'google_group', 'gitlab_groups', 'keycloak_groups'].flatMap(
    (name) => texts(take(name)),
  )
  const trusted = texts(take('trusted_ips'))
  const everyone = trusted.map((range) => ({ source_ip: range }))
  const open = everyone.length > 0 ? [{ allow: { or: everyone } }] : []
  const restricted = [...left.keys()].flatMap((name) => {
    const fate = FATES.get(name)
    return fate?.kind === 'restricts'
      ? [lost(name, `${fate.message}: nobody is let in until you write that into \`policy\``)]
      : []
  })
  if (restricted.length > 0) {
    return {
      restricted,
      policy: { value: [...open, { allow: { or: [{ reject: true }] } }], comment: 'Nobody: see above.' },
    }
  }
  const plain = domains.filter((domain) => domain !== '*' && !domain.startsWith('.'))
  const below = domains.filter((domain) => domain.startsWith('.'))
  const addresses: readonly object[] = domains.includes('*')
    ? [{ authenticated_user: true }]
    : [
        ...(plain.length > 0 ? [{ domain: plain.length === 1 ? plain[0] : { in: plain } }] : []),
        ...below.map((domain) => ({ domain: { ends_with: domain } })),
      ]
  if (addresses.length === 0) {
    if (left.has('authenticated_emails_file')) {
      return {
        restricted: [],
        policy: {
          value: [...open, { allow: { or: [{ reject: true }] } }],
          comment: 'Nobody: write the addresses of authenticated_emails_file into `allowed_users` beside it.',
        },
      }
    }
    missing.push(lost('email_domains', 'there are none, so that nobody is let in until you write a rule'))
    return { restricted: [], policy: { value: [...open, { allow: { or: [{ reject: true }] } }] } }
  }
  if (groups.length === 0) {
    if (open.length === 0 && domains.includes('*')) return { restricted: [], policy: undefined }
    return { restricted: [], policy: { value: [...open, { allow: { or: addresses } }] } }
  }
  const rules = addresses.flatMap((address) =>
    groups.map((group) => ({ allow: { and: [address, { groups: group }] } })),
  )
  const comment = domains.includes('*')
    ? undefined
    : 'A domain and a group, as there. `allowed_domains` beside `allowed_groups` would be one or the other.'
  return { restricted: [], policy: { value: [...open, ...rules], ...(comment !== undefined && { comment }) } }
}

/** oauth2-proxy takes the longest path; we take the first of the file. */
function rank({ path }: ProxyUpstream): number {
  return path.startsWith('^') ? Number.MAX_SAFE_INTEGER : path.length
}

/** A path that ends in a slash has everything below it, another one is a single path. */
function matchOf({ path, rewriteTarget }: ProxyUpstream): readonly [string, Written][] {
  if (path.startsWith('^')) {
    const regex = wholePath(path)
    return [
      ['regex', { value: regex }],
      ...(rewriteTarget === undefined
        ? []
        : ([
            ['regex_rewrite_pattern', { value: path }],
            ['regex_rewrite_substitution', { value: rewriteTarget.replace(/\$\{?(\d)\}?/g, '\\$1') }],
          ] as [string, Written][])),
    ]
  }
  const rewrite: [string, Written][] = rewriteTarget === undefined ? [] : [['prefix_rewrite', { value: rewriteTarget }]]
  if (path === '/' || path === '') return rewrite
  return [[path.endsWith('/') ? 'prefix' : 'path', { value: path }], ...rewrite]
}

interface OpenRoute {
  readonly regex: string
  readonly methods: readonly string[] | undefined
  readonly upstream: ProxyUpstream
  readonly was: string
}

/** `GET=^/health`, `^/public`, `!=^/private`. */
function openRoutes(
  routes: unknown,
  regexes: unknown,
  upstreams: readonly ProxyUpstream[],
  missing: Missing[],
): readonly OpenRoute[] {
  const written = [
    ...list(routes).map((text) => ({ name: 'skip_auth_routes', text })),
    ...list(regexes).map((text) => ({ name: 'skip_auth_regex', text })),
  ]
  return written.flatMap(({ name, text }): readonly OpenRoute[] => {
    const [, methods = '', negated = '', pattern = text] =
      name === 'skip_auth_routes' ? (/^([A-Z,]*)(!?)=(.*)$/s.exec(text) ?? []) : []
    const upstream = upstreamOf(pattern, upstreams)
    if (negated !== '') {
      missing.push(lost(`${name} ${text}`, 'write the public paths; until then these ask for a sign-in'))
    } else if (upstream === undefined) {
      missing.push(
        lost(`${name} ${text}`, 'it may be of several upstreams: write a public route for each that is meant'),
      )
    } else {
      return [
        {
          regex: wholePath(pattern),
          methods: methods === '' ? undefined : methods.split(',').filter(Boolean),
          upstream,
          was: text,
        },
      ]
    }
    return []
  })
}

/** The upstream of every path that the expression finds; undefined when that cannot be told. */
function upstreamOf(pattern: string, upstreams: readonly ProxyUpstream[]): ProxyUpstream | undefined {
  const [only, another] = upstreams
  if (another === undefined) return only
  const { text } = pattern.startsWith('^') ? literalPrefix(pattern) : { text: '' }
  const deeper = upstreams.some(({ path }) => path.startsWith('^') || (path.startsWith(text) && path !== text))
  if (text === '' || deeper) return undefined
  return upstreams.find(({ path }) => (path.endsWith('/') ? text.startsWith(path) : text === path))
}

/** An expression for the whole path that matches what the other one finds in a part of it. */
function wholePath(pattern: string): string {
  const plain = /^\^?([^|^$]*[^|^$\\])?\$?$/.test(pattern)
  if (!plain) return `.*(?:${pattern}).*`
  const [, begin = '', middle = '', end = ''] = /^(\^?)(.*?)(\$?)$/s.exec(pattern) ?? []
  return `${begin === '' ? '.*' : ''}${middle}${end === '' ? '.*' : ''}`
}

function list(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(textOf) : value === undefined ? [] : [textOf(value)]
}
