import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { PathMatch, Route } from '../../../src/config/route-model.ts'
import { createPathIndex } from '../../../src/routing/path-index.ts'
import { compileRegex, literalPrefix } from '../../../src/routing/regex.ts'
import { matchesPath } from '../../../src/routing/table.ts'

const segment = fc.constantFrom('a', 'b', 'ab', 'a.b', '')
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
const match: fc.Arbitrary<PathMatch> = fc.oneof(
  fc.constant<PathMatch>({ kind: 'all' }),
  path.map((text): PathMatch => ({ kind: 'path', path: text })),
  fc.tuple(path, fc.boolean()).map(([prefix, boundary]): PathMatch => ({ kind: 'prefix', prefix, boundary })),
  expression.map((source) => ({ kind: 'regex', ...compileRegex(source) }) as PathMatch),
)

test('find gives the route that a look at each in file order gives', () => {
  fc.assert(
    fc.property(fc.array(match, { maxLength: 12 }), path, (matches, asked) => {
      const routes = matches.map((of) => ({ match: of, action: { kind: 'respond' } }) as Route)
      const index = createPathIndex()
      routes.forEach((route, place) => index.add({ route, place }))
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
