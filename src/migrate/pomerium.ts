import { globalKeys, routeKeys } from '../config/keys.ts'
import { describeForeignKey } from '../config/schema/unsupported.ts'
import { isTree } from '../config/input.ts'
import { type Draft, type Keys, lost, type Missing, type Options, type RouteDraft, unneeded } from './draft.ts'

const GLOBALS: ReadonlySet<string> = new Set(globalKeys.map(({ path }) => path[0] ?? ''))
const ROUTE_KEYS: ReadonlySet<string> = new Set(routeKeys.map(({ path }) => path[0] ?? ''))
/** Whoever relies on these must not be opened to everybody by a migration. */
const CLIENT_CERTIFICATES = ['client_ca', 'client_ca_file', 'tls_downstream_client_ca', 'tls_downstream_client_ca_file']
const NOBODY = { deny: { or: [{ accept: true }] } }
type Tree = Readonly<Record<string, unknown>>
const HOSTED = /^https?:\/\/[^/]*\.pomerium\.app(?:[:/]|$)/i

/** Pomerium's configuration, of any version. `compatibility: pomerium` keeps the meaning of what is carried over. */
export function fromPomerium(
  input: Readonly<Record<string, unknown>>,
  options: Options,
  already: readonly Missing[] = [],
): Draft {
  const globals: Keys = new Map()
  const missing: Missing[] = [...already]
  globals.set('compatibility', {
    value: 'pomerium',
    comment: 'Names of headers, cookie and paths, prefixes and Host as in Pomerium. Remove it for those of Postern.',
  })
  writeAuthenticateUrl(input['authenticate_service_url'], options, globals, missing)
  for (const [key, value] of Object.entries(input)) {
    if (key === 'authenticate_service_url' || key === 'routes' || key === 'policy' || key === 'compatibility') continue
    writeGlobal(key, value, globals, missing)
  }
  const routes = (['policy', 'routes'] as const).flatMap((list) => {
    const entries = input[list]
    if (entries === undefined || entries === null) return []
    if (Array.isArray(entries)) return entries.map((route: unknown, i) => routeDraft(route, `${list}[${i}]`, input))
    missing.push(lost(list, 'it is no list of routes'))
    return []
  })
  return {
    globals,
    routes: routes.filter((route) => 'keys' in route),
    missing: [...missing, ...routes.filter((route) => 'kind' in route)],
  }
}

function writeAuthenticateUrl(written: unknown, { authenticateUrl }: Options, globals: Keys, missing: Missing[]): void {
  const hosted = typeof written === 'string' && HOSTED.test(written)
  if (typeof written === 'string' && written !== '' && !hosted) {
    globals.set('authenticate_service_url', { value: written })
  } else if (authenticateUrl !== undefined) {
    const origin = authenticateUrl.replace(/\/$/, '')
    const why = hosted ? `Was ${written}, Pomerium's own service. ` : ''
    globals.set('authenticate_service_url', {
      value: origin,
      comment: `${why}Register ${origin}/oauth2/callback at the identity provider.`,
    })
  } else {
    const why = hosted ? "it is Pomerium's own service" : 'the file has none'
    missing.push(
      lost('authenticate_service_url', `${why}; give the host of your sign-in service by --authenticate-url`),
    )
  }
}

function writeGlobal(key: string, value: unknown, globals: Keys, missing: Missing[]): void {
  if (value === null || value === undefined || value === '') {
    missing.push(unneeded(key, 'it is empty'))
  } else if (key === 'idp_provider' && (value === 'hosted' || value === 'github' || value === 'apple')) {
    missing.push(
      lost(key, `Postern signs in with OpenID Connect; "${value}" does not offer it, choose another provider`),
    )
  } else if (key === 'timeout_write') {
    missing.push(lost(key, 'answers have no total limit; see client_write_timeout and default_upstream_timeout'))
  } else {
    carry(key, value, 'global', key, globals, missing)
  }
}

/** A route, or why the whole of it is lost. */
function routeDraft(input: unknown, where: string, globals: Tree): RouteDraft | Missing {
  if (!isTree(input)) return lost(where, 'it is no route')
  const { from } = input
  if (typeof from === 'string' && !/^https?:\/\//i.test(from)) {
    return lost(`${where} (from: ${from})`, 'Postern proxies HTTP only')
  }
  if ('mcp' in input) return lost(`${where} (from: ${String(from)})`, 'Postern does not authorize calls of MCP tools')
  const keys: Keys = new Map()
  const missing: Missing[] = []
  for (const [key, value] of Object.entries(input)) {
    if (value === null || value === undefined || value === '') missing.push(unneeded(key, 'it is empty'))
    else carry(key, value, 'route', `${where}.${key}`, keys, missing)
  }
  if (CLIENT_CERTIFICATES.some((key) => input[key] ?? globals[key])) {
    const { policy } = input
    keys.delete('policy')
    keys.set('policy', {
      value: [...(Array.isArray(policy) ? (policy as readonly unknown[]) : isTree(policy) ? [policy] : []), NOBODY],
      comment:
        'Client certificates were asked for in a way that cannot be here: write `downstream_mtls`. Nobody is let in until you remove the last rule.',
    })
  }
  const timeout = keys.get('timeout')
  if (timeout && timeout.value !== '0s' && timeout.value !== 0) {
    keys.set('timeout', { ...timeout, comment: "Until the answer begins. Pomerium's covers the whole answer." })
  }
  if (!keys.has('allow_websockets') && ('to' in input || 'upstream' in input)) {
    keys.set('allow_websockets', { value: false, comment: "Pomerium's default. Postern's is true." })
  }
  return { keys, missing }
}

function carry(
  key: string,
  value: unknown,
  level: 'global' | 'route',
  where: string,
  keys: Keys,
  missing: Missing[],
): void {
  if ((level === 'global' ? GLOBALS : ROUTE_KEYS).has(key)) {
    keys.set(key, { value })
    return
  }
  const foreign = describeForeignKey(key, value, level)
  if (foreign === undefined) missing.push(lost(where, 'unknown key'))
  else {
    const message = foreign.message.replace(
      /^"[^"]*" is a key of Pomerium that (?:is (?:ignored here|not supported yet): )?/,
      '',
    )
    missing.push(foreign.severity === 'warning' ? unneeded(where, message) : lost(where, message))
  }
}
