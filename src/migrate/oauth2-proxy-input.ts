import { parse as parseToml } from 'smol-toml'
import { isTree } from '../config/input.ts'
import { lost, type Missing, textOf, texts, treeAt } from './draft.ts'
import type { ProxyOptions, ProxyUpstream } from './oauth2-proxy.ts'

type Tree = Readonly<Record<string, unknown>>

export interface ProxyInput {
  readonly options: ProxyOptions
  readonly upstreams: readonly ProxyUpstream[]
  readonly missing: readonly Missing[]
}

/** A cfg file, which is TOML. Throws what the parser throws. */
export function readCfg(text: string): ProxyInput {
  return withUpstreams(new Map(Object.entries(parseToml(text))))
}

/** Flags of a command line, of a manifest or of a compose file, wherever they stand: `--email-domain=corp.example`. */
export function readFlags(text: string): ProxyInput {
  const options = new Map<string, unknown>()
  const words = text.match(/"(?:[^"\\]|\\.)*"|'[^']*'|[^\s,[\]]+/g) ?? []
  for (let i = 0; i < words.length; i++) {
    const word = unquoted(words[i] ?? '')
    const [, flag, inline] = /^--?([a-z][a-z0-9-]*)(?:=(.*))?$/s.exec(word) ?? []
    if (flag === undefined) continue
    const next = words[i + 1]
    const value = inline ?? (next === undefined || /^["']?-/.test(next) ? 'true' : unquoted(words[++i] ?? ''))
    add(options, nameOfFlag(flag), unquoted(value))
  }
  return withUpstreams(options)
}

/** An env file: `OAUTH2_PROXY_CLIENT_ID=…`. */
export function readEnvironmentFile(text: string): ProxyInput {
  const options = new Map<string, unknown>()
  for (const [, name = '', value = ''] of text.matchAll(
    /^\s*(?:export\s+|-\s+)?OAUTH2_PROXY_([A-Z0-9_]+)\s*[=:]\s*(.*)$/gm,
  )) {
    const values = unquoted(value.trim()).split(',')
    for (const each of values) add(options, name.toLowerCase(), each)
  }
  return withUpstreams(options)
}

/** The alpha configuration, which is YAML. What it does not hold stands in a cfg file or in flags beside it. */
export function readAlpha(input: Tree): ProxyInput {
  const options = new Map<string, unknown>()
  const missing: Missing[] = []
  const providers = Array.isArray(input['providers']) ? input['providers'].filter(isTree) : []
  const [provider = {}, ...others] = providers
  if (others.length > 0)
    missing.push(lost('providers', 'the first is taken; write the others into `identity_providers`'))
  for (const [key, value] of Object.entries(provider)) {
    if (isTree(value))
      for (const [inner, given] of Object.entries(value))
        set(options, ALPHA_INNER[inner], `providers[0].${key}.${inner}`, given, missing)
    else set(options, ALPHA_PROVIDER[key], `providers[0].${key}`, value, missing)
  }
  const server = treeAt(input, 'server')
  set(options, 'http_address', 'server.bindAddress', addressOf(server['bindAddress']), missing)
  set(options, 'https_address', 'server.secureBindAddress', addressOf(server['secureBindAddress']), missing)
  set(options, 'tls_cert_file', 'server.tls.cert', treeAt(server, 'tls', 'cert')['fromFile'], missing)
  set(options, 'tls_key_file', 'server.tls.key', treeAt(server, 'tls', 'key')['fromFile'], missing)
  set(
    options,
    'metrics_address',
    'metricsServer.bindAddress',
    addressOf(treeAt(input, 'metricsServer')['bindAddress']),
    missing,
  )
  const claimHeaders: Record<string, string> = {}
  options.set('claim_headers', claimHeaders)
  for (const kind of ['injectRequestHeaders', 'injectResponseHeaders']) {
    const headers = input[kind]
    for (const header of Array.isArray(headers) ? headers.filter(isTree) : []) {
      const claim = kind === 'injectRequestHeaders' ? soleClaim(header['values']) : undefined
      if (claim !== undefined) {
        claimHeaders[textOf(header['name'])] = claim
        continue
      }
      missing.push(
        lost(
          `${kind} ${textOf(header['name'])}`,
          kind === 'injectRequestHeaders'
            ? 'see jwt_claims_headers and set_request_headers'
            : 'see set_response_headers',
        ),
      )
    }
  }
  const entries = treeAt(input, 'upstreamConfig')['upstreams'] ?? input['upstreams']
  const upstreams = (Array.isArray(entries) ? entries.filter(isTree) : []).flatMap((entry) => {
    const path = textOf(entry['path'] ?? '/')
    const keys: Record<string, unknown> = {}
    if (entry['passHostHeader'] === false) keys['preserve_host_header'] = false
    if (entry['proxyWebSockets'] === false) keys['allow_websockets'] = false
    if (entry['insecureSkipTLSVerify'] === true) keys['tls_skip_verify'] = true
    if (typeof entry['timeout'] === 'string') keys['timeout'] = entry['timeout']
    const rewriteTarget = entry['rewriteTarget']
    const rest = { path, keys, ...(typeof rewriteTarget === 'string' && { rewriteTarget }) }
    if (entry['static'] === true)
      return [{ ...rest, to: { kind: 'static', status: Number(entry['staticCode'] ?? 200) } } as const]
    return upstreamOf(textOf(entry['uri'] ?? ''), missing, rest)
  })
  return { options, upstreams, missing }
}

/** Ours of a header that is one claim and nothing else. The alpha configuration has had the claim in two places. */
function soleClaim(values: unknown): string | undefined {
  const [value, ...others] = Array.isArray(values) ? values : []
  if (!isTree(value) || others.length > 0) return undefined
  const { claim, ...rest } = isTree(value['claimSource']) ? value['claimSource'] : value
  return Object.keys(rest).length > 0 ? undefined : CLAIMS[textOf(claim)]
}

/** Claims of its session. Tokens are claims there, too; none is passed on. */
const CLAIMS: Readonly<Partial<Record<string, string>>> = {
  user: 'sub',
  email: 'email',
  preferred_username: 'preferred_username',
  groups: 'groups',
}

const ALPHA_PROVIDER: Readonly<Record<string, string>> = {
  provider: 'provider',
  clientID: 'client_id',
  clientSecret: 'client_secret',
  clientSecretFile: 'client_secret_file',
  scope: 'scope',
  allowedGroups: 'allowed_groups',
  caFiles: 'provider_ca_files',
  code_challenge_method: 'code_challenge_method',
  loginURL: 'login_url',
  redeemURL: 'redeem_url',
  profileURL: 'profile_url',
  validateURL: 'validate_url',
  backendLogoutURL: 'backend_logout_url',
  name: 'provider_display_name',
  id: 'provider_display_name',
  resource: 'resource',
  useSystemTrustStore: 'use_system_trust_store',
  skipClaimsFromProfileURL: 'skip_claims_from_profile_url',
}

const ALPHA_INNER: Readonly<Record<string, string>> = {
  issuerURL: 'oidc_issuer_url',
  groupsClaim: 'oidc_groups_claim',
  emailClaim: 'oidc_email_claim',
  userIDClaim: 'user_id_claim',
  audienceClaims: 'oidc_audience_claims',
  extraAudiences: 'oidc_extra_audiences',
  insecureAllowUnverifiedEmail: 'insecure_oidc_allow_unverified_email',
  insecureSkipIssuerVerification: 'insecure_oidc_skip_issuer_verification',
  insecureSkipNonce: 'insecure_oidc_skip_nonce',
  skipDiscovery: 'skip_oidc_discovery',
  jwksURL: 'oidc_jwks_url',
  publicKeyFiles: 'oidc_public_key_files',
  tenant: 'azure_tenant',
  graphGroupField: 'azure_graph_group_field',
  allowedTenants: 'entra_id_allowed_tenants',
  federatedTokenAuth: 'entra_id_federated_token_auth',
  // GitLab and Google.
  group: 'allowed_groups',
  projects: 'gitlab_projects',
  // Keycloak.
  groups: 'allowed_groups',
  roles: 'allowed_roles',
  adminEmail: 'google_admin_email',
  serviceAccountJson: 'google_service_account_json',
  useApplicationDefaultCredentials: 'google_use_application_default_credentials',
  targetPrincipal: 'google_target_principal',
  useOrganizationID: 'google_use_organization_id',
  adminAPIUserScope: 'google_admin_api_user_scope',
  org: 'github_org',
  team: 'github_team',
  repo: 'github_repo',
  token: 'github_token',
  users: 'github_users',
  repository: 'bitbucket_repository',
  jwtKey: 'jwt_key',
  jwtKeyFile: 'jwt_key_file',
  pubjwkURL: 'pubjwk_url',
}

function set(
  options: Map<string, unknown>,
  name: string | undefined,
  where: string,
  value: unknown,
  missing: Missing[],
): void {
  if (value === undefined || value === null) return
  if (name === undefined) missing.push(lost(where, 'unknown option'))
  else options.set(name, value)
}

function addressOf(value: unknown): unknown {
  return typeof value === 'string' ? value.replace(/^https?:\/\//, '') : value
}

function withUpstreams(given: ReadonlyMap<string, unknown>): ProxyInput {
  const options = new Map(given)
  const missing: Missing[] = []
  const upstreams = texts(options.get('upstreams')).flatMap((uri) => upstreamOf(uri, missing))
  options.delete('upstreams')
  return { options, upstreams, missing }
}

/** In a cfg file the path of the address is where it is mounted; requests keep their path. */
function upstreamOf(uri: string, missing: Missing[], alpha?: Omit<ProxyUpstream, 'to'>): readonly ProxyUpstream[] {
  const [, status] = /^static:\/\/(\d{3})/.exec(uri) ?? []
  if (status !== undefined) return [{ path: '/', ...alpha, to: { kind: 'static', status: Number(status) } }]
  if (uri.startsWith('unix:'))
    return [{ path: '/', ...alpha, to: { kind: 'url', url: uri.replace(/^unix:\/*/, 'unix:///') } }]
  if (!URL.canParse(uri) || !/^https?:/.test(uri)) {
    missing.push(lost(`upstream ${uri}`, 'Postern serves no files; put a web server behind it'))
    return []
  }
  const { origin, pathname, hash } = new URL(uri)
  const url = origin.replace(/^null$/, uri)
  return [
    alpha
      ? { ...alpha, to: { kind: 'url', url } }
      : { path: hash === '' ? pathname : hash.slice(1), to: { kind: 'url', url } },
  ]
}

function add(options: Map<string, unknown>, name: string, value: string): void {
  const known = options.get(name)
  options.set(
    name,
    known === undefined ? value : [...(Array.isArray(known) ? (known as readonly unknown[]) : [known]), value],
  )
}

/** Flags that may be given more than once have a singular name. */
const PLURALS: Readonly<Record<string, string>> = {
  upstream: 'upstreams',
  email_domain: 'email_domains',
  allowed_group: 'allowed_groups',
  allowed_role: 'allowed_roles',
  google_group: 'google_groups',
  gitlab_group: 'gitlab_groups',
  gitlab_project: 'gitlab_projects',
  keycloak_group: 'keycloak_groups',
  keycloak_role: 'keycloak_roles',
  github_user: 'github_users',
  skip_auth_route: 'skip_auth_routes',
  trusted_ip: 'trusted_ips',
  trusted_proxy_ip: 'trusted_proxy_ips',
  whitelist_domain: 'whitelist_domains',
  cookie_domain: 'cookie_domains',
  provider_ca_file: 'provider_ca_files',
  api_route: 'api_routes',
  htpasswd_user_group: 'htpasswd_user_groups',
  oidc_audience_claim: 'oidc_audience_claims',
  oidc_extra_audience: 'oidc_extra_audiences',
  oidc_public_key_file: 'oidc_public_key_files',
  entra_id_allowed_tenant: 'entra_id_allowed_tenants',
  tls_cipher_suite: 'tls_cipher_suites',
  exclude_logging_path: 'exclude_logging_paths',
}

function nameOfFlag(flag: string): string {
  const name = flag.replaceAll('-', '_')
  return PLURALS[name] ?? name
}

function unquoted(text: string): string {
  return text.replace(/^(["'])(.*)\1$/s, '$2')
}
