import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PathMatch, Route } from '../../../src/config/route-model.ts'
import { createPathIndex } from '../../../src/routing/path-index.ts'
import { compileRegex, literalPrefix } from '../../../src/routing/regex.ts'
import { matchesPath } from '../../../src/routing/table.ts'

const segment = fc.constantFrom('a', 'b', 'ab', 'a.b', 'A', 'é', '')
const path = fc.array(segment, { maxLength: 4 }).map((segments) => `/${segments.join('/')}`)
const expression = fc
  .array(
    fc.constantFrom(
      '/',
      'a',
      'b',
      '.*',
      '.',
      '(a|b)',
      '[ab]',
      'a?',
      '/*',
      '\\.',
      'b+',
      '|',
      '(?i)',
      '(?s)',
      '\\b',
      '\\B',
      '[^/]+',
      '[[:alpha:]]',
      '\\pL',
      '(?:ab|b)*',
      'a{0,1}',
      '^',
      '$',
    ),
    {
      maxLength: 6,
    },
  )
  .map((parts) => parts.join(''))
  .filter((source) => !('problem' in compileRegex(source)))
const expressionMatch = expression.map((source) => ({ kind: 'regex', ...compileRegex(source) }) as PathMatch)
const match: fc.Arbitrary<PathMatch> = fc.oneof(
  fc.constant<PathMatch>({ kind: 'all' }),
  path.map((text): PathMatch => ({ kind: 'path', path: text })),
  fc.tuple(path, fc.boolean()).map(([prefix, boundary]): PathMatch => ({ kind: 'prefix', prefix, boundary })),
  expressionMatch,
)

function indexOf(matches: readonly PathMatch[]) {
  const routes = matches.map((of) => ({ match: of, action: { kind: 'respond' } }) as Route)
  const index = createPathIndex()
  routes.forEach((route, place) => index.add({ route, place }))
  return { routes, index }
}

test('find gives the route that a look at each in file order gives', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(match, expressionMatch), { maxLength: 24 }), path, (matches, asked) => {
      const { routes, index } = indexOf(matches)
      const found = index.find(asked, matchesPath, undefined)
      expect(found?.place ?? -1).toBe(routes.findIndex((route) => matchesPath(route, asked)))
    }),
    { numRuns: 2000 },
  )
})

test('every path that an expression matches begins with its literal prefix', () => {
  fc.assert(
    fc.property(expression, path, (source, asked) => {
      const compiled = compileRegex(source)
      if ('problem' in compiled || !compiled.test(asked)) return
      expect(asked.startsWith(literalPrefix(source).text)).toBe(true)
    }),
    { numRuns: 5000 },
  )
})

test('find gives the route that comes first among hundreds of expressions, whatever their form', () => {
  const forms = [
    (i: number) => `/[a-z]+/v${i % 90}(?:/.*)?`,
    (i: number) => `.*\\.ext${i % 70}`,
    (i: number) => `/(?i)A${i % 50}/b?`,
  ]
  const { routes, index } = indexOf(
    Array.from({ length: 400 }, (_, i): PathMatch => {
      const source = forms[i % forms.length]?.(i) ?? ''
      return { kind: 'regex', ...compileRegex(source) } as PathMatch
    }),
  )
  for (let i = 0; i < 100; i++) {
    for (const asked of [
      `/abc/v${i}/x`,
      `/abc/v${i}`,
      `/x/y.ext${i}`,
      `/a${i}/b`,
      `/abc/v${i}/z.ext${i}`,
      `/none/${i}`,
    ]) {
      const found = index.find(asked, matchesPath, undefined)
      expect(found?.place ?? -1, asked).toBe(routes.findIndex((route) => matchesPath(route, asked)))
    }
  }
})

test('of many routes few are compared with a path', () => {
  const prefixes = Array.from(
    { length: 2000 },
    (_, i): PathMatch => ({ kind: 'prefix', prefix: `/team-${i}/`, boundary: true }),
  )
  const expressions = Array.from({ length: 500 }, (_, i) => {
    return { kind: 'regex', ...compileRegex(`/(?:api|v1)/[a-z]+-${i}`) } as PathMatch
  })
  const { index } = indexOf([...prefixes, ...expressions])
  const compared: Route[] = []
  const accepts = (route: Route, path: string): boolean => {
    compared.push(route)
    return matchesPath(route, path)
  }
  for (const asked of ['/team-1999/a', '/v1/x-499', '/team-1999', '/none']) index.find(asked, accepts, undefined)
  expect(compared).toHaveLength(2)
})
