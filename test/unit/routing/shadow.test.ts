import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Route } from '../../../src/config/route-model.ts'
import { parseFrom } from '../../../src/routing/host.ts'
import { compileRegex, literalPrefix } from '../../../src/routing/regex.ts'
import { findShadows } from '../../../src/routing/shadow.ts'
import { createRouteTable } from '../../../src/routing/table.ts'
import { facts, NAMING, route, type RouteOptions } from '../upstream/support.ts'

type Written = readonly [from: string, match: string, policy?: Route['policy']['kind'], more?: RouteOptions]

/** `/a` is a prefix, `=/a` a path, `~/a.*` an expression, `` everything; `boundary` false: prefixes are strings. */
function routes(written: readonly Written[], boundary = true): Route[] {
  return written.map(([from, match, policy = 'rules', more = {}]) => {
    const parsed = parseFrom(from)
    if ('problem' in parsed) throw new Error(parsed.problem)
    return route('http://up.test', {
      from: parsed,
      match: matchOf(match, boundary),
      policy: policy === 'rules' ? { kind: 'rules', allow: [], deny: [] } : { kind: policy },
      ...more,
    })
  })
}

function matchOf(text: string, boundary: boolean): Route['match'] {
  if (text === '') return { kind: 'all' }
  if (text.startsWith('=')) return { kind: 'path', path: text.slice(1) }
  if (!text.startsWith('~')) return { kind: 'prefix', prefix: text, boundary }
  const regex = compileRegex(text.slice(1))
  if ('problem' in regex) throw new Error(regex.problem)
  return { kind: 'regex', ...regex }
}

const A = 'https://a.test'
const said = (list: readonly Route[]) =>
  findShadows(list).map(({ earlier, later, example }) => [earlier, later, example ?? 'all'])

describe('a route of which an earlier one takes every request', () => {
  test.each<[string, Written, Written]>([
    ['everything', [A, ''], [A, '/admin']],
    ['everything, before everything', [A, ''], [A, '']],
    ['the same prefix', [A, '/a'], [A, '/a']],
    ['a prefix above', [A, '/a'], [A, '/a/b']],
    ['a prefix above a path', [A, '/a'], [A, '=/a/secret']],
    ['the same path', [A, '=/a'], [A, '=/a']],
    ['a prefix above an expression', [A, '/a'], [A, '~/a/[0-9]+']],
    ['an expression that matches the path', [A, '~/a/[0-9]+'], [A, '=/a/17']],
    ['the same expression', [A, '~/a/[0-9]+'], [A, '~/a/[0-9]+']],
    ['an expression for everything', [A, '~.*'], [A, '/admin']],
    ['an expression for everything below', [A, '~^/a/.*$'], [A, '/a/b']],
    ['an expression that is a path', [A, '/a\\.b'.replace('/a', '~/a')], [A, '=/a.b']],
    ['everything above an expression', [A, ''], [A, '~(/a|/b)']],
    ['any port', [A, ''], ['https://a.test:8443', '']],
    ['the same port', ['https://a.test:8443', ''], ['https://a.test:8443', '/x']],
    ['the default port, written out', ['https://a.test:443', ''], ['https://a.test:443', '/x']],
    ['another scheme', ['http://a.test', ''], [A, '/x']],
    ['a wider wildcard', ['https://*.test', ''], ['https://a-*.test', '/x']],
    ['a wildcard for more stars', ['https://*.test', ''], ['https://*.b.*.test', '/x']],
    ['the same wildcard', ['https://*.test', '/x'], ['https://*.test', '/x']],
  ])('%s', (_, earlier, later) => {
    expect(said(routes([earlier, later]))).toEqual([[0, 1, 'all']])
  })

  test.each<[string, Written, Written]>([
    ['a string prefix', [A, '/adm'], [A, '/admin']],
    ['a string prefix above an expression', [A, '/adm'], [A, '~/admin.*']],
  ])('with string prefixes: %s', (_, earlier, later) => {
    expect(said(routes([earlier, later], false))).toEqual([[0, 1, 'all']])
  })

  test('names the first of several', () => {
    expect(
      said(
        routes([
          [A, '/a'],
          [A, ''],
          [A, '/a/b/c'],
          [A, '=/z'],
        ]),
      ),
    ).toEqual([
      [0, 2, 'all'],
      [1, 3, 'all'],
    ])
  })
})

describe('routes that are all reached', () => {
  test.each<[string, Written, Written]>([
    ['the narrower one first', [A, '/admin', 'public'], [A, '']],
    ['a path before its prefix', [A, '=/a', 'public'], [A, '/a']],
    ['other segments', [A, '/a', 'public'], [A, '/ab']],
    ['a prefix with a slash', [A, '/a/', 'public'], [A, '/a']],
    ['other hosts', [A, '', 'public'], ['https://b.test', '']],
    ['a host before the wildcard', [A, '', 'public'], ['https://*.test', '']],
    ['a wildcard before the host, which is asked alone', ['https://*.test', '', 'public'], [A, '']],
    ['other wildcards', ['https://*.a.test', '', 'public'], ['https://*.b.test', '']],
    ['one port before any', ['https://a.test:8443', '', 'public'], [A, '']],
    ['other ports', ['https://a.test:8443', '', 'public'], ['https://a.test:9443', '']],
    ['an expression below a prefix', [A, '~/api/[^/]+/status', 'public'], [A, '/api']],
    ['an expression beside a prefix', [A, '~/api/v[0-9]+', 'public'], [A, '/admin']],
  ])('%s', (_, earlier, later) => {
    expect(said(routes([earlier, later]))).toEqual([])
  })
})

describe('a more public route that takes a part', () => {
  test.each<[string, Written, Written, string]>([
    ['an expression across prefixes', [A, '~.*\\.(css|js)', 'public'], [A, '/admin'], '/admin/x.css'],
    ['an expression at the end', [A, '~.*/export', 'signed-in'], [A, '/admin'], '/admin/export'],
    ['a prefix of an expression', [A, '/a', 'public'], [A, '~(/a|/b)'], '/a'],
    ['of one port', ['https://a.test:8443', '', 'public'], [A, '/admin'], '/admin'],
    ['of more hosts', ['https://*.test', '/status', 'public'], ['https://a-*.test', ''], '/status'],
    ['of other hosts', ['https://a-*.test', '', 'public'], ['https://*-b.test', ''], '/'],
  ])('%s is named with an example', (_, earlier, later, example) => {
    expect(said(routes([earlier, later]))).toEqual([[0, 1, example]])
    const [[, match, policy]] = [later]
    expect(
      said(
        routes([
          [earlier[0], earlier[1]],
          [later[0], match, policy ?? 'rules'],
        ]),
      ),
    ).toEqual([])
  })
})

describe('against the table of routes', () => {
  const host = fc.constantFrom('a.test', 'b.test', '*.test', 'a*.test', '*.b.test')
  const port = fc.constantFrom('', ':443', ':80', ':8443')
  const scheme = fc.constantFrom('https://', 'http://')
  const match = fc.constantFrom(
    '',
    '/a',
    '/a/',
    '/a/b',
    '/ab',
    '=/a',
    '=/a/',
    '=/a/b',
    '=/ab',
    '~/a.*',
    '~/a/.*',
    '~/a/[b-d]',
    '~(/a|/b)',
    '~/ab?',
    '~.*',
    '~/a/b',
  )
  const policy = fc.constantFrom('public' as const, 'signed-in' as const, 'rules' as const)
  const written = fc
    .tuple(fc.tuple(scheme, host, port), match, policy)
    .map(([from, matched, kind]): Written => [from.join(''), matched, kind])
  const HOSTS = ['a.test', 'b.test', 'ab.test', 'x.b.test', 'a.b.test', 'x.y.test']
  const PATHS = ['/', '/a', '/a/', '/a/b', '/a/c', '/a/b/x', '/a/x', '/ab', '/ab/x', '/abx', '/a.x', '/b', '/x']
  const requests = HOSTS.flatMap((name) =>
    [undefined, 80, 443, 8443, 9443].flatMap((asked) => PATHS.map((path) => facts({ host: name, port: asked, path }))),
  )
  const table = (list: readonly Route[]) => {
    const fixed = {
      authenticateServiceUrl: new URL('https://authenticate.example'),
      authenticateCallbackPath: '/cb',
      services: 'all',
    } as const
    const made = createRouteTable(fixed, { naming: NAMING, routes: list, publicHealthPaths: [] })
    return (request: (typeof requests)[number]) => {
      const found = made.match(request)
      return found.kind === 'route' ? list.indexOf(found.route) : undefined
    }
  }

  test.each([true, false])('what is said to be never reached is never reached (boundary: %s)', (boundary) => {
    fc.assert(
      fc.property(fc.array(written, { minLength: 2, maxLength: 5 }), (list) => {
        const all = routes(list, boundary)
        const find = table(all)
        const reached = new Set(requests.map(find))
        for (const { later, example } of findShadows(all))
          if (example === undefined) expect(reached).not.toContain(later)
      }),
      { numRuns: 300 },
    )
  })

  test.each([true, false])('of two routes, one that is never reached is said to be (boundary: %s)', (boundary) => {
    fc.assert(
      fc.property(written, written, (earlier, later) => {
        const all = routes([earlier, later], boundary)
        const [, second] = all
        const reached = new Set(requests.map(table(all)))
        const alone = requests.some((request) => second && table([second])(request) === 0)
        // Of expressions only some are understood.
        fc.pre(alone && !/[[(?]/.test(earlier[1] + later[1]))
        if (!reached.has(1)) expect(said(all)).toEqual([[0, 1, 'all']])
      }),
      { numRuns: 500 },
    )
  })

  test('an example is a path of both routes', () => {
    fc.assert(
      fc.property(written, written, (earlier, later) => {
        const all = routes([earlier, later])
        for (const { example } of findShadows(all)) {
          if (example === undefined) continue
          for (const one of all) {
            const name = one.from.host.replaceAll('*', 'a')
            expect(
              table([{ ...one, from: { ...one.from, host: name, wildcard: false } }])(
                facts({ host: name, port: one.from.port, path: example }),
              ),
            ).toBe(0)
          }
        }
      }),
      { numRuns: 500 },
    )
  })
})

test.each<[string, (i: number) => Written]>([
  ['prefixes of one host', (i) => [A, `/team-${i}`, i % 2 ? 'public' : 'rules']],
  ['nested prefixes of one host', (i) => [A, `/${9999 - i}/x/y`, 'public']],
  ['hosts', (i) => [`https://app-${i}.test`, '']],
  ['wildcards with ends of their own', (i) => [`https://*.customer-${i}.test`, '', i % 2 ? 'public' : 'rules']],
  ['wildcards with beginnings of their own', (i) => [`https://app-${i}-*.test`, '', 'public']],
  ['expressions and paths', (i) => (i % 2 ? [A, `~/[a-z]+/${i}`, 'public'] : [A, `=/x/${i}`])],
  ['expressions', (i) => [A, `~/[a-z]+/${i}`, i % 3 ? 'public' : 'rules']],
  ['ports', (i) => [`https://a.test:${i + 1}`, '/x', i % 2 ? 'public' : 'rules']],
])('10,000 %s are judged in bounded time', (_, one) => {
  const list = routes(Array.from({ length: 10_000 }, (__, i) => one(i)))
  const startedAt = process.cpuUsage()
  findShadows(list)
  const { user, system } = process.cpuUsage(startedAt)
  expect((user + system) / 1000).toBeLessThan(8000)
})

test.each([
  ['/api/v1\\.0/.*', '/api/v1.0/', '.*'],
  ['^/a$', '/a', ''],
  ['/ab?', '/a', 'b?'],
  ['/a|/b', '', '/a|/b'],
  ['/(a|b)', '/', '(a|b)'],
  ['/[|](a|b)', '/', '[|](a|b)'],
  ['/x[[:alpha:](]|/y', '', '/x[[:alpha:](]|/y'],
  ['/\\Qa|b\\E', '', '/\\Qa|b\\E'],
  ['(?i)/a', '', '(?i)/a'],
  ['/ab(?i)?', '/a', 'b(?i)?'],
  ['/\\d', '/', '\\d'],
])('every match of %s begins with %j', (source, text, rest) => {
  expect(literalPrefix(source)).toEqual({ text, rest })
})
