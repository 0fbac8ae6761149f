import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalPath } from '../../../src/routing/path.ts'
import { leavesPrefix, rewrittenPath } from '../../../src/routing/rewrite.ts'
import type { PathMatch } from '../../../src/config/model.ts'

const prefix = (text: string, boundary = true): PathMatch => ({ kind: 'prefix', prefix: text, boundary })
const ALL: PathMatch = { kind: 'all' }

describe('on segment boundaries', () => {
  test.each<[PathMatch, rewrite: string, path: string, sent: string]>([
    [prefix('/strip/'), '/internal/', '/strip/a/b', '/internal/a/b'],
    [prefix('/strip/'), '/internal', '/strip/a', '/internal/a'],
    [prefix('/strip/'), '/internal/', '/strip/', '/internal/'],
    [prefix('/strip'), '/internal', '/strip', '/internal'],
    [prefix('/strip'), '/internal/', '/strip', '/internal/'],
    [prefix('/strip'), '/internal', '/strip/', '/internal/'],
    [prefix('/strip'), '/internal/', '/strip/a', '/internal/a'],
    [prefix('/api'), '/', '/api', '/'],
    [prefix('/api'), '/', '/api/v1', '/v1'],
    [prefix('/'), '/base', '/x', '/base/x'],
    [ALL, '/base', '/x/y', '/base/x/y'],
    [ALL, '/base/', '/', '/base/'],
    [ALL, '/', '/x', '/x'],
    [{ kind: 'path', path: '/a' }, '/b', '/a', '/b'],
    [{ kind: 'regex', source: '/a.*', test: () => true }, '/b', '/a/x', '/b'],
  ])('%o to %s: %s is sent as %s', (match, rewrite, path, sent) => {
    expect(rewrittenPath(match, rewrite, path)).toBe(sent)
  })

  test('without a rewrite the path is sent as it was authorized', () => {
    expect(rewrittenPath(prefix('/a'), undefined, '/a/%2525/b;c')).toBe('/a/%2525/b;c')
  })

  test('every path under the prefix is sent under the rewritten one', () => {
    const rest = fc.string({ maxLength: 20 })
    fc.assert(
      fc.property(rest, (text) => {
        const path = canonicalPath(`/strip/${text}`)
        fc.pre(path?.startsWith('/strip/') ?? false)
        const sent = rewrittenPath(prefix('/strip/'), '/internal/', path ?? '')
        expect(sent.startsWith('/internal/')).toBe(true)
        expect(canonicalPath(sent)).toBe(sent)
      }),
    )
  })
})

describe('as plain strings (compatibility: pomerium)', () => {
  test.each<[PathMatch, rewrite: string, path: string, sent: string]>([
    [prefix('/', false), '/anything', '/foo', '/anythingfoo'],
    [prefix('/', false), '/anything/', '/foo', '/anything/foo'],
    [prefix('/foo', false), '/bar', '/foobar', '/barbar'],
    [prefix('/foo', false), '', '/foobar', '/bar'],
  ])('%o to %s: %s is sent as %s', (match, rewrite, path, sent) => {
    expect(rewrittenPath(match, rewrite, path)).toBe(sent)
  })

  test.each(['/strip../admin', '/strip..', '/strip./x', '/strip..;/admin'])('%s would leave the prefix', (path) => {
    const match = prefix('/strip', false)
    expect(leavesPrefix(match, '/internal/', path)).toBe(true)
    expect(() => rewrittenPath(match, '/internal/', path)).toThrow(
      expect.objectContaining({ code: 'ERR_BAD_REQUEST', message: 'the rewritten path leaves its prefix' }),
    )
  })

  test('a rewrite cannot join two halves of a dot segment', () => {
    expect(leavesPrefix(prefix('/a', false), '/x/.', '/a./b')).toBe(true)
    expect(leavesPrefix(prefix('/a', false), '/x/y', '/a../b')).toBe(false)
    expect(leavesPrefix(prefix('/a', false), undefined, '/a../b')).toBe(false)
  })
})
