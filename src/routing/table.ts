import { assertNever } from '../errors.ts'
import type { Fixed, Live, Naming } from '../config/model.ts'
import type { Route, RouteFrom } from '../config/route-model.ts'
import type { RequestFacts } from '../http/request.ts'
import type { ControlAction, RouteMatch, RouteTable } from './model.ts'
import { meets, unmet } from './conditions.ts'
import { defaultPort } from './host.ts'
import { createPathIndex, type PathIndex } from './path-index.ts'
import type { Placed } from './placed.ts'
import { matchReadings } from './readings.ts'

/** The routes of one wildcard `from`. `parts` is the text around its stars. */
interface WildcardHost {
  readonly parts: readonly string[]
  readonly index: PathIndex
}

/**
 * Finds what serves a request. Control paths come before routes; health paths count only where no route has the host. An
 * exact host hides every wildcard that would cover it, whatever its paths; within a host, and among wildcards, the first
 * match in file order wins. Hosts of another process (`services`) match nothing here, but people may return to them after
 * a sign-in. Built once per configuration.
 */
export function createRouteTable(
  {
    authenticateServiceUrl,
    authenticateCallbackPath,
    services,
  }: Pick<Fixed, 'authenticateServiceUrl' | 'authenticateCallbackPath' | 'services'>,
  { naming, routes, publicHealthPaths }: Pick<Live, 'naming' | 'routes' | 'publicHealthPaths'>,
): RouteTable {
  const authenticateFrom = fromOf(authenticateServiceUrl)
  // Read once, because a URL computes them on each access.
  const { hostname: authenticateHost, origin: authenticateOrigin } = authenticateServiceUrl
  const stylePath = `${naming.controlPrefix}/style.css`
  const forwardAuthBase = `${naming.controlPrefix}/forward-auth`
  const healthPaths: ReadonlySet<string> = new Set(publicHealthPaths)
  const authenticateActions = actionsOnAuthenticate(naming, authenticateCallbackPath)
  const routeActions = actionsOnRoutes(naming)
  const scimBase = `${naming.controlPrefix}/scim/v2`
  const exact = new Map<string, readonly [PathIndex]>()
  const wildcards = createWildcards()
  routes.forEach((route, place) => {
    const { host, wildcard } = route.from
    if (wildcard) return wildcards.add({ route, place })
    const only = exact.get(host) ?? ([createPathIndex()] as const)
    exact.set(host, only)
    only[0].add({ route, place })
  })
  return {
    match: (request) => (request.readings ? matchReadings(match, request) : match(request)),
    routesOf,
    originOf,
    isHttps,
    httpsOriginOf,
    allowsReturn,
  }

  function match(request: RequestFacts): RouteMatch {
    const { host, port, path } = request
    const onAuthenticate = host === authenticateHost
    // Every page needs it, even the 404 of an unknown host.
    if (path === stylePath) {
      const on = onAuthenticate ? 'authenticate' : 'route'
      return { kind: 'control', action: 'style', on, origin: originOf(host, port) ?? authenticateOrigin }
    }
    // Other proxies ask this under any host name.
    if (path.charCodeAt(1) === 0x2e && matchesPrefix(path, forwardAuthBase)) {
      const on = onAuthenticate ? 'authenticate' : 'route'
      return { kind: 'control', action: 'forward-auth', on, origin: authenticateOrigin }
    }
    if (onAuthenticate) {
      if (services === 'proxy') return probe(path)
      const action = matchesPrefix(path, scimBase)
        ? 'scim'
        : (authenticateActions.get(path) ?? (isNamedCallback(path) ? 'idp-callback' : undefined))
      return action && servesPort(authenticateFrom, port)
        ? { kind: 'control', action, on: 'authenticate', origin: authenticateOrigin }
        : probe(path)
    }
    if (services === 'authenticate') return anyFrom(host, port) ? NONE : probe(path)
    if (isReserved(path, naming)) {
      const action = routeActions.get(path)
      const origin = originOf(host, port)
      if (action && origin !== undefined) return { kind: 'control', action, on: 'route', origin }
      // Applications may reach us under another name than people do. The keys are public, and the same under every name.
      return action === 'jwks' ? { kind: 'control', action, on: 'route', origin: authenticateOrigin } : NONE
    }
    let best: Placed | undefined
    for (const index of indexesOf(host)) best = earlier(best, index.find(path, serves, request))
    if (best) return { kind: 'route', route: best.route }
    // On a host that has routes even the paths that no route serves belong to the application.
    return healthPaths.has(path) && !anyFrom(host, port) ? probe(path) : NONE
  }

  /** The redirect URI of a named provider; whether that provider exists is for the sign-in to say. */
  function isNamedCallback(path: string): boolean {
    return path.startsWith(`${authenticateCallbackPath}/`) && path.length > authenticateCallbackPath.length + 1
  }

  /** Load balancers probe with any Host, or with none. */
  function probe(path: string): RouteMatch {
    return healthPaths.has(path)
      ? { kind: 'control', action: 'ping', on: 'authenticate', origin: authenticateOrigin }
      : NONE
  }

  /** One for an exact host, else one for each wildcard that covers it. */
  function indexesOf(host: string): readonly PathIndex[] {
    return exact.get(host) ?? wildcards.covering(host)
  }

  function routesOf(host: string, port: number | undefined): readonly Route[] {
    return indexesOf(host).flatMap(({ routes }) =>
      routes.filter(({ route: { from } }) => servesPort(from, port)).map(({ route }) => route),
    )
  }

  function originOf(host: string, port: number | undefined): string | undefined {
    const from = anyFrom(host, port)
    return from && originFor(from, host)
  }

  function isHttps(host: string, port: number | undefined): boolean {
    return (host === authenticateHost ? authenticateFrom : anyFrom(host, port))?.scheme === 'https'
  }

  /** `from` of the first route of the host on this port. */
  function anyFrom(host: string, port: number | undefined): RouteFrom | undefined {
    return firstFrom(host, (from) => servesPort(from, port))
  }

  function httpsOriginOf(host: string): string | undefined {
    if (host === authenticateHost) return authenticateFrom.scheme === 'https' ? authenticateOrigin : undefined
    const from = firstFrom(host, ({ scheme }) => scheme === 'https')
    return from && originFor(from, host)
  }

  function firstFrom(host: string, fits: (from: RouteFrom) => boolean): RouteFrom | undefined {
    let best: Placed | undefined
    for (const { routes } of indexesOf(host)) {
      const first = routes.find(({ route: { from } }) => fits(from))
      best = earlier(best, first)
    }
    return best?.route.from
  }

  function allowsReturn(url: URL): boolean {
    if (url.username !== '' || url.password !== '') return false
    // Not `url.origin`, which looks inside `blob:` URLs.
    const origin = `${url.protocol}//${url.host}`
    if (origin === authenticateOrigin) return true
    return indexesOf(url.hostname).some(({ routes }) =>
      routes.some(({ route }) => originFor(route.from, url.hostname) === origin),
    )
  }
}

const NONE: RouteMatch = Object.freeze({ kind: 'none' })

function actionsOnAuthenticate(naming: Naming, callbackPath: string): ReadonlyMap<string, ControlAction> {
  const { controlPrefix } = naming
  return new Map<string, ControlAction>([
    ...actionsOnEveryHost(naming),
    ['/', 'portal'],
    ['/robots.txt', 'robots'],
    [`${controlPrefix}/signed_out`, 'signed-out'],
    [`${controlPrefix}/status`, 'status-page'],
    [`${controlPrefix}/api/v1/status`, 'status-json'],
    [`${controlPrefix}/end_session`, 'end-session'],
    [`${controlPrefix}/api/v1/login/confirm`, 'program-confirm'],
    [`${controlPrefix}/hooks/okta`, 'okta-hook'],
    [`${controlPrefix}/backchannel_logout`, 'backchannel-logout'],
    [`${controlPrefix}/universal_logout`, 'universal-logout'],
    [`${controlPrefix}/ssf`, 'security-events'],
    [callbackPath, 'idp-callback'],
  ])
}

function actionsOnRoutes(naming: Naming): ReadonlyMap<string, ControlAction> {
  const { controlPrefix } = naming
  return new Map<string, ControlAction>([
    ...actionsOnEveryHost(naming),
    [`${controlPrefix}/callback`, 'route-callback'],
    [`${controlPrefix}/callback/`, 'route-callback'],
    [`${controlPrefix}/return`, 'return'],
    [`${controlPrefix}/oauth-protected-resource`, 'protected-resource'],
    [`${controlPrefix}/api/v1/login`, 'program-login'],
    [`${controlPrefix}/api/v1/token`, 'program-token'],
    [`${controlPrefix}/api/v1/device`, 'program-device'],
    [`${controlPrefix}/token`, 'token'],
  ])
}

function actionsOnEveryHost({ controlPrefix, wellKnown }: Naming): readonly (readonly [string, ControlAction])[] {
  return [
    [controlPrefix, 'portal'],
    [`${controlPrefix}/`, 'portal'],
    [`${controlPrefix}/routes`, 'portal'],
    [`${controlPrefix}/api/v1/routes`, 'portal-json'],
    [`${controlPrefix}/account`, 'user-page'],
    [`${controlPrefix}/user`, 'user-json'],
    [`${controlPrefix}/sign_in`, 'sign-in'],
    [`${controlPrefix}/sign_out`, 'sign-out'],
    [wellKnown, 'well-known'],
    [`${wellKnown}/`, 'well-known'],
    [`${wellKnown}/jwks.json`, 'jwks'],
  ]
}

/** Paths under the control prefix and the well-known path never reach an upstream, whether they exist or not. */
export function isReserved(path: string, { controlPrefix, wellKnown }: Naming): boolean {
  return path.startsWith('/.') && (matchesPrefix(path, controlPrefix) || matchesPrefix(path, wellKnown))
}

/** The URL that people use for this host: from the configuration, whatever port and scheme the request came with. */
export function originFor(
  { scheme, port }: { readonly scheme: RouteFrom['scheme']; readonly port?: number | undefined },
  host: string,
): string {
  return port === undefined || port === defaultPort(scheme) ? `${scheme}://${host}` : `${scheme}://${host}:${port}`
}

/** A URL never shows its scheme's default port; without a port any port fits. */
function fromOf({ protocol, port }: URL): Pick<RouteFrom, 'scheme' | 'port'> {
  const scheme = protocol === 'http:' ? 'http' : 'https'
  return port === '' ? { scheme } : { scheme, port: Number(port) }
}

function servesPort(from: Pick<RouteFrom, 'scheme' | 'port'>, port: number | undefined): boolean {
  return from.port === undefined || from.port === (port ?? defaultPort(from.scheme))
}

function serves(route: Route, path: string, request: RequestFacts): boolean {
  return servesPort(route.from, request.port) && matchesPath(route, path) && meets(route.conditions, request)
}

/**
 * Why a route does not serve a request; undefined: it does, unless an earlier one comes first. `host`: it is another
 * host's. Throws what a condition throws.
 */
export function mismatch(route: Route, request: RequestFacts): string | undefined {
  const { from, match, conditions } = route
  if (!isOfHost(from, request.host)) return 'host'
  if (!servesPort(from, request.port)) return `it serves port ${from.port}`
  if (!matchesPath(route, request.path)) return `its ${match.kind} does not match ${request.path}`
  return unmet(conditions, request)
}

function earlier(a: Placed | undefined, b: Placed | undefined): Placed | undefined {
  return a && b ? (a.place < b.place ? a : b) : (a ?? b)
}

export function matchesPath({ match }: Pick<Route, 'match'>, path: string): boolean {
  switch (match.kind) {
    case 'all':
      return true
    case 'path':
      return path === match.path
    case 'prefix':
      return match.boundary ? matchesPrefix(path, match.prefix) : path.startsWith(match.prefix)
    case 'regex':
      return match.test(path)
    default:
      return assertNever(match)
  }
}

/** On a segment boundary: `/admin` covers `/admin` and `/admin/x`, not `/administrator`. */
export function matchesPrefix(path: string, prefix: string): boolean {
  if (!path.startsWith(prefix)) return false
  return path.length === prefix.length || prefix.endsWith('/') || path.charCodeAt(prefix.length) === 0x2f
}

/**
 * Wildcard hosts, found by what follows their last star: one look-up for each length that occurs among them, so that
 * thousands of `*.customer.example` cost no more than one.
 */
function createWildcards(): { add(placed: Placed): void; covering(host: string): readonly PathIndex[] } {
  const bySuffix = new Map<string, WildcardHost[]>()
  const byPattern = new Map<string, WildcardHost>()
  let lengths: readonly number[] = []
  return {
    add(placed) {
      const { host } = placed.route.from
      let wildcard = byPattern.get(host)
      if (!wildcard) {
        const parts = host.split('*')
        const suffix = parts.at(-1) ?? ''
        wildcard = { parts, index: createPathIndex() }
        byPattern.set(host, wildcard)
        append(bySuffix, suffix, wildcard)
        lengths = [...new Set([...lengths, suffix.length])]
      }
      wildcard.index.add(placed)
    },
    covering(host) {
      const found: PathIndex[] = []
      for (const length of lengths) {
        for (const { parts, index } of bySuffix.get(host.slice(Math.max(0, host.length - length))) ?? []) {
          if (coversHost(parts, host)) found.push(index)
        }
      }
      return found
    },
  }
}

/** Is a route with this `from` one of the host's? */
export function isOfHost({ host: pattern, wildcard }: Pick<RouteFrom, 'host' | 'wildcard'>, host: string): boolean {
  return wildcard ? coversHost(pattern.split('*'), host) : pattern === host
}

/** Does the pattern match the host? Each star matches one or more characters. Taking the leftmost fit of each part is enough, so this never backtracks. */
export function coversHost(parts: readonly string[], host: string): boolean {
  const first = parts[0] ?? ''
  const last = parts[parts.length - 1] ?? ''
  if (!host.startsWith(first) || !host.endsWith(last)) return false
  let position = first.length
  for (let i = 1; i < parts.length - 1; i++) {
    const part = parts[i] ?? ''
    const found = host.indexOf(part, position + 1)
    if (found === -1) return false
    position = found + part.length
  }
  return position + 1 + last.length <= host.length
}

/** Adds to the list of a key. */
export function append<T>(lists: Map<string, T[]>, key: string, item: T): void {
  const list = lists.get(key)
  if (list) list.push(item)
  else lists.set(key, [item])
}
