import { describe, expect, test } from 'vitest'
import { type IngressSettings, readIngresses } from '../../../src/migrate/ingress.ts'

type Tree = Readonly<Record<string, unknown>>

const OURS = 'postern/ingress-controller'
const settings: IngressSettings = {
  controller: OURS,
  keyOf: (name) => /^ingress\.postern\/(.*)$/.exec(name)?.[1],
}
const ours = { metadata: { name: 'postern' }, spec: { controller: OURS } }
const nginx = { metadata: { name: 'nginx' }, spec: { controller: 'k8s.io/ingress-nginx' } }

function ingress(name: string, spec: Tree, more: Tree = {}): Tree {
  return { metadata: { name, namespace: 'apps', ...more }, spec: { ingressClassName: 'postern', ...spec } }
}
function rule(host: string | undefined, ...paths: Tree[]): Tree {
  return { rules: [{ ...(host === undefined ? {} : { host }), http: { paths } }] }
}
const path = (text: string | undefined, pathType = 'Prefix', port: Tree = { number: 80 }): Tree => ({
  ...(text === undefined ? {} : { path: text }),
  pathType,
  backend: { service: { name: 'web', port } },
})
const read = (ingresses: readonly Tree[], services: readonly Tree[] = [], classes: readonly Tree[] = [ours, nginx]) =>
  readIngresses({ ingresses, services, classes }, settings)
const matches = (reading: ReturnType<typeof read>): readonly Tree[] =>
  reading.routes.map(({ route }) => Object.fromEntries(Object.entries(route).filter(([key]) => key !== 'to')))

describe('an Ingress is ours', () => {
  const spec = rule('a.example', path('/'))
  const unnamed = { metadata: { name: 'unnamed', namespace: 'apps' }, spec }
  const byDefault = {
    ...ours,
    metadata: { name: 'postern', annotations: { 'ingressclass.kubernetes.io/is-default-class': 'true' } },
  }
  test.each<[string, Tree, readonly Tree[], number]>([
    ['when its class is', ingress('a', spec), [ours, nginx], 1],
    [
      'not when its class is of another controller',
      ingress('a', { ...spec, ingressClassName: 'nginx' }),
      [ours, nginx],
      0,
    ],
    ['not when its class does not exist', ingress('a', { ...spec, ingressClassName: 'gone' }), [ours, nginx], 0],
    ['not when it names none and ours is not the default', unnamed, [ours, nginx], 0],
    ['when it names none and ours is the default', unnamed, [byDefault, nginx], 1],
    [
      'when the old annotation names our class',
      { ...unnamed, metadata: { name: 'a', annotations: { 'kubernetes.io/ingress.class': 'postern' } } },
      [ours],
      1,
    ],
    [
      'not by a class of our name and another controller',
      ingress('a', spec),
      [{ ...nginx, metadata: ours.metadata }],
      0,
    ],
  ])('%s', (_, object, classes, count) => {
    expect(read([object], [], classes).routes).toHaveLength(count)
  })
})

describe('paths', () => {
  test('a prefix loses the slash at its end, and / is the whole host', () => {
    const reading = read([ingress('a', rule('a.example', path('/'), path('/api/'), path('/docs'), path(undefined)))])
    expect(matches(reading)).toEqual([
      { from: 'https://a.example', prefix: '/docs' },
      { from: 'https://a.example', prefix: '/api' },
      { from: 'https://a.example' },
    ])
    // `/` and no path are one address.
    expect(reading.refused).toEqual([
      { ingress: 'apps/a', at: 'a.example', reason: 'Ingress apps/a has this address already' },
    ])
  })

  test('exact before prefix, the longer before the shorter, hosts in their order, whichever Ingress they are of', () => {
    const reading = read([
      ingress('a', rule('b.example', path('/x'), path('/x/long'))),
      ingress('b', rule('a.example', path('/'))),
      ingress('c', rule('b.example', path('/', 'Exact'), path('/x/longest'))),
    ])
    expect(matches(reading)).toEqual([
      { from: 'https://b.example', path: '/' },
      { from: 'https://b.example', prefix: '/x/longest' },
      { from: 'https://b.example', prefix: '/x/long' },
      { from: 'https://b.example', prefix: '/x' },
      { from: 'https://a.example' },
    ])
  })

  test('a regular expression only where the Ingress says so', () => {
    const spec = rule('a.example', path('^/v[0-9]+/', 'ImplementationSpecific'))
    const said = { annotations: { 'ingress.postern/path_regex': 'true' } }
    expect(matches(read([ingress('a', spec, said)]))).toEqual([{ from: 'https://a.example', regex: '^/v[0-9]+/' }])
    expect(matches(read([ingress('a', spec)]))).toEqual([{ from: 'https://a.example', prefix: '^/v[0-9]+' }])
  })

  test.each<[string, Tree, string]>([
    ['without a host', rule(undefined, path('/')), 'a route needs the host that it serves'],
    ['of an unknown type', rule('a.example', path('/', 'Glob')), 'unknown pathType "Glob"'],
    ['that are no text', rule('a.example', { ...path('/'), path: 7 }), 'its path is no text'],
    ['that are exact and missing', rule('a.example', path(undefined, 'Exact')), 'an exact path is missing'],
    [
      'whose backend is no Service',
      rule('a.example', { path: '/', pathType: 'Prefix', backend: { resource: { kind: 'Bucket' } } }),
      'its backend is no Service',
    ],
    ['by default', { defaultBackend: path('/')['backend'] }, 'a route needs the host that it serves'],
    ['that are no list', { rules: [{ host: 'a.example', http: { paths: 'all' } }] }, ''],
  ])('%s are not served', (_, spec, reason) => {
    const { routes, refused } = read([ingress('a', spec)])
    expect([routes, refused.map((each) => each.reason)]).toEqual([[], reason === '' ? [] : [reason]])
  })
})

describe('an address that two want', () => {
  const made = (name: string, at: string): Tree =>
    ingress(name, rule('a.example', path('/')), { creationTimestamp: at })

  test('belongs to the older, whatever their order', () => {
    const [old, young] = [made('z', '2026-01-01T00:00:00Z'), made('a', '2026-01-02T00:00:00Z')]
    for (const both of [
      [old, young],
      [young, old],
    ]) {
      const { routes, refused } = read(both)
      expect(routes.map(({ ingress: id }) => id)).toEqual(['apps/z'])
      expect(refused).toEqual([
        { ingress: 'apps/a', at: 'a.example/', reason: 'Ingress apps/z has this address already' },
      ])
    }
  })

  test('belongs, when both were made in one second, to the first by name', () => {
    const at = '2026-01-01T00:00:00Z'
    expect(read([made('b', at), made('a', at)]).routes.map(({ ingress: id }) => id)).toEqual(['apps/a'])
  })
})

describe('the way to the backend', () => {
  const service = (spec: Tree): Tree => ({ metadata: { name: 'web', namespace: 'apps' }, spec })
  const to = (port: Tree, services: readonly Tree[], annotations: Tree = {}): unknown => {
    const { routes, refused } = read(
      [ingress('a', rule('a.example', path('/', 'Prefix', port)), { annotations })],
      services,
    )
    return routes[0]?.route['to'] ?? refused[0]?.reason
  }
  const ports = [
    { name: 'http', port: 8080 },
    { name: 'metrics', port: 9000 },
  ]

  test('a port by number or by name is the one of the Service', () => {
    expect(to({ number: 8080 }, [])).toBe('http://web.apps.svc.cluster.local:8080')
    expect(to({ name: 'metrics' }, [service({ ports })])).toBe('http://web.apps.svc.cluster.local:9000')
    expect(to({ number: 8080 }, [service({ ports })], { 'ingress.postern/secure_upstream': 'true' })).toBe(
      'https://web.apps.svc.cluster.local:8080',
    )
  })

  test('a port that the Service does not have, or whose Service is in another namespace, is refused', () => {
    expect(to({ number: 81 }, [service({ ports })])).toBe('Service web has no port 81')
    expect(to({ name: 'grpc' }, [service({ ports })])).toBe('Service web has no port "grpc"')
    expect(to({ name: 'http' }, [{ ...service({ ports }), metadata: { name: 'web', namespace: 'other' } }])).toBe(
      'Service web is not here, which says what port "http" is',
    )
  })

  test('a Service that leads out of the cluster is refused', () => {
    expect(to({ number: 80 }, [service({ type: 'ExternalName', externalName: '169.254.169.254' })])).toBe(
      'Service web leads out of the cluster (ExternalName)',
    )
  })
})

test('annotations are the keys of all routes of an Ingress; foreign ones are named', () => {
  const { annotations, foreign } = read([
    ingress('a', rule('a.example', path('/')), {
      annotations: {
        'ingress.postern/allowed_groups': '[Engineering]',
        'ingress.postern/secure_upstream': 'true',
        'nginx.ingress.kubernetes.io/auth-url': 'http://x',
      },
    }),
  ])
  expect([...annotations].map(([id, keys]) => [id, Object.fromEntries(keys)])).toEqual([
    ['apps/a', { allowed_groups: '[Engineering]' }],
  ])
  expect(foreign).toEqual([{ ingress: 'apps/a', annotation: 'nginx.ingress.kubernetes.io/auth-url' }])
})

test('certificates are the Secrets of the own namespace, with their hosts', () => {
  const tls = [{ secretName: 'cert', hosts: ['a.example', '*.b.example'] }, { hosts: ['c.example'] }]
  expect(read([ingress('a', { ...rule('a.example', path('/')), tls })]).certificates).toEqual([
    { ingress: 'apps/a', secret: 'apps/cert', hosts: ['a.example', '*.b.example'] },
  ])
})

test('objects that are broken in every place refuse themselves and nothing else', () => {
  const good = ingress('good', rule('good.example', path('/')))
  for (const bad of [{}, { metadata: null, spec: 7 }, { spec: { ingressClassName: 'postern', rules: [null, 7, {}] } }])
    expect(read([bad, good]).routes.map(({ ingress: id }) => id)).toEqual(['apps/good'])
})
