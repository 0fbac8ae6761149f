import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PathRewrite } from '../../../src/config/route-model.ts'
import { canonicalPath, isCanonicalPrefix } from '../../../src/routing/path.ts'
import { compileSubstitution } from '../../../src/routing/regex.ts'
import { rewrittenPath } from '../../../src/routing/rewrite.ts'

const replaced = (prefix: string, to: string, boundary = true): PathRewrite => ({
  kind: 'prefix',
  prefix,
  to,
  boundary,
})

describe('on segment boundaries', () => {
  test.each<[prefix: string, to: string, path: string, sent: string]>([
    ['/strip/', '/internal/', '/strip/a/b', '/internal/a/b'],
    ['/strip/', '/internal', '/strip/a', '/internal/a'],
    ['/strip/', '/internal/', '/strip/', '/internal/'],
    ['/strip/', '/internal', '/strip/', '/internal'],
    ['/strip', '/internal', '/strip', '/internal'],
    ['/strip', '/internal/', '/strip', '/internal/'],
    ['/strip', '/internal', '/strip/', '/internal/'],
    ['/strip', '/internal/', '/strip/a', '/internal/a'],
    ['/api', '/', '/api', '/'],
    ['/api', '/', '/api/v1', '/v1'],
    ['/foo/', '/', '/foo/bar', '/bar'],
    ['/', '/mcp', '/', '/mcp'],
    ['/', '/mcp', '/foo', '/mcp/foo'],
    ['/', '/base', '/x/y', '/base/x/y'],
    ['/', '/base/', '/', '/base/'],
    ['/', '/base/', '/x', '/base/x'],
  ])('%s to %s: %s is sent as %s', (prefix, to, path, sent) => {
    expect(rewrittenPath(replaced(prefix, to), path)).toBe(sent)
  })

  test('without a rewrite the path is sent as it was authorized', () => {
    expect(rewrittenPath(undefined, '/a/%2525/b;c')).toBe('/a/%2525/b;c')
  })

  test('a whole path is replaced', () => {
    expect(rewrittenPath({ kind: 'whole', to: '/b' }, '/a/x')).toBe('/b')
  })
})

describe('as plain strings (compatibility: pomerium)', () => {
  test.each<[prefix: string, to: string, path: string, sent: string]>([
    ['/', '/anything', '/foo', '/anythingfoo'],
    ['/', '/anything', '/', '/anything'],
    ['/', '/anything/', '/foo', '/anything/foo'],
    ['/foo', '/bar', '/foobar', '/barbar'],
    ['/foo', '/', '/foobar', '/bar'],
    // Where Pomerium would send two slashes.
    ['/foo', '/', '/foo/bar', '/bar'],
    ['/foo', '/x/', '/foo/bar', '/x/bar'],
  ])('%s to %s: %s is sent as %s', (prefix, to, path, sent) => {
    expect(rewrittenPath(replaced(prefix, to, false), path)).toBe(sent)
  })

  test.each([
    ['/internal/', '/strip../admin'],
    ['/internal/', '/strip..'],
    ['/internal/', '/strip./x'],
    ['/internal/', '/strip..;/admin'],
    ['/x/%25', '/strip2e%252e/admin'],
  ])('%s: %s would leave the prefix', (to, path) => {
    expect(canonicalPath(path)).toBe(path)
    expect(() => rewrittenPath(replaced('/strip', to, false), path)).toThrow(REFUSED)
  })
})

const REFUSED = expect.objectContaining({ code: 'ERR_BAD_REQUEST' })

describe('by a regular expression', () => {
  const by = (pattern: string, substitution: string): PathRewrite => {
    const compiled = compileSubstitution(pattern, substitution)
    if ('problem' in compiled) throw new Error(compiled.problem)
    return { kind: 'regex', ...compiled }
  }

  test.each<[pattern: string, substitution: string, path: string, sent: string]>([
    ['^/service/([^/]+)(/.*)$', '\\2/instance/\\1', '/service/foo/v1/api', '/v1/api/instance/foo'],
    ['one', 'two', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/two/zzz'],
    ['^(.*?)one(.*)$', '\\1two\\2', '/xxx/one/yyy/one/zzz', '/xxx/two/yyy/one/zzz'],
    ['(?i)/xxx/', '/yyy/', '/aaa/XxX/bbb', '/aaa/yyy/bbb'],
    ['^/a(/b)?', '/c\\1', '/a/d', '/c/d'],
    ['b', '[\\0]$1', '/abc', '/a[b]$1c'],
    ['nothing', 'x', '/abc', '/abc'],
  ])('%s by %s: %s is sent as %s', (pattern, substitution, path, sent) => {
    expect(rewrittenPath(by(pattern, substitution), path)).toBe(sent)
  })

  test.each<[pattern: string, substitution: string, path: string]>([
    ['^/', '', '/admin'],
    ['^/files/', '/', '/files//x'],
    ['x', '.', '/a/xx/b'],
    ['x', '/', '/ax/b'],
    ['x', '%2f', '/axb'],
    ['x', '?', '/axb'],
    ['x', ' HTTP/1.1\r\nX: y', '/axb'],
    ['^.*$', '', '/a'],
  ])('%s by %s: %s is refused', (pattern, substitution, path) => {
    expect(() => rewrittenPath(by(pattern, substitution), path)).toThrow(REFUSED)
  })

  test.each([
    ['(', 'x', 'RE2'],
    ['a(b)', '\\2', 'the pattern has 1 groups'],
    ['a', '\\n', 'a digit behind each backslash'],
  ])('%s by %s is no substitution', (pattern, substitution, problem) => {
    expect(compileSubstitution(pattern, substitution)).toMatchObject({ problem: expect.stringContaining(problem) })
  })
})

const segment = fc.oneof(
  fc.constantFrom('a', 'strip', 'x.y', '..', '.', '', '%2e', '..;', ';a', '%252e', '%25'),
  fc.string({ maxLength: 6 }),
)
const anyPath = fc.array(segment, { maxLength: 5 }).map((segments) => canonicalPath(`/${segments.join('/')}`))
const somePath = anyPath.filter((path) => path !== undefined)

test('the path that is sent is canonical and begins with the rewritten prefix, or is refused', () => {
  fc.assert(
    fc.property(somePath, somePath, somePath, fc.boolean(), fc.boolean(), (prefix, to, rest, slash, boundary) => {
      fc.pre(isCanonicalPrefix(to))
      const below = canonicalPath(prefix + (slash ? '/' : '') + rest.slice(1))
      fc.pre(below?.startsWith(prefix) ?? false)
      fc.pre(!boundary || prefix.endsWith('/') || below === prefix || below?.charAt(prefix.length) === '/')
      let sent: string
      try {
        sent = rewrittenPath(replaced(prefix, to, boundary), below ?? '')
      } catch (error) {
        expect(boundary).toBe(false)
        expect(error).toEqual(REFUSED)
        return
      }
      expect(canonicalPath(sent)).toBe(sent)
      const base = to.endsWith('/') ? to.slice(0, -1) : to
      expect(sent.startsWith(base)).toBe(true)
      if (boundary) expect(['', '/']).toContain(sent.charAt(base.length))
    }),
    { numRuns: 2000 },
  )
})
