import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Forward, HostRewrite, PathRewrite, Route } from '../../../src/config/route-model.ts'
import { publicLocation } from '../../../src/routing/location.ts'
import { canonicalPath, isCanonicalPrefix } from '../../../src/routing/path.ts'
import { rewrittenPath } from '../../../src/routing/rewrite.ts'
import { matchesPrefix } from '../../../src/routing/table.ts'
import { facts, route } from '../upstream/support.ts'

interface World {
  readonly from?: Route['from']
  readonly path?: PathRewrite
  readonly upstream?: string
  /** Host header that the upstream got; undefined: its own. */
  readonly host?: string | undefined
  /** Host, port and path that were asked. */
  readonly asked?: { readonly port?: number; readonly path?: string; readonly query?: string }
}

const HTTPS: Route['from'] = { scheme: 'https', host: 'app.test', wildcard: false }
const replaced = (prefix: string, to: string, boundary = true): PathRewrite => ({
  kind: 'prefix',
  prefix,
  to,
  boundary,
})

function located(
  value: string,
  { from = HTTPS, path, upstream = 'http://up:8080', host = 'app.test', asked = {} }: World = {},
): string {
  const request = facts({ host: 'app.test', port: asked.port, path: asked.path ?? '/x', query: asked.query ?? '' })
  const rewrite: Forward['rewrite'] = { host: { kind: 'client' } satisfies HostRewrite, ...(path && { path }) }
  return publicLocation(value, route(upstream, { from, rewrite }), request, {
    origin: upstream,
    path: rewrittenPath(path, request.path) + request.query,
    host: host === '' ? undefined : host,
  })
}

describe('an address of the upstream becomes one of the route', () => {
  test.each<[what: string, value: string, world: World]>([
    ['its own', 'http://up:8080/docs/?a#b', {}],
    ['its own, in capitals', 'HTTP://UP:8080/docs/?a#b', {}],
    ['its own, as it believes of TLS in front', 'https://up:8080/docs/?a#b', {}],
    ['its own, with the default port', 'http://up/docs/?a#b', { upstream: 'http://up' }],
    ['its own, with the default port written', 'https://up:443/docs/?a#b', { upstream: 'https://up', host: '' }],
    ['its own, by address', 'http://[::1]:8080/docs/?a#b', { upstream: 'http://[::1]:8080' }],
    ['the public host with its scheme', 'http://app.test/docs/?a#b', {}],
    ['the public host with its scheme and the port that it listens on', 'http://app.test:9090/docs/?a#b', {}],
    ['the public host with its port', 'https://app.test:8080/docs/?a#b', {}],
    ['the Host that it was told', 'http://inner.test/docs/?a#b', { host: 'inner.test:81' }],
    ['the Host that it was told, with its port', 'http://inner.test:81/docs/?a#b', { host: 'inner.test:81' }],
    ['the Host that it was told, with its own port', 'http://inner.test:8080/docs/?a#b', { host: 'inner.test:81' }],
    ['its own, without a scheme', '//up:8080/docs/?a#b', {}],
  ])('%s: %s', (_, value, world) => {
    expect(located(value, world)).toBe('https://app.test/docs/?a#b')
  })

  test('with the port of the route', () => {
    const from = { ...HTTPS, port: 8443 }
    expect(located('http://up:8080/y', { from })).toBe('https://app.test:8443/y')
    expect(located('http://app.test:8443/y', { from })).toBe('https://app.test:8443/y')
  })

  test('without a path', () => {
    expect(located('http://up:8080')).toBe('https://app.test')
    expect(located('http://up:8080?a')).toBe('https://app.test?a')
    expect(located('http://up:8080', { path: replaced('/docs', '/'), asked: { path: '/docs/x' } })).toBe(
      'https://app.test/docs/',
    )
  })
})

describe('what is left as it is, to the byte', () => {
  test.each<[what: string, value: string, world?: World]>([
    ['another host', 'http://other.test/docs/'],
    ['another port of its host', 'http://up:9090/docs/'],
    ['its host without its port', 'http://up/docs/'],
    ['another port of the public host', 'https://app.test:9443/docs/'],
    ['a host that only begins like it', 'http://up:8080.evil.test/'],
    ['a user', 'http://up:8080@evil.test/'],
    ['its address as a user', 'http://app.test@up:8080/'],
    ['another scheme', 'ftp://up:8080/'],
    ['a scheme without slashes', 'http:docs'],
    ['no URL', 'javascript:alert(1)'],
    ['the public address', 'https://App.test/docs/'],
    ['the public address, with its port', 'https://app.test:443/docs/'],
    ['the public address, with the port that was asked', 'https://app.test:8443/docs/', { asked: { port: 8443 } }],
    ['a path', '/docs/'],
    ['a relative path', '../docs/'],
    ['nothing', ''],
    ['a backslash', 'http:\\\\up:8080/docs/'],
    ['a blank', 'http://up:8080/a b'],
    ['a path with a backslash', '/\\evil.test', { path: replaced('/a', '/') }],
    [
      'https, on which an application of an http route insists',
      'https://app.test/x',
      { from: { ...HTTPS, scheme: 'http' }, upstream: 'https://up', host: 'app.test' },
    ],
  ])('%s: %s', (_, value, world) => {
    expect(located(value, world)).toBe(value)
  })
})

describe('a path below the rewritten prefix becomes one below the matched prefix', () => {
  test.each<[rewrite: PathRewrite, asked: string, value: string, expected: string]>([
    [replaced('/docs', '/'), '/docs/a', '/login?next=%2F', '/docs/login?next=%2F'],
    [replaced('/docs', '/'), '/docs/a', '/', '/docs/'],
    [replaced('/docs/', '/'), '/docs/a', '/b#c', '/docs/b#c'],
    [replaced('/docs', '/internal'), '/docs/a', '/internal/b', '/docs/b'],
    [replaced('/docs', '/internal'), '/docs/a', '/internal', '/docs'],
    [replaced('/docs/', '/internal/'), '/docs/a', '/internal', '/docs/'],
    [replaced('/docs', '/internal/'), '/docs/a', '/internal/', '/docs/'],
    [replaced('/', '/mcp'), '/a', '/mcp', '/'],
    [replaced('/', '/mcp'), '/a', '/mcp/b', '/b'],
    [replaced('/docs', '/internal'), '/docs/a', 'http://up:8080/internal/b', 'https://app.test/docs/b'],
    [replaced('/docs', '/internal'), '/docs/a', 'https://app.test/internal/b', 'https://app.test/docs/b'],
    // Relative: against what the upstream saw.
    [replaced('/docs', '/'), '/docs', 'login', '/docs/login'],
    [replaced('/docs', '/internal'), '/docs/a/b', '../c?d', '/docs/c?d'],
    [replaced('/docs', '/internal'), '/docs/a', '?d', '?d'],
    // Elsewhere.
    [replaced('/docs', '/internal'), '/docs/a', '/other', '/other'],
    [replaced('/docs', '/internal'), '/docs/a', '/internals', '/internals'],
    [replaced('/docs', '/internal'), '/docs/a', 'http://other.test/internal/b', 'http://other.test/internal/b'],
    [replaced('/docs', '/internal'), '/docs/a', 'http://up:8080/other', 'https://app.test/other'],
    // An application that reads X-Forwarded-Prefix, and one that has the same path inside.
    [replaced('/docs', '/'), '/docs/a', '/docs/login', '/docs/login'],
    [replaced('/docs', '/'), '/docs/docs', '/docs/', '/docs/docs/'],
    // No second slash, no loop.
    [replaced('/', '/mcp'), '/a', '/mcp//evil.test', '/mcp//evil.test'],
    [replaced('/', '/mcp'), '/', '/mcp/', '/mcp/'],
    // The same page again, perhaps with a cookie.
    [replaced('/docs', '/'), '/docs', '/?again', '/docs?again'],
    [{ kind: 'whole', to: '/b' }, '/a', '/b?c', '/a?c'],
    [{ kind: 'whole', to: '/b' }, '/a', '/c', '/c'],
    // As strings.
    [replaced('/docs', '/internal', false), '/docs/a', '/internalb', '/docsb'],
    [replaced('/docs', '/', false), '/docs/a', '/b', '/docs/b'],
    [replaced('/', '/anything', false), '/a', '/anythingb', '/b'],
  ])('%j, asked %s: %s is %s', (path, asked, value, expected) => {
    expect(located(value, { path, asked: { path: asked } })).toBe(expected)
  })
})

const segment = fc.oneof(fc.constantFrom('a', 'b', 'docs', 'a.b', '%20', ';x', '~'), fc.stringMatching(/^[a-z]{1,4}$/))
const somePath = fc
  .tuple(fc.array(segment, { maxLength: 4 }), fc.boolean())
  .map(([segments, slash]) => canonicalPath(`/${segments.join('/')}${slash && segments.length > 0 ? '/' : ''}`))
  .filter((path) => path !== undefined)

test('whatever path is asked, the upstream that names it is put back to it', () => {
  fc.assert(
    fc.property(somePath, somePath, somePath, fc.boolean(), (prefix, to, rest, absolute) => {
      fc.pre(isCanonicalPrefix(to))
      const asked = canonicalPath(prefix + (prefix.endsWith('/') ? rest.slice(1) : rest))
      fc.pre(asked !== undefined && matchesPrefix(asked, prefix))
      const path = replaced(prefix, to)
      const sent = rewrittenPath(path, asked ?? '')
      const value = absolute ? `http://up:8080${sent}` : sent
      expect(located(value, { path, asked: { path: asked ?? '' } })).toBe(absolute ? `https://app.test${asked}` : asked)
    }),
    { numRuns: 1000 },
  )
})

test('what is put back leads to what the upstream named, or is left alone', () => {
  fc.assert(
    fc.property(somePath, somePath, somePath, somePath, (prefix, to, rest, named) => {
      fc.pre(isCanonicalPrefix(to))
      const asked = canonicalPath(prefix + (prefix.endsWith('/') ? rest.slice(1) : rest))
      fc.pre(asked !== undefined && matchesPrefix(asked, prefix))
      const path = replaced(prefix, to)
      const back = located(named, { path, asked: { path: asked ?? '' } })
      if (back === named) return
      expect(canonicalPath(back)).toBe(back)
      expect(matchesPrefix(back, prefix)).toBe(true)
      // A slash at the end is all that two paths of the upstream can share.
      expect(rewrittenPath(path, back).replace(/\/$/, '')).toBe(named.replace(/\/$/, ''))
    }),
    { numRuns: 1000 },
  )
})
