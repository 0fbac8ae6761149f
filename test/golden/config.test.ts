import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatIssue } from '../../src/config/issues.ts'
import { parseConfig } from '../../src/config/load.ts'
import type { Config, DirectoryConfig, OktaCredentials, OtlpReceiver } from '../../src/config/model.ts'
import type { StorageConfig } from '../../src/config/storage-model.ts'
import type { Action, Balancing, HostRewrite, PathRewrite, Route } from '../../src/config/route-model.ts'
import type { Policy } from '../../src/policy/model.ts'

/**
 * test/golden/config/*.txt: a configuration file, a line of dashes, and what Postern says about it: the issues, or
 * what it understood. Comments that begin with `#env NAME=value` set the environment, `#file PATH text` makes a
 * file (and `tls.…`, `mtls/…` are test/unit/config/fixtures); `#base` gives everything that a configuration needs but its routes.
 * `GOLDEN=update npx vitest run test/golden` writes the second halves anew, to be read before they are committed.
 */
const folder = new URL('./config/', import.meta.url)
const fixtures = new URL('../unit/config/fixtures/', import.meta.url)
const DASHES = '----------\n'

const base = {
  AUTHENTICATE_SERVICE_URL: 'https://authenticate.corp.example',
  IDP_PROVIDER_URL: 'https://dev-1.okta.com',
  IDP_CLIENT_ID: '0oa1',
  IDP_CLIENT_SECRET: 'client-secret-of-the-base',
  IDP_SERVICE_ACCOUNT: '00token-of-the-base',
  SHARED_SECRET: 'MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=',
  INSECURE_SERVER: 'true',
}

describe('golden configurations', () => {
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.txt'))) {
    test(name.replace('.txt', '').replaceAll('-', ' '), () => {
      const file = new URL(name, folder)
      const whole = readFileSync(file, 'utf8')
      const [text = '', expected] = whole.split(DASHES)
      const actual = answer(text)
      if (process.env.GOLDEN === 'update') writeFileSync(file, text + DASHES + actual)
      else expect(actual).toBe(expected)
    })
  }
})

function answer(text: string): string {
  const env: Record<string, string> = /^#base$/m.test(text) ? { ...base } : {}
  for (const [, name = '', value = ''] of text.matchAll(/^#env (\w+)=(.*)$/gm)) env[name] = value.replaceAll('\\n', '\n')
  const files = new Map([...text.matchAll(/^#file (\S+) (.*)$/gm)].map(([, path = '', content = '']) => [path, content.replaceAll('\\n', '\n')]))
  const loaded = parseConfig(text, 'config.yaml', env, (path) => {
    // What is too long to be read here.
    if (/^(?:tls|mtls\/)/.test(path)) return readFileSync(new URL(path, fixtures), 'utf8')
    const content = files.get(path)
    if (content === undefined) throw Object.assign(new Error('not there'), { code: 'ENOENT' })
    return content
  })
  const lines =
    loaded.kind === 'invalid' ? loaded.issues.map(formatIssue) : [...loaded.warnings.map(formatIssue), ...summary(loaded.config)]
  return `${[loaded.kind, ...lines].join('\n')}\n`
}

function describeInPortal({ description, logoUrl, portal }: Route): string {
  const shown = [description === undefined ? [] : JSON.stringify(description), logoUrl ?? []].flat()
  return `${shown.length > 0 ? `, shown as ${shown.join(' with ')}` : ''}${portal ? '' : ', not in the portal'}`
}

function describeMtls({ downstreamMtls: mtls }: Config['live']): readonly string[] {
  if (!mtls) return []
  const names = mtls.names.map(({ kind, pattern }) => `${kind} ${pattern}`)
  return [`client certificates: ${mtls.enforcement}, depth ${mtls.maxVerifyDepth}, ${mtls.crls.length} lists, ${names.join(' or ')}`]
}

/** Only where they are not the defaults. */
function describeLimits({ rateLimit, maxRequestBody, routes }: Config['live']): readonly string[] {
  const limits = [{ name: 'all', rateLimit, maxRequestBody: maxRequestBody || undefined }, ...routes]
  return limits.flatMap(({ name, rateLimit: rate, maxRequestBody: most }) =>
    rate || most !== undefined ? [`limits of ${name}: ${JSON.stringify({ ...rate, most })}`] : [],
  )
}

function summary(config: Config): readonly string[] {
  const { fixed, live } = config
  const {
    idps: [idp, ...others],
    listen,
    storage,
  } = fixed
  const { directory } = idp
  return [
    `authenticate: ${fixed.authenticateServiceUrl.origin}${fixed.authenticateCallbackPath}`,
    `idp: ${idp.provider} ${idp.issuer} client ${idp.clientId} by ${idp.clientAuth.kind}, scopes ${idp.scopes.join(' ')}`,
    `directory: ${directory.kind}${describeSources(directory)}${directory.kind === 'okta' ? ` ${directory.url.origin} ${describeCredentials(directory.credentials)}` : ''}, ${directory.refreshInterval} ms`,
    ...others.map(describeProvider),
    `listen: ${listen.host}:${listen.port}${listen.tls ? ' tls' : ''}${describeRedirect(fixed)}`,
    ...describeAcme(config),
    ...describeMtls(live),
    ...describeLimits(live),
    `storage: ${describeStorage(storage)}`,
    ...describePages(live),
    ...describeTelemetry(fixed),
    ...(fixed.workers === 1 ? [] : [`workers: ${fixed.workers}`]),
    ...(fixed.sharedSignals ? [`shared signals: ${fixed.sharedSignals.issuer} for ${fixed.sharedSignals.audiences.join(' or ')}`] : []),
    `secrets: ${live.credentials.sharedSecrets.length} shared, ${live.credentials.signingKeys.length} signing`,
    `claims: ${describeClaims(live.routes[0])}`,
    ...(live.admin ? [`admin: ${describePolicy(live.admin.policy)}`] : []),
    ...live.routes.map((route) => describeRoute(route) + describeUpgrades(route) + (route.keepFragment ? '' : ', fragments lost') + describeInPortal(route) + describeTimeouts(route) + describeIdentity(route, live.routes[0]) + describeResponseHeaders(route)),
  ]
}

/** Only where they are not ours. */
function describePages({ pages: { productName, ...pages }, showErrorDetails, routes }: Config['live']): readonly string[] {
  const texts = { ...pages, ...(productName !== 'Postern' && { productName }) }
  const hiding = routes.filter(({ hidesDetails }) => hidesDetails).map(({ name }) => name)
  return [
    ...(Object.keys(texts).length > 0 ? [`pages: ${JSON.stringify(texts)}`] : []),
    ...(hiding.length > 0 || !showErrorDetails ? [`without details: ${hiding.join(', ')}`] : []),
  ]
}

function describeTelemetry({ telemetry }: Config['fixed']): readonly string[] {
  if (!telemetry) return []
  const { serviceName, attributes, traces, metrics } = telemetry
  const receiver = ({ url, encoding, headers, timeout }: OtlpReceiver): string =>
    `${url} by ${encoding} in ${timeout} ms${headers.map(([name, value]) => ` with ${name}: ${value.reveal()}`).join('')}`
  return [
    `telemetry of ${serviceName} ${JSON.stringify(Object.fromEntries(attributes))}`,
    ...(traces ? [`traces: ${JSON.stringify(traces.sampler)} to ${receiver(traces.receiver)}, ${traces.batch} of ${traces.queue} each ${traces.delay} ms`] : []),
    ...(metrics ? [`metrics: to ${receiver(metrics.receiver)} each ${metrics.interval} ms`] : []),
  ]
}

function describeUpgrades({ action }: Route): string {
  if (action.kind !== 'forward') return ''
  const { allowUpgrades, tls } = action
  const upgrades = allowUpgrades.length > 0 ? `, upgrades to ${allowUpgrades.join(' and ')}` : ''
  return tls.only === undefined ? upgrades : `${upgrades}, ${tls.only}`
}

function describeProvider(idp: Config['fixed']['idps'][0]): string {
  const at = idp.internalUrl === undefined ? '' : ` at ${idp.internalUrl}`
  return `provider ${idp.name} "${idp.label}": ${idp.provider} ${idp.issuer}${at} client ${idp.clientId} by ${idp.clientAuth.kind}, scopes ${idp.scopes.join(' ')}, directory ${idp.directory.kind}${describeSources(idp.directory)}`
}

function describeRedirect({ httpRedirectAddr: address }: Config['fixed']): string {
  return address ? `, plain http ${address.host}:${address.port}` : ''
}

function describeAcme({ fixed: { acme }, live }: Config): readonly string[] {
  if (!acme) return []
  const account = acme.externalAccount ? ` external account ${acme.externalAccount.keyId}` : ''
  return [`acme: ${acme.directoryUrl.href} ${acme.email ?? ''}${account} for ${live.acmeHosts.join(' ')}`]
}

/** Only what is more than a service account. */
function describeSources(directory: DirectoryConfig): string {
  const people = directory.people?.map(({ id, status, groups }) => `${id}/${status}/${groups.join('+')}`).join(' ')
  const more = directory.order.some((name) => name !== 'okta')
  const feed = directory.kind === 'okta' && directory.hookSecret ? ` log ${directory.logInterval} ms, hook` : ''
  return `${more ? ` from ${directory.order.join(', ')}` : ''}${people ? ` (${people})` : ''}${feed}`
}

function describeCredentials(credentials: OktaCredentials): string {
  return credentials.kind === 'token'
    ? `token ${credentials.token.reveal()}`
    : `app ${credentials.clientId} key ${credentials.keyId ?? 'any'} scopes ${credentials.scopes.join(' ')}`
}

function describeRoute(route: Route): string {
  const { from, match, action } = route
  const port = from.port === undefined ? '' : `:${from.port}`
  const path = match.kind === 'all' ? '' : match.kind === 'regex' ? ` regex ${match.source}` : ` ${match.kind} ${match.kind === 'path' ? match.path : match.prefix}`
  return `route ${route.definedAt} "${route.name}": ${from.scheme}://${from.host}${port}${path} -> ${describeAction(action)}, ${describePolicy(route.policy)}${route.shadow ? `, shadow ${describePolicy(route.shadow.policy)}` : ''}${route.maxDirectoryAge === undefined ? '' : `, groups of ${route.maxDirectoryAge} ms`}${route.serviceTokens ? ', service tokens' : ''}${route.demand ? `, sign-in ${JSON.stringify(route.demand)}` : ''}${route.paths ? `, escaped slashes ${route.paths.escapedSlashes}, slashes ${route.paths.slashes}` : ''}${describeBearer(route)}`
}

function describeBearer({ bearer }: Route): string {
  if (!bearer) return ''
  const { kind, audiences, clients, issuers, passAuthorization } = bearer
  const lists = [['for', audiences], ['to', clients], ['of', issuers ?? []]] as const
  const rest = lists.map(([word, list]) => (list.length === 0 ? '' : ` ${word} ${list.join(' ')}`)).join('')
  return `, takes ${kind}${rest}${passAuthorization ? ', passed on' : ''}`
}

function describeAction(action: Action): string {
  switch (action.kind) {
    case 'forward': {
      const { path, host } = action.rewrite
      const upstreams = action.upstreams.map(({ origin, weight }) => (weight === 1 ? origin : `${origin},${weight}`)).join(' ')
      const balancing = describeBalancing(action.balancing)
      const answers = (action.rewrite.responseHeaders ?? []).map(({ header, prefix, value }) => `, ${header} "${prefix}" by "${value}"`).join('')
      return `${upstreams}${balancing}${describePath(path)}${answers}${host.kind === 'client' ? '' : `, Host ${describeHost(host)}`}`
    }
    case 'redirect': {
      const { status, scheme = '', host = '', port = '', path, query } = action
      return `${status} ${scheme}://${host}:${port}${describePath(path)}${query === undefined ? '' : ` query "${query}"`}`
    }
    case 'respond':
      return `${action.status} ${JSON.stringify(action.body)}`
    default:
      return action satisfies never
  }
}

function describePath(path: PathRewrite | undefined): string {
  if (!path) return ''
  const to = path.kind === 'regex' ? `${path.pattern} by ${path.substitution}` : path.to
  return ` rewritten to ${to}${path.kind === 'prefix' && !path.boundary ? ' as a string' : ''}`
}

/** Only what is written. */
function describeBalancing({ policy, retries, maxRetries, checks, outlier, panicThreshold, limits }: Balancing): string {
  return [
    policy === 'round-robin' ? '' : ` by ${policy}`,
    retries.attempts === 0 ? '' : ` ${retries.attempts} retries on ${retries.on.join(', ')}`,
    maxRetries === Number.POSITIVE_INFINITY ? '' : ` at most ${maxRetries} at once`,
    ...checks.map(({ probe, timeout, interval, unhealthyThreshold, healthyThreshold }) =>
      ` checked by ${JSON.stringify(probe)} in ${timeout} ms each ${interval} ms, ${unhealthyThreshold}/${healthyThreshold}`,
    ),
    outlier ? ` ejected by ${JSON.stringify(outlier)}` : '',
    panicThreshold === 50 ? '' : ` panic below ${panicThreshold} %`,
    Object.keys(limits).length === 0 ? '' : ` limits ${JSON.stringify(limits)}`,
  ].join('')
}

function describeHost(host: HostRewrite): string {
  switch (host.kind) {
    case 'fixed':
      return host.authority
    case 'header':
      return `from ${host.name}`
    case 'path-regex':
      return `${host.pattern} by ${host.substitution}`
    default:
      return host.kind
  }
}

/** Those of Pomerium are not said for each route. */
function describeResponseHeaders({ setResponseHeaders: headers }: Route): string {
  const text = [...(headers ?? [])].map((pair) => pair.join(': ')).join('; ')
  return text === '' || text === 'x-frame-options: SAMEORIGIN; x-xss-protection: 1; mode=block' ? '' : `, answers with ${text}`
}

function describeStorage(storage: StorageConfig): string {
  if (storage.kind === 'memory') return 'memory'
  if (storage.kind === 'embedded') return `embedded ${storage.path}`
  const { credentials, tls, database, prefix } = storage
  const security = tls ? ` tls${tls.ca === undefined ? '' : ' by its own authority'}${tls.certificate ? ' with a certificate of ours' : ''}` : ''
  const rest = ` as ${JSON.stringify(credentials)}${security}, database ${database}, prefix ${prefix}`
  if (storage.kind === 'postgres') return `postgres at ${storage.node.host} ${storage.node.port}${rest}`
  const { place } = storage
  const nodes = place.kind === 'single' ? [place.node] : place.kind === 'sentinel' ? place.sentinels : place.nodes
  const where = nodes.map(({ host, port }) => `${host} ${port}`).join(', ')
  const master = place.kind === 'sentinel' ? ` master ${place.master} by ${JSON.stringify(place.credentials)}` : ''
  return `redis ${place.kind} at ${where}${master}${rest}`
}

function describeClaims(route: Route | undefined): string {
  const claims = route?.action.kind === 'forward' ? route.action.identity.claimHeaders : []
  return [...claims].map(([header, claim]) => `${header}=${claim}`).join(' ')
}

/** Those that the route itself sets. */
function describeTimeouts(route: Route): string {
  if (route.action.kind !== 'forward') return ''
  const { response, responseBody, requestBody, request, tunnelLifetime, tunnel } = route.action.timeouts
  const limits = { response, 'response body': responseBody, 'request body': requestBody }
  const own = Object.entries(limits).filter(([, { key }]) => key === 'timeout' || key === 'idle_timeout')
  return [
    ...own.map(([name, limit]) => `, ${name} ${limit.span} ms by ${limit.key}`),
    ...(tunnel === undefined ? [] : [`, WebSockets ${tunnel} ms`]),
    ...[request, tunnelLifetime].flatMap(({ span, key }) => (span === 0 ? [] : [`, ${span} ms by ${key}`])),
  ].join('')
}

/** Where it differs from what is usual, and claims from those of the first route. */
function describeIdentity(route: Route, first: Route | undefined): string {
  if (route.action.kind !== 'forward') return ''
  const { groups, issuerScheme, templates, kubernetesToken } = route.action.identity
  const claims = describeClaims(route)
  return [
    ...(claims === describeClaims(first) ? [] : [`, claims: ${claims}`]),
    ...(groups.format === 'both' ? [] : [`, groups by ${groups.format}`]),
    ...(groups.only ? [`, groups of ${groups.only.join('+') || 'none'}`] : []),
    ...(templates ? [`, headers: ${JSON.stringify(Object.fromEntries(templates))}`] : []),
    ...(kubernetesToken ? [`, acts with ${kubernetesToken.reveal()}`] : []),
    ...(issuerScheme ? [`, issuer ${issuerScheme}`] : []),
  ].join('')
}

function describePolicy(policy: Policy): string {
  if (policy.kind === 'public' && policy.identity) return `public, identity ${policy.identity}`
  if (policy.kind !== 'rules') return policy.kind
  const clauses = (['allow', 'deny'] as const).flatMap((action) =>
    policy[action].map(({ op, criteria }) => `${action} ${op}(${criteria.map(({ describe }) => describe).join('; ')})`),
  )
  return clauses.join(' ') || 'nobody'
}
