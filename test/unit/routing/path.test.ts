import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalPath } from '../../../src/routing/path.ts'

describe('normalizes', () => {
  test.each([
    ['/', '/'],
    ['/a/b', '/a/b'],
    ['/a/b/', '/a/b/'],
    ['/a;v=1/b,c', '/a;v=1/b,c'],
    ["/!$&'()*+,;=:@", "/!$&'()*+,;=:@"],
    ['/%61dmin', '/admin'],
    ['/%7Euser/%2D%2E%5F', '/~user/-._'],
    ['/caf%c3%a9', '/caf%C3%A9'],
    ['/%3f%23%25', '/%3F%23%25'],
    ['/a%20b', '/a%20b'],
    ['/%40', '/%40'],
    ['//admin', '/admin'],
    ['///a//b///', '/a/b/'],
    ['//evil.test/admin', '/evil.test/admin'],
    ['/.', '/'],
    ['/..', '/'],
    ['/a/.', '/a/'],
    ['/a/..', '/'],
    ['/a/b/..', '/a/'],
    ['/a/./b/../c', '/a/c'],
    ['/public/../admin', '/admin'],
    ['/public//../admin', '/admin'],
    ['/public//..//admin', '/admin'],
    ['/.//admin', '/admin'],
    ['/../../admin', '/admin'],
    ['/public/%2e%2e/admin', '/admin'],
    ['/public/.%2E/admin', '/admin'],
    ['/public/%2e%2E/admin', '/admin'],
    ['/.postern/%2e%2e/admin', '/admin'],
    ['/...', '/...'],
    ['/.hidden/..x/x..', '/.hidden/..x/x..'],
    ['/admin../x', '/admin../x'],
    ['/a/../b%2541', '/b%2541'],
    ['/job/feature%252Flogin/1', '/job/feature%252Flogin/1'],
    ['/%2541', '/%2541'],
    // EUC-KR, GBK, and CJK in UTF-8.
    ['/%c0%a5/x%c0%af%c0%a5', '/%C0%A5/x%C0%AF%C0%A5'],
    ['/%ef%bc%8f%ef%bc%8e%e2%80%a6', '/%EF%BC%8F%EF%BC%8E%E2%80%A6'],
    ['/a;x/b', '/a;x/b'],
    ['/a..;x/b', '/a..;x/b'],
    ['/;jsessionid=1', '/;jsessionid=1'],
    ['/a/;jsessionid=1', '/a/;jsessionid=1'],
    ['/a/%3bx', '/a/%3Bx'],
    ['/{a}|^[b]"<c>`', '/{a}|^[b]"<c>`'],
  ])('%s → %s', (raw, canonical) => {
    expect(canonicalPath(raw)).toBe(canonical)
  })
})

describe('refuses', () => {
  test.each([
    '',
    'a',
    '*',
    '/a%2fb',
    '/a%2Fb',
    '/public%2f..%2fadmin',
    '/public/..%2fadmin',
    '/a%5cb',
    '/a%5Cb',
    '/a\\b',
    '/\\admin',
    '/public\\..\\admin',
    '/%00',
    '/admin%00.png',
    '/%0d%0aX-A:%20b',
    '/%1f',
    '/%7f',
    '/%7F',
    '/%',
    '/%2',
    '/%zz',
    '/%%34%31',
    '/a#b',
    '/a?b',
    '/a b',
    '/a\tb',
    '/a\u0000',
    '/a\u007f',
    '/caf\u00e9',
    '/a/\u{1f600}',
    '/public/..;/admin',
    '/public/..;x=1/admin',
    '/api/;x/status',
    '/api//;/status',
    '/api/./;x/status',
    '/api/%3bx/status',
    '/api/%253B/status',
    '/api/%25253bx/status',
    '/;x/',
    '/public/.;/admin',
    '/public/%2e%2e;/admin',
    '/..;',
    '/public/..%3b/admin',
    '/public/..%3Bx/admin',
    '/public/%252e.%253b/admin',
    '/public/%252F..%3b/admin',
    '/public/%252e%252e/admin',
    '/public/%252e./admin',
    '/public/..%252fadmin',
    '/public/..%255cadmin',
    '/public/%25252e%25252e/admin',
    '/public/%25%32%65%25%32%65/admin',
    '/public/..%25252fadmin',
    // Overlong UTF-8 (CVE-2008-2938), and the full width forms that NFKC folds.
    '/public/%c0%ae%c0%ae/admin',
    '/public/.%C0%AE/admin',
    '/public/..%c0%afadmin',
    '/public/..%c1%9cadmin',
    '/public/%e0%80%ae%E0%80%AE/admin',
    '/public/..%e0%80%afadmin',
    '/public/..%f0%80%80%afadmin',
    '/public/..%e0%81%9cadmin',
    '/public/..%f0%80%81%9cadmin',
    '/public/%f0%80%80%ae./admin',
    '/public/%25c0%25ae%25c0%25ae/admin',
    '/public/%ef%bc%8e%ef%bc%8e/admin',
    '/public/..%ef%bc%8fadmin',
    '/public/..%ef%bc%bcadmin',
    '/api/%c0%bbx/status',
    '/api/%e0%80%bbx/status',
    '/api/%f0%80%80%bbx/status',
    '/api/%ef%bc%9bx/status',
  ])('%j', (raw) => {
    expect(canonicalPath(raw)).toBeUndefined()
  })
})

describe('for any input', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '/',
      '//',
      '.',
      '..',
      ';',
      '%2e',
      '%2E',
      '%25',
      '%252e',
      '%252f',
      '%2f',
      '%5c',
      '%41',
      '%c3',
      '%',
      '\\',
      'a',
      'B',
      '~',
    ),
    fc.string({ maxLength: 3 }),
  )
  const path = fc.array(piece, { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)

  test('normalizing the normalized path changes nothing', () => {
    fc.assert(
      fc.property(path, (raw) => {
        const canonical = canonicalPath(raw)
        fc.pre(canonical !== undefined)
        expect(canonicalPath(canonical ?? '')).toBe(canonical)
      }),
      { numRuns: 5000 },
    )
  })

  test('the result has no dot segments, no empty segments and no encoded separators', () => {
    fc.assert(
      fc.property(path, (raw) => {
        const canonical = canonicalPath(raw)
        fc.pre(canonical !== undefined)
        expect(canonical).toMatch(/^\/[\x21-\x7e]*$/)
        expect(canonical).not.toMatch(/\/\/|\/\.{1,2}(?:\/|;|$)|[\\#?]|%(?:2f|5c|00)/i)
        expect(canonical).not.toMatch(/%(?![0-9A-F]{2})/)
        // A server that decodes as often as it likes still finds no way up.
        const servers = decodeFully(canonical ?? '').split(/[/\\]/)
        expect(servers.filter((segment) => segment === '..' || segment.startsWith('..;'))).toEqual([])
      }),
      { numRuns: 5000 },
    )
  })

  test('a plain path is not changed', () => {
    const segment = fc.stringMatching(/^[A-Za-z0-9_~-][A-Za-z0-9._~!$&'()*+,=:@-]{0,10}$/)
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 6 }), fc.boolean(), (segments, directory) => {
        const raw = `/${segments.join('/')}${directory && segments.length > 0 ? '/' : ''}`
        expect(canonicalPath(raw)).toBe(raw)
      }),
    )
  })

  test('a long chain of percent signs is read in linear time', () => {
    expect(canonicalPath(`/${'%25'.repeat(5000)}2e`)).toBe(`/${'%25'.repeat(5000)}2e`)
    expect(canonicalPath(`/%${'25'.repeat(8000)}2e%${'25'.repeat(8000)}2e/x`)).toBeUndefined()
  })
})

/** Percent-decodes until nothing changes. */
function decodeFully(path: string): string {
  const decoded = path.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
  return decoded === path ? path : decodeFully(decoded)
}
