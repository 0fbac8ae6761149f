import { expect, test } from 'vitest'
import { compileRegex } from '../../../src/routing/regex.ts'

test.each<[source: string, path: string, matches: boolean]>([
  ['/api/.*/status', '/api/x/status', true],
  ['^/api/.*/status$', '/api/x/status', true],
  ['/api/.*/status', '/api/x/status/more', false],
  ['/api/.*/status', '/x/api/x/status', false],
  ['/a|/b', '/b', true],
  ['/a|/b', '/bc', false],
  ['(?i)/admin', '/ADMIN', true],
])('%s on %s: %s', (source, path, matches) => {
  const compiled = compileRegex(source)
  expect('test' in compiled && compiled.test(path)).toBe(matches)
})

test.each<[string, string]>([
  ['(', 'error parsing regexp: missing closing ): `(`'],
  ['(?=x)', 'error parsing regexp: invalid or unsupported Perl syntax: `(?=`'],
  [String.raw`(a)\1`, String.raw`error parsing regexp: invalid escape sequence: ` + '`\\1`'],
])('%s is refused', (source, problem) => {
  expect(compileRegex(source)).toEqual({ problem })
})

test('a pattern that makes backtracking engines hang is matched in linear time', () => {
  const compiled = compileRegex('/(a+)+(a|aa)*')
  expect('test' in compiled && compiled.test(`/${'a'.repeat(5000)}!`)).toBe(false)
})
