import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { parseFrom } from '../../../src/routing/host.ts'
import { compileRegex } from '../../../src/routing/regex.ts'
import { createRouteTable } from '../../../src/routing/table.ts'
import type { Naming } from '../../../src/config/model.ts'
import type { PathMatch, Route } from '../../../src/config/route-model.ts'
import type { RequestFacts } from '../../../src/http/request.ts'
import type { RouteTable } from '../../../src/routing/model.ts'

const naming = { controlPrefix: '/.postern', wellKnown: '/.well-known/postern' } as Naming
type Authenticate = Parameters<typeof createRouteTable>[0]
const authenticate: Authenticate = {
  authenticateServiceUrl: new URL('https://authenticate.corp.example'),
  authenticateCallbackPath: '/oauth2/callback',
  services: 'all',
}

function tableOf(routes: readonly Route[], more: { authenticate?: Authenticate; naming?: Naming } = {}): RouteTable {
  return createRouteTable(more.authenticate ?? authenticate, {
    routes,
    naming: more.naming ?? naming,
    publicHealthPaths: ['/ping', '/healthz'],
  })
}

/** A route named by what it matches: `https://app.example /admin`. */
function route(from: string, match: PathMatch = { kind: 'all' }, more: Partial<Route> = {}): Route {
  const parsed = parseFrom(from)
  if ('problem' in parsed) throw new Error(parsed.problem)
  return { name: from, from: parsed, match, action: { kind: 'forward' }, ...more } as Route
}

const prefix = (text: string, boundary = true): PathMatch => ({ kind: 'prefix', prefix: text, boundary })
const exactly = (path: string): PathMatch => ({ kind: 'path', path })
function regex(source: string): PathMatch {
  const compiled = compileRegex(source)
  if ('problem' in compiled) throw new Error(compiled.problem)
  return { kind: 'regex', ...compiled }
}

function request(host: string, path: string, port?: number): RequestFacts {
  return { host, path, port, scheme: 'https' } as RequestFacts
}

/** The name of the route that serves it, the control action, or `none`. */
function served(table: RouteTable, host: string, path: string, port?: number): string {
  const match = table.match(request(host, path, port))
  if (match.kind === 'route') return match.route.name
  return match.kind === 'control' ? `${match.on}: ${match.action}` : match.kind
}

describe('what another process serves', () => {
  const app = route('https://app.example')
  const tableFor = (services: Authenticate['services']) =>
    tableOf([app], { authenticate: { ...authenticate, services } })
  const sites = [
    ['app.example', '/'],
    ['app.example', '/.postern/callback'],
    ['app.example', '/ping'],
    ['authenticate.corp.example', '/oauth2/callback'],
    ['authenticate.corp.example', '/.postern/scim/v2/Users'],
    ['authenticate.corp.example', '/ping'],
    ['10.0.0.1', '/ping'],
  ] as const

  test.each([
    [
      'all',
      [
        'https://app.example',
        'route: route-callback',
        'https://app.example',
        'authenticate: idp-callback',
        'authenticate: scim',
        'authenticate: ping',
        'authenticate: ping',
      ],
    ],
    [
      'authenticate',
      [
        'none',
        'none',
        'none',
        'authenticate: idp-callback',
        'authenticate: scim',
        'authenticate: ping',
        'authenticate: ping',
      ],
    ],
    [
      'proxy',
      [
        'https://app.example',
        'route: route-callback',
        'https://app.example',
        'none',
        'none',
        'authenticate: ping',
        'authenticate: ping',
      ],
    ],
  ] as const)('%s', (services, expected) => {
    const table = tableFor(services)
    expect(sites.map(([host, path]) => served(table, host, path))).toEqual(expected)
  })

  test.each(['authenticate', 'proxy'] as const)('%s: people may return to all of it', (services) => {
    const table = tableFor(services)
    expect(table.allowsReturn(new URL('https://app.example/x'))).toBe(true)
    expect(table.allowsReturn(new URL('https://authenticate.corp.example/'))).toBe(true)
    expect(table.originOf('app.example', undefined)).toBe('https://app.example')
  })
})

describe('within a host', () => {
  const table = tableOf([
    route('https://app.example', exactly('/exact'), { name: 'path' }),
    route('https://app.example', prefix('/admin'), { name: 'admin' }),
    route('https://app.example', regex('/api/.*/status'), { name: 'regex' }),
    route('https://app.example', prefix('/dir/'), { name: 'directory' }),
    route('https://app.example', prefix('/admin/deeper'), { name: 'shadowed' }),
    route('https://app.example', prefix('/str', false), { name: 'string prefix' }),
  ])
  test.each([
    ['/exact', 'path'],
    ['/exact/', 'none'],
    ['/admin', 'admin'],
    ['/admin/', 'admin'],
    ['/admin/deeper/x', 'admin'],
    ['/administrator', 'none'],
    ['/admin.evil', 'none'],
    ['/admin../x', 'none'],
    ['/publicadmin', 'none'],
    ['/ADMIN', 'none'],
    ['/api/x/status', 'regex'],
    ['/api/x/status/y', 'none'],
    ['/dir', 'none'],
    ['/dir/', 'directory'],
    ['/dir/x', 'directory'],
    ['/string', 'string prefix'],
    ['/', 'none'],
  ])('%s is served by %s', (path, name) => {
    expect(served(table, 'app.example', path)).toBe(name)
  })

  test('the first match in the file wins, also over a longer prefix', () => {
    const first = tableOf([
      route('https://a.test', prefix('/'), { name: 'one' }),
      route('https://a.test', prefix('/x'), { name: 'two' }),
    ])
    expect(served(first, 'a.test', '/x')).toBe('one')
  })
})

describe('hosts', () => {
  const table = tableOf([
    route('https://*.corp.example'),
    route('https://app.corp.example', prefix('/a')),
    route('https://*-dev.corp.example'),
    route('https://x-*.*.other.example'),
  ])
  test.each([
    ['app.corp.example', '/a', 'https://app.corp.example'],
    // A host that is written out hides the wildcards, whatever its paths.
    ['app.corp.example', '/b', 'none'],
    ['other.corp.example', '/b', 'https://*.corp.example'],
    ['a.b.corp.example', '/', 'https://*.corp.example'],
    ['app-dev.corp.example', '/', 'https://*.corp.example'],
    ['corp.example', '/', 'none'],
    ['.corp.example', '/', 'none'],
    ['evilcorp.example', '/', 'none'],
    ['x.corp.example.evil.test', '/', 'none'],
    ['x-1.y.other.example', '/', 'https://x-*.*.other.example'],
    ['x-.y.other.example', '/', 'none'],
    ['x-1.other.example', '/', 'none'],
    ['unknown.test', '/', 'none'],
  ])('%s%s is served by %s', (host, path, name) => {
    expect(served(table, host, path)).toBe(name)
  })

  test('among wildcards the first in the file that matches host and path wins', () => {
    const wildcards = tableOf([
      route('https://*.dev.example', prefix('/only')),
      route('https://*.example', prefix('/x')),
      route('https://*.dev.example', { kind: 'all' }, { name: 'second dev' }),
      route('https://*'),
    ])
    expect(served(wildcards, 'a.dev.example', '/only')).toBe('https://*.dev.example')
    expect(served(wildcards, 'a.dev.example', '/x')).toBe('https://*.example')
    expect(served(wildcards, 'a.dev.example', '/y')).toBe('second dev')
    expect(served(wildcards, 'a.example', '/y')).toBe('https://*')
  })

  test('a star stands for one or more characters, wherever it is', () => {
    const part = fc.stringMatching(/^[ab.]{0,3}$/)
    fc.assert(
      fc.property(fc.array(part, { minLength: 2, maxLength: 4 }), fc.stringMatching(/^[ab.]{1,8}$/), (parts, host) => {
        const pattern = parts.join('*')
        const wildcard = {
          ...route('https://x.test'),
          from: { scheme: 'https', host: pattern, wildcard: true },
        } as Route
        const expected = new RegExp(`^${parts.map((text) => text.replaceAll('.', '\\.')).join('.+')}$`).test(host)
        expect(tableOf([wildcard]).match(request(host, '/')).kind).toBe(expected ? 'route' : 'none')
      }),
      { numRuns: 2000 },
    )
  })
})

describe('ports', () => {
  const table = tableOf([
    route('https://any.test'),
    route('https://tls.test:443'),
    route('https://high.test:8443'),
    route('http://plain.test:80'),
    route('https://two.test:1', { kind: 'all' }, { name: 'one' }),
    route('https://two.test:2', { kind: 'all' }, { name: 'two' }),
  ])
  test.each<[string, number | undefined, string]>([
    ['any.test', undefined, 'https://any.test'],
    ['any.test', 9999, 'https://any.test'],
    ['tls.test', undefined, 'https://tls.test:443'],
    ['tls.test', 443, 'https://tls.test:443'],
    ['tls.test', 80, 'none'],
    ['high.test', 8443, 'https://high.test:8443'],
    ['high.test', undefined, 'none'],
    ['plain.test', undefined, 'http://plain.test:80'],
    ['two.test', 2, 'two'],
    ['two.test', 3, 'none'],
  ])('%s with port %s is served by %s', (host, port, name) => {
    expect(served(table, host, '/', port)).toBe(name)
  })
})

describe('control paths', () => {
  const table = tableOf([route('https://app.test'), route('https://*.wild.test:8443')])
  const onAuthenticate: readonly (readonly [string, string])[] = [
    ['/', 'authenticate: portal'],
    ['/ping', 'authenticate: ping'],
    ['/healthz', 'authenticate: ping'],
    ['/robots.txt', 'authenticate: robots'],
    ['/.postern', 'authenticate: portal'],
    ['/.postern/', 'authenticate: portal'],
    ['/.postern/routes', 'authenticate: portal'],
    ['/.postern/api/v1/routes', 'authenticate: portal-json'],
    ['/.postern/account', 'authenticate: user-page'],
    ['/.postern/user', 'authenticate: user-json'],
    ['/.postern/sign_in', 'authenticate: sign-in'],
    ['/.postern/sign_out', 'authenticate: sign-out'],
    ['/.postern/signed_out', 'authenticate: signed-out'],
    ['/.postern/status', 'authenticate: status-page'],
    ['/.postern/api/v1/status', 'authenticate: status-json'],
    ['/.postern/style.css', 'authenticate: style'],
    ['/.postern/callback', 'none'],
    ['/.well-known/postern', 'authenticate: well-known'],
    ['/.well-known/postern/', 'authenticate: well-known'],
    ['/.well-known/postern/jwks.json', 'authenticate: jwks'],
    ['/oauth2/callback', 'authenticate: idp-callback'],
    ['/oauth2/callback/', 'none'],
    ['/else', 'none'],
  ]
  test.each(onAuthenticate)('on the host of the sign-in service %s is %s', (path, what) => {
    expect(served(table, 'authenticate.corp.example', path)).toBe(what)
  })

  test.each([
    ['/', 'https://app.test'],
    ['/ping', 'https://app.test'],
    ['/healthz', 'https://app.test'],
    ['/robots.txt', 'https://app.test'],
    ['/.postern', 'route: portal'],
    ['/.postern/', 'route: portal'],
    ['/.postern/routes', 'route: portal'],
    ['/.postern/api/v1/routes', 'route: portal-json'],
    ['/.postern/account', 'route: user-page'],
    ['/.postern/user', 'route: user-json'],
    ['/.postern/sign_in', 'route: sign-in'],
    ['/.postern/sign_out', 'route: sign-out'],
    ['/.postern/signed_out', 'none'],
    ['/.postern/status', 'none'],
    ['/.postern/api/v1/status', 'none'],
    ['/.postern/callback', 'route: route-callback'],
    ['/.postern/callback/', 'route: route-callback'],
    ['/.postern/return', 'route: return'],
    ['/.postern/oauth-protected-resource', 'route: protected-resource'],
    ['/.postern/token', 'route: token'],
    ['/.postern/style.css', 'route: style'],
    ['/.postern/else', 'none'],
    ['/.posternx', 'https://app.test'],
    ['/.well-known/postern', 'route: well-known'],
    ['/.well-known/postern/jwks.json', 'route: jwks'],
    ['/.well-known/postern/else', 'none'],
    ['/.well-known/security.txt', 'https://app.test'],
    ['/oauth2/callback', 'https://app.test'],
    ['/x/.postern/user', 'https://app.test'],
  ])('on a route %s is %s', (path, what) => {
    expect(served(table, 'app.test', path)).toBe(what)
  })

  test.each([
    ['/ping', 'authenticate: ping'],
    ['/healthz', 'authenticate: ping'],
    ['/healthz/', 'none'],
    ['/.postern/style.css', 'route: style'],
    ['/.postern/', 'none'],
    ['/.well-known/postern/jwks.json', 'route: jwks'],
    ['/.well-known/postern', 'none'],
    ['/', 'none'],
  ])('on an unknown host %s is %s', (path, what) => {
    expect(served(table, 'unknown.test', path)).toBe(what)
  })

  test('the origin comes from the configuration, not from the request', () => {
    expect(table.match(request('app.test', '/.postern/', 9999))).toMatchObject({ origin: 'https://app.test' })
    expect(table.match(request('a.wild.test', '/.postern/', 8443))).toMatchObject({
      origin: 'https://a.wild.test:8443',
    })
    expect(table.match(request('a.wild.test', '/.postern/', 1))).toEqual({ kind: 'none' })
    expect(table.match(request('authenticate.corp.example', '/', 9999))).toMatchObject({
      origin: 'https://authenticate.corp.example',
    })
    expect(table.match(request('unknown.test', '/ping'))).toMatchObject({ origin: 'https://authenticate.corp.example' })
  })

  test('the host of the sign-in service with a port is served on that port only, and never by a route', () => {
    const onPort = tableOf([route('http://*.localhost:8080')], {
      authenticate: { ...authenticate, authenticateServiceUrl: new URL('http://authenticate.localhost:8080') },
    })
    expect(served(onPort, 'authenticate.localhost', '/', 8080)).toBe('authenticate: portal')
    expect(served(onPort, 'authenticate.localhost', '/', 9090)).toBe('none')
    expect(served(onPort, 'authenticate.localhost', '/app', 8080)).toBe('none')
  })

  test('compatibility: pomerium changes the control paths, and the others belong to the application', () => {
    const pomerium = tableOf([route('https://app.test')], {
      naming: { ...naming, controlPrefix: '/.pomerium', wellKnown: '/.well-known/pomerium' },
    })
    expect(served(pomerium, 'app.test', '/.pomerium/user')).toBe('route: user-json')
    expect(served(pomerium, 'app.test', '/.well-known/pomerium/jwks.json')).toBe('route: jwks')
    expect(served(pomerium, 'app.test', '/.postern/user')).toBe('https://app.test')
  })
})

describe('origins', () => {
  const table = tableOf([
    route('https://app.test'),
    route('https://tls.test:443'),
    route('http://dev.localhost:8080'),
    route('https://*.wild.test'),
  ])
  test.each<[string, number | undefined, string | undefined]>([
    ['app.test', undefined, 'https://app.test'],
    ['app.test', 8443, 'https://app.test'],
    ['tls.test', 443, 'https://tls.test'],
    ['dev.localhost', 8080, 'http://dev.localhost:8080'],
    ['dev.localhost', 80, undefined],
    ['x.wild.test', undefined, 'https://x.wild.test'],
    ['wild.test', undefined, undefined],
    ['authenticate.corp.example', undefined, undefined],
    ['unknown.test', undefined, undefined],
  ])('of %s with port %s: %s', (host, port, origin) => {
    expect(table.originOf(host, port)).toBe(origin)
    const https = host === 'authenticate.corp.example' || origin?.startsWith('https:') === true
    expect(table.isHttps(host, port)).toBe(https)
  })
})

describe('where a sign-in may return to', () => {
  const table = tableOf([
    route('https://app.example.test'),
    route('https://high.example.test:8443'),
    route('http://dev.localhost:8080'),
    route('https://*.wild.test'),
    route('https://a*.star.test'),
    route('https://closed.wild.test:8443'),
  ])
  test.each([
    'https://app.example.test/',
    'https://app.example.test/x?y=1#z',
    'https://APP.example.test:443/x',
    'https://high.example.test:8443/',
    'http://dev.localhost:8080/x',
    'https://x.wild.test/',
    'https://x.y.wild.test/',
    'https://ab.star.test/',
    'https://closed.wild.test:8443/',
    'https://authenticate.corp.example/.postern/',
  ])('%s', (url) => {
    expect(table.allowsReturn(new URL(url))).toBe(true)
  })

  test.each([
    'http://app.example.test/',
    'https://app.example.test:8443/',
    'https://app.example.test./',
    'https://high.example.test/',
    'https://dev.localhost:8080/',
    'http://dev.localhost/',
    'https://evil.test/',
    'https://evilapp.example.test/',
    'https://app.example.test.evil.test/',
    'https://app.example.test@evil.test/',
    'https://ann@app.example.test/',
    'https://ann:pw@app.example.test/',
    'https://wild.test/',
    'https://evilwild.test/',
    'https://a.star.test/',
    'https://x.wild.test:8443/',
    // The host that is written out is served on its own port only.
    'https://closed.wild.test/',
    'ftp://app.example.test/',
    'blob:https://app.example.test/0',
    'javascript:alert(1)',
    'data:text/html,x',
    'https://[::1]/',
  ])('never %s', (url) => {
    expect(table.allowsReturn(new URL(url))).toBe(false)
  })
})
