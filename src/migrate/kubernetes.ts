import { parse } from 'yaml'
import { isTree } from '../config/input.ts'
import { type Draft, lost, type Missing, type Options, textOf, texts, treeAt, unneeded } from './draft.ts'
import { readIngresses } from './ingress.ts'
import { fromPomerium } from './pomerium.ts'

type Tree = Readonly<Record<string, unknown>>

/** Values of Pomerium's Helm chart. */
export function fromHelmValues(values: Tree, options: Options): Draft {
  const config = treeAt(values, 'config')
  const idp = treeAt(values, 'authenticate', 'idp')
  const storage = treeAt(values, 'databroker', 'storage')
  const missing: Missing[] = []
  const input: Record<string, unknown> = { ...treeAt(values, 'config', 'extraOpts') }
  const { rootDomain } = config
  if (typeof rootDomain === 'string' && rootDomain !== '') {
    input['authenticate_service_url'] ??= `https://authenticate.${rootDomain}`
  }
  rename(idp, HELM_IDP, 'authenticate.idp.', input, missing)
  rename(config, HELM_CONFIG, 'config.', input, missing)
  rename(storage, HELM_STORAGE, 'databroker.storage.', input, missing)
  if (config['insecure'] === true || config['insecureProxy'] === true) input['insecure_server'] = true
  for (const [key, value] of Object.entries(values)) {
    if (key === 'config' || key === 'authenticate' || key === 'databroker') {
      for (const inner of Object.keys(isTree(value) ? value : {})) {
        if (key === 'authenticate' && inner === 'idp') continue
        if (key === 'databroker' && inner === 'storage') continue
        if (key !== 'config') missing.push(unneeded(`${key}.${inner}`, DEPLOYMENT))
      }
    } else missing.push(HELM_LOST[key] === undefined ? unneeded(key, DEPLOYMENT) : lost(key, HELM_LOST[key]))
  }
  return fromPomerium(input, options, missing)
}

const DEPLOYMENT = "it concerns the deployment; see the values of Postern's chart"
const VARIABLES = 'Postern reads variables by the names of Pomerium: give it those that hold configuration'
/** What of the deployment is configuration all the same. */
const HELM_LOST: Readonly<Partial<Record<string, string>>> = {
  extraEnv: VARIABLES,
  extraEnvFrom: VARIABLES,
  forwardAuth: 'a proxy of trusted_proxies asks by its own path (docs/forward-auth.md)',
}
const HELM_IDP: Renames = {
  provider: 'idp_provider',
  clientID: 'idp_client_id',
  clientSecret: 'idp_client_secret',
  url: 'idp_provider_url',
  scopes: 'idp_scopes',
  serviceAccount: 'idp_service_account',
}
const HELM_CONFIG: Renames = {
  rootDomain: '',
  extraOpts: '',
  insecure: '',
  insecureProxy: '',
  sharedSecret: 'shared_secret',
  cookieSecret: 'cookie_secret',
  signingKey: 'signing_key',
  routes: 'routes',
  policy: 'policy',
  administrators: { lost: 'there are no administrators' },
  existingSecret: { lost: 'give the secrets of this Secret by SHARED_SECRET and IDP_CLIENT_SECRET' },
  existingSigningKeySecret: { lost: 'mount this Secret and name the file in signing_key_file' },
  existingPolicy: { lost: 'add the routes of this ConfigMap by hand' },
  existingCASecret: { unneeded: DEPLOYMENT },
  existingConfig: { lost: 'migrate the file of this ConfigMap, too' },
  ca: { unneeded: 'Postern is one process and needs no authority of its own' },
  generateTLS: { unneeded: 'Postern is one process and needs no certificates of its own' },
  generateSigningKey: { unneeded: 'the signing key derives from shared_secret' },
  forceGenerateTLS: { unneeded: 'Postern is one process and needs no certificates of its own' },
}
const HELM_STORAGE: Renames = {
  type: 'databroker_storage_type',
  connectionString: 'databroker_storage_connection_string',
  tlsSkipVerify: { unneeded: "the store's certificate is always checked; `storage.ca_file` names its authority" },
  clientTLS: { unneeded: 'files of it are named by `storage.client_cert_file` and `storage.client_key_file`' },
}

/** Objects of Kubernetes: `Pomerium` resources and Ingresses; Services tell the numbers of ports. */
export function fromObjects(objects: readonly Tree[], options: Options): Draft {
  const missing: Missing[] = []
  const input: Record<string, unknown> = {}
  const all = objects.flatMap(itemsOf)
  const kind = (name: string): readonly Tree[] => all.filter((object) => object['kind'] === name)
  for (const object of all) {
    const name = `${textOf(object['kind'])} ${textOf(treeAt(object, 'metadata')['name'] ?? '')}`
    if (object['kind'] === 'Pomerium') readSettings(treeAt(object, 'spec'), name, input, missing)
    else if (object['kind'] !== 'Ingress' && object['kind'] !== 'Service')
      missing.push(unneeded(name, 'it holds no configuration of Pomerium'))
  }
  const routes = routesOf(kind('Ingress'), kind('Service'), missing)
  return fromPomerium({ ...input, routes }, options, missing)
}

/** A `List` holds others. */
function itemsOf(object: Tree): readonly Tree[] {
  return Array.isArray(object['items']) ? object['items'].filter(isTree) : [object]
}

function readSettings(spec: Tree, name: string, input: Record<string, unknown>, missing: Missing[]): void {
  rename(
    treeAt(spec, 'authenticate'),
    { url: 'authenticate_service_url', callbackPath: 'authenticate_callback_path' },
    `${name} authenticate.`,
    input,
    missing,
  )
  rename(treeAt(spec, 'identityProvider'), CRD_IDP, `${name} identityProvider.`, input, missing)
  rename(treeAt(spec, 'cookie'), CRD_COOKIE, `${name} cookie.`, input, missing)
  rename(
    treeAt(spec, 'timeouts'),
    { read: 'timeout_read', write: 'timeout_write', idle: 'timeout_idle' },
    `${name} timeouts.`,
    input,
    missing,
  )
  const nested = Object.entries(spec).map(([key, value]) => [key, NESTED.has(key) ? snakeCased(value) : value])
  rename(Object.fromEntries(nested) as Tree, CRD, `${name} `, input, missing)
  for (const [type, storage] of Object.entries(treeAt(spec, 'storage'))) {
    input['databroker_storage_type'] = type
    rename(treeAt({ storage }, 'storage'), CRD_STORAGE, `${name} storage.${type}.`, input, missing)
  }
}

const MOUNT = 'mount the Secrets and name their files in certificate_file and certificate_key_file'
const SECRET = 'Postern reads no Secrets; give what it holds by the environment'
const CRD_IDP: Renames = {
  provider: 'idp_provider',
  url: 'idp_provider_url',
  scopes: 'idp_scopes',
  requestParams: 'idp_request_params',
  secret: { lost: `${SECRET}: IDP_CLIENT_ID, IDP_CLIENT_SECRET` },
  serviceAccountFromSecret: { lost: `${SECRET}: IDP_SERVICE_ACCOUNT` },
  requestParamsSecret: { lost: 'write the parameters into idp_request_params' },
  refreshDirectory: { unneeded: 'see directory.refresh_interval' },
}
const CRD_COOKIE: Renames = {
  name: 'cookie_name',
  domain: 'cookie_domain',
  httpOnly: 'cookie_http_only',
  expire: 'cookie_expire',
  sameSite: 'cookie_same_site',
}
const CRD_STORAGE: Renames = {
  path: 'databroker_storage_connection_string',
  secret: { lost: `${SECRET}: DATABROKER_STORAGE_CONNECTION_STRING` },
  caSecret: {
    lost: 'mount the Secret and name the file in `storage.ca_file`, beside `storage.type` and `storage.url_file`',
  },
  tlsSecret: {
    lost: 'mount the Secret and name its files in `storage.client_cert_file` and `storage.client_key_file`, beside `storage.type` and `storage.url_file`',
  },
}
const CRD: Renames = {
  authenticate: '',
  identityProvider: '',
  cookie: '',
  timeouts: '',
  storage: '',
  jwtClaimHeaders: 'jwt_claims_headers',
  passIdentityHeaders: 'pass_identity_headers',
  setResponseHeaders: 'set_response_headers',
  programmaticRedirectDomains: 'programmatic_redirect_domain_whitelist',
  runtimeFlags: 'runtime_flags',
  useProxyProtocol: 'use_proxy_protocol',
  codecType: 'codec_type',
  bearerTokenFormat: 'bearer_token_format',
  idpAccessTokenAllowedAudiences: 'idp_access_token_allowed_audiences',
  downstreamMtls: 'downstream_mtls',
  circuitBreakerThresholds: 'circuit_breaker_thresholds',
  accessLogFields: 'access_log_fields',
  authorizeLogFields: 'authorize_log_fields',
  allowUpgrades: 'allow_upgrades',
  mergeSlashes: 'merge_slashes',
  normalizePath: 'normalize_path',
  pathWithEscapedSlashesAction: 'path_with_escaped_slashes_action',
  headersWithUnderscoresAction: 'headers_with_underscores_action',
  secrets: { lost: `${SECRET}: SHARED_SECRET, SIGNING_KEY` },
  certificates: { lost: MOUNT },
  caSecrets: { lost: 'mount the Secrets and name the file in certificate_authority_file' },
}

/** Maps whose keys are keys of Pomerium's file. */
const NESTED = new Set(['downstreamMtls', 'circuitBreakerThresholds'])

function snakeCased(value: unknown): unknown {
  if (!isTree(value)) return value
  const entries = Object.entries(value).map(([key, inner]) => [
    key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
    // A list of maps there.
    key === 'matchSubjectAltNames' && isTree(inner)
      ? Object.entries(inner).map(([name, pattern]) => snakeCased({ [name]: pattern }))
      : inner,
  ])
  return Object.fromEntries(entries) as unknown
}

const ANNOTATION = /^[^/]*pomerium[^/]*\//

function routesOf(ingresses: readonly Tree[], services: readonly Tree[], missing: Missing[]): readonly Tree[] {
  const reading = readIngresses(
    { ingresses, services, classes: [] },
    { keyOf: (name) => (ANNOTATION.test(name) ? name.replace(ANNOTATION, '') : undefined) },
  )
  const nameOf = (ingress: string): string => `Ingress ${ingress.replace(/^default\//, '')}`
  for (const { ingress, annotation } of reading.foreign)
    missing.push(unneeded(`${nameOf(ingress)} ${annotation}`, 'it is no annotation of Pomerium'))
  const keys = new Map([...reading.annotations].map(([id, said]) => [id, keysOf(said, nameOf(id), missing)]))
  for (const { ingress, at, reason } of reading.refused) missing.push(lost(`${nameOf(ingress)} ${at}`.trim(), reason))
  for (const { ingress, secret } of reading.certificates)
    missing.push(lost(`${nameOf(ingress)} tls`, `${MOUNT}: ${secret}`))
  return reading.routes.map(({ ingress, route }) => ({ ...route, ...keys.get(ingress) }))
}

function keysOf(said: ReadonlyMap<string, unknown>, name: string, missing: Missing[]): Tree {
  const route: Record<string, unknown> = {}
  for (const [key, value] of said) {
    if (key.endsWith('_secret'))
      missing.push(lost(`${name} ${key}`, `${SECRET}, or by a file: see ${key.replace(/_secret$/, '')}`))
    else route[key] = TEXT_ANNOTATIONS.has(key) ? value : yamlOf(value)
  }
  return route
}

/** Annotations whose value is text as it is. */
const TEXT_ANNOTATIONS = new Set([
  'name',
  'description',
  'logo_url',
  'prefix_rewrite',
  'regex_rewrite_pattern',
  'regex_rewrite_substitution',
  'host_rewrite',
  'host_rewrite_header',
  'host_path_regex_rewrite_pattern',
  'host_path_regex_rewrite_substitution',
  'tls_server_name',
])

function yamlOf(value: unknown): unknown {
  if (typeof value !== 'string') return value
  try {
    return parse(value, { logLevel: 'error' })
  } catch {
    return value
  }
}

/** Name there → name in Pomerium's file, `''` for what was read already, or why there is none. */
type Renames = Readonly<Record<string, string | { readonly lost: string } | { readonly unneeded: string }>>

function rename(
  tree: Tree,
  renames: Renames,
  prefix: string,
  input: Record<string, unknown>,
  missing: Missing[],
): void {
  for (const [key, value] of Object.entries(tree)) {
    const to = renames[key]
    if (to === '' || value === null || value === undefined || value === '') continue
    if (to === undefined) missing.push(lost(prefix + key, 'unknown key'))
    else if (typeof to === 'string') input[to] = key === 'scopes' ? texts(value) : value
    else if ('lost' in to) missing.push(lost(prefix + key, to.lost))
    else missing.push(unneeded(prefix + key, to.unneeded))
  }
}
