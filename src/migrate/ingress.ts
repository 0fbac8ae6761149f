/**
 * What Ingress objects (networking.k8s.io/v1) say, as routes. Pure: objects in, routes and refusals out, so that it can
 * be asked again whenever an object changes.
 */
import { isTree } from '../config/input.ts'
import { treeAt } from './draft.ts'

type Tree = Readonly<Record<string, unknown>>

export interface IngressObjects {
  readonly ingresses: readonly Tree[]
  /** For ports by name, and to see which lead out of the cluster. */
  readonly services: readonly Tree[]
  readonly classes: readonly Tree[]
}

export interface IngressSettings {
  /** `spec.controller` of the classes that are ours; absent: every Ingress is. */
  readonly controller?: string
  /** The key of a route that an annotation holds, `policy`; undefined: it is not for us. */
  readonly keyOf: (annotation: string) => string | undefined
}

/** `namespace/name`: what a status is written to. */
export type IngressId = string

export interface IngressRoute {
  readonly ingress: IngressId
  /** Its place in the Ingress, for messages: `app.example/api`. */
  readonly at: string
  /** `from`, `path`, `prefix` or `regex`, and `to`, as in a configuration. */
  readonly route: Tree
}

/** Something of an Ingress that is not served, and why. Where `at` is empty nothing of it is. */
export interface Refusal {
  readonly ingress: IngressId
  readonly at: string
  readonly reason: string
}

export interface IngressReading {
  /** Of each host, exact paths first, then the longest: the order in which our table asks them. */
  readonly routes: readonly IngressRoute[]
  /** Keys that the annotations of each Ingress give its routes, texts as they stand. */
  readonly annotations: ReadonlyMap<IngressId, ReadonlyMap<string, unknown>>
  /** Secrets of type kubernetes.io/tls, `namespace/name`, and the hosts that each is for. */
  readonly certificates: readonly {
    readonly ingress: IngressId
    readonly secret: string
    readonly hosts: readonly string[]
  }[]
  readonly refused: readonly Refusal[]
  /** Annotations that are not for us. */
  readonly foreign: readonly { readonly ingress: IngressId; readonly annotation: string }[]
}

/** Said of the way to the backend; not keys of a route. */
const OF_THE_BACKEND = new Set(['secure_upstream', 'path_regex', 'service_proxy_upstream', 'subtle_allow_empty_host'])

export function readIngresses(objects: IngressObjects, settings: IngressSettings): IngressReading {
  const services = new Map(objects.services.map((service) => [idOf(service), service]))
  const refused: Refusal[] = []
  const foreign: IngressReading['foreign'][number][] = []
  const annotations = new Map<IngressId, ReadonlyMap<string, unknown>>()
  const certificates: IngressReading['certificates'][number][] = []
  const taken = new Map<string, IngressId>()
  const routes: IngressRoute[] = []
  // Whoever came first keeps the address: nobody takes a path from an Ingress that has it.
  for (const ingress of oursAmong(objects, settings.controller).toSorted(byAge)) {
    const id = idOf(ingress)
    const said = new Map<string, unknown>()
    for (const [name, value] of Object.entries(treeAt(ingress, 'metadata', 'annotations'))) {
      const key = settings.keyOf(name)
      if (key === undefined) foreign.push({ ingress: id, annotation: name })
      else said.set(key, value)
    }
    annotations.set(id, new Map([...said].filter(([key]) => !OF_THE_BACKEND.has(key))))
    if ([...said.keys()].some((key) => /^(?:tcp|udp|ssh)_upstream$/.test(key))) {
      refused.push({ ingress: id, at: '', reason: 'Postern proxies HTTP only' })
      continue
    }
    for (const { secretName, hosts } of listAt(ingress, 'spec', 'tls'))
      if (typeof secretName === 'string')
        certificates.push({ ingress: id, secret: `${namespaceOf(ingress)}/${secretName}`, hosts: textsOf(hosts) })
    for (const found of pathsOf(ingress, said, services)) {
      if ('reason' in found) refused.push({ ingress: id, ...found })
      else {
        const { from, path, prefix, regex } = found.route
        const address = JSON.stringify([from, path, prefix, regex])
        const owner = taken.get(address)
        if (owner === undefined) {
          taken.set(address, id)
          routes.push({ ingress: id, ...found })
        } else refused.push({ ingress: id, at: found.at, reason: `Ingress ${owner} has this address already` })
      }
    }
  }
  return { routes: inOrder(routes), annotations, certificates, refused, foreign }
}

type Found = Omit<IngressRoute, 'ingress'> | Omit<Refusal, 'ingress'>

function pathsOf(
  ingress: Tree,
  said: ReadonlyMap<string, unknown>,
  services: ReadonlyMap<string, Tree>,
): readonly Found[] {
  const scheme = said.get('secure_upstream') === 'true' ? 'https' : 'http'
  const regex = said.get('path_regex') === 'true'
  const found: Found[] = []
  if (isTree(treeAt(ingress, 'spec')['defaultBackend']))
    found.push({ at: 'defaultBackend', reason: 'a route needs the host that it serves' })
  for (const rule of listAt(ingress, 'spec', 'rules')) {
    const { host } = rule
    if (typeof host !== 'string' || host === '') {
      found.push({ at: 'rule without host', reason: 'a route needs the host that it serves' })
      continue
    }
    for (const path of listAt(rule, 'http', 'paths')) {
      const at = `${host}${typeof path['path'] === 'string' ? path['path'] : ''}`
      const match = matchOf(path, regex)
      const to = upstreamOf(treeAt(path, 'backend'), namespaceOf(ingress), scheme, services)
      if ('reason' in match) found.push({ at, reason: match.reason })
      else if ('reason' in to) found.push({ at, reason: to.reason })
      else found.push({ at, route: { from: `https://${host}`, ...match.route, ...to } })
    }
  }
  return found
}

type Match = { readonly route: Tree } | { readonly reason: string }

/** Kubernetes compares prefixes by segments and without a slash at their end, as we do. */
function matchOf({ path, pathType }: Tree, regex: boolean): Match {
  if (path !== undefined && typeof path !== 'string') return { reason: 'its path is no text' }
  if (pathType === 'Exact') return path === undefined ? { reason: 'an exact path is missing' } : { route: { path } }
  if (pathType === 'ImplementationSpecific' && regex && path !== undefined) return { route: { regex: path } }
  if (pathType !== 'Prefix' && pathType !== 'ImplementationSpecific')
    return { reason: `unknown pathType ${JSON.stringify(pathType) ?? ''}`.trim() }
  const prefix = path?.replace(/\/+$/, '') ?? ''
  return { route: prefix === '' ? {} : { prefix } }
}

function upstreamOf(
  backend: Tree,
  namespace: string,
  scheme: 'http' | 'https',
  services: ReadonlyMap<string, Tree>,
): { readonly to: string } | { readonly reason: string } {
  const { name } = treeAt(backend, 'service')
  if (typeof name !== 'string') return { reason: 'its backend is no Service' }
  const service = services.get(`${namespace}/${name}`)
  // Whoever may write an Ingress would otherwise reach whatever Postern reaches.
  if (service !== undefined && treeAt(service, 'spec')['type'] === 'ExternalName')
    return { reason: `Service ${name} leads out of the cluster (ExternalName)` }
  const { number, name: portName } = treeAt(backend, 'service', 'port')
  const known = service === undefined ? undefined : listAt(service, 'spec', 'ports')
  const port =
    number === undefined
      ? known?.find((each) => each['name'] === portName)?.['port']
      : known === undefined || known.some((each) => each['port'] === number)
        ? number
        : undefined
  if (typeof port === 'number') return { to: `${scheme}://${name}.${namespace}.svc.cluster.local:${port}` }
  const wanted = JSON.stringify(number ?? portName)
  return service === undefined
    ? { reason: `Service ${name} is not here, which says what port ${wanted} is` }
    : { reason: `Service ${name} has no port ${wanted}` }
}

function oursAmong({ ingresses, classes }: IngressObjects, controller: string | undefined): readonly Tree[] {
  if (controller === undefined) return ingresses
  const ours = classes.filter((each) => treeAt(each, 'spec')['controller'] === controller)
  const names = new Set(ours.map((each) => treeAt(each, 'metadata')['name']))
  const byDefault = ours.some(
    (each) => treeAt(each, 'metadata', 'annotations')['ingressclass.kubernetes.io/is-default-class'] === 'true',
  )
  return ingresses.filter((ingress) => {
    const named =
      treeAt(ingress, 'spec')['ingressClassName'] ??
      treeAt(ingress, 'metadata', 'annotations')['kubernetes.io/ingress.class']
    return named === undefined ? byDefault : names.has(named)
  })
}

/** The oldest first; of those that were made in one second, by name. Without an instant: last, in their order. */
function byAge(a: Tree, b: Tree): number {
  const [one, other] = [a, b].map((each) => treeAt(each, 'metadata')['creationTimestamp'])
  if (typeof one !== 'string' || typeof other !== 'string')
    return typeof one === 'string' ? -1 : typeof other === 'string' ? 1 : 0
  return one < other ? -1 : one > other ? 1 : idOf(a) < idOf(b) ? -1 : 1
}

/** Hosts stay in their order. */
function inOrder(routes: readonly IngressRoute[]): readonly IngressRoute[] {
  const byHost = new Map<unknown, IngressRoute[]>()
  for (const each of routes) byHost.set(each.route['from'], [...(byHost.get(each.route['from']) ?? []), each])
  return [...byHost.values()].flatMap((ofHost) => ofHost.toSorted((a, b) => rank(b.route) - rank(a.route)))
}

function rank({ path, regex, prefix }: Tree): number {
  const text = path ?? regex ?? prefix
  return (path === undefined ? 0 : 1_000_000) + (typeof text === 'string' ? text.length : 0)
}

function idOf(object: Tree): IngressId {
  return `${namespaceOf(object)}/${String(treeAt(object, 'metadata')['name'])}`
}

function namespaceOf(object: Tree): string {
  const { namespace } = treeAt(object, 'metadata')
  return typeof namespace === 'string' ? namespace : 'default'
}

function listAt(tree: Tree, ...path: readonly [string, ...string[]]): readonly Tree[] {
  const found = treeAt(tree, ...path.slice(0, -1))[path.at(-1) ?? '']
  return Array.isArray(found) ? found.filter(isTree) : []
}

function textsOf(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : []
}
