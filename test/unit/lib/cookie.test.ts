import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { clearCookie, readCookie, readCookies, setCookie, withoutCookies } from '../../../src/lib/cookie.ts'

test.each([
  ['', []],
  ['_p=1', ['1']],
  ['a=1; _p=2; b=3', ['2']],
  ['a=1;_p=2;b=3', ['2']],
  ['_p=1; _p=2', ['1', '2']],
  ['_p=a=b==', ['a=b==']],
  ['_p="q"', ['"q"']],
  [' \t_p = 1 ;', ['1']],
  ['_p=', ['']],
  ['_p', []],
  ['_p2=1; x_p=2; _P=3; a=_p=4; __p=5', []],
  ['a="x; _p=1"', ['1"']],
  ['=_p=1', []],
  [';;;', []],
  ['__proto__=1; constructor=2; toString=3', []],
])('readCookie %j gives %j', (header, values) => {
  expect(readCookie(header, '_p')).toEqual(values)
})

test.each(['__proto__', 'constructor', 'toString'])('readCookie reads a cookie called %s', (name) => {
  expect(readCookie('a=1', name)).toEqual([])
  expect(readCookie(`a=1; ${name}=x`, name)).toEqual(['x'])
  expect(withoutCookies(`a=1; ${name}=x`, [name])).toBe('a=1')
})

test('readCookie reads at most eight cookies of one name, readCookies of one prefix', () => {
  const header = Array.from({ length: 180 }, (_, i) => `_p=${i}`).join('; ')
  expect(readCookie(header, '_p')).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
  expect(readCookies(header, '_').map(([, value]) => value)).toEqual(['0', '1', '2', '3', '4', '5', '6', '7'])
})

test.each([
  ['', ''],
  ['a=1; b=2', 'a=1; b=2'],
  ['_p=1', ''],
  ['_p=1; a=1', 'a=1'],
  ['a=1; _p=1', 'a=1'],
  ['a=1; _p=1; b="x y"; _q=2; c=', 'a=1; b="x y"; c='],
  ['a=1;_p=1;b=2', 'a=1;b=2'],
  ['_pomerium2=1; x_p=2; _p=3; _p2=4', '_pomerium2=1; x_p=2; _p2=4'],
  ['_p2=1;  odd ;; =v; _P=1', '_p2=1;  odd ;; =v; _P=1'],
  ['_p; a=1', 'a=1'],
  ['_p =1; a=1', 'a=1'],
  ['a=1; _p=1; _p=2', 'a=1'],
])('withoutCookies %j gives %j', (header, rest) => {
  expect(withoutCookies(header, ['_p', '_q'])).toBe(rest)
})

const SESSION = `v1.${'a'.repeat(22)}.${'-'.repeat(43)}`
const NONCE = `v1.nonce.${'_'.repeat(22)}`
const PENDING = `${Buffer.from('{"alg":"dir","enc":"A256GCM","typ":"postern-sign-in"}').toString('base64url')}..iv.text.tag`
/** Auth.js and others keep their session in a JWE of this kind. */
const FOREIGN_JWE = `${Buffer.from('{"alg":"dir","enc":"A256GCM"}').toString('base64url')}..iv.text.tag`

test.each([
  ...[SESSION, NONCE, PENDING].flatMap((value) => [
    [`old=${value}`, ''],
    [`a=1; old=${value}; b=2`, 'a=1; b=2'],
    [`old="${value}"; b=2`, 'b=2'],
    [`old = \t${value} ; b=2`, 'b=2'],
    [`${value}; b=2`, 'b=2'],
    [`=${value}; b=2`, 'b=2'],
    [`old=${value}; old2=${value}`, ''],
    [`old=x${value}`, `old=x${value}`],
  ]),
  [`a=${SESSION}x`, `a=${SESSION}x`],
  [`a=${SESSION.slice(0, -1)}`, `a=${SESSION.slice(0, -1)}`],
  [`a=${SESSION.replace('v1', 'v2')}`, `a=${SESSION.replace('v1', 'v2')}`],
  [`a=${NONCE}x`, `a=${NONCE}x`],
  [`a=${FOREIGN_JWE}`, `a=${FOREIGN_JWE}`],
  ['a=v1.0; release=v1.2.3', 'a=v1.0; release=v1.2.3'],
])('withoutCookies %j gives %j, whatever the cookie is called', (header, rest) => {
  expect(withoutCookies(header, ['_p', '_q'])).toBe(rest)
})

/** Pairs as browsers write them, ours and near misses among them. */
const pair = fc.tuple(
  fc.constantFrom('_p', '_q', '_p2', 'x_p', '_P', 'a', '__proto__', '_pomerium2'),
  fc.string({ maxLength: 12 }).map((value) => value.replaceAll(/[;\s]/g, '.')),
)

test('readCookie finds what a plain split finds, and withoutCookies keeps the other bytes', () => {
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 20 }), (pairs) => {
      const write = (list: readonly (readonly [string, string])[]) => list.map(([n, v]) => `${n}=${v}`).join('; ')
      const header = write(pairs)
      expect(readCookie(header, '_p')).toEqual(
        pairs
          .filter(([name]) => name === '_p')
          .map(([, value]) => value)
          .slice(0, 8),
      )
      expect(withoutCookies(header, ['_p', '_q'])).toBe(write(pairs.filter(([name]) => name !== '_p' && name !== '_q')))
    }),
  )
})

test('withoutCookies leaves nothing that readCookie could read, and keeps all other cookies', () => {
  const piece = fc.constantFrom('_p', '_q', '=', ';', ' ', '\t', '"', 'a', ',', '_p=1', '; ')
  fc.assert(
    fc.property(
      fc.array(piece, { maxLength: 30 }).map((pieces) => pieces.join('')),
      (header) => {
        const rest = withoutCookies(header, ['_p', '_q'])
        expect(readCookie(rest, '_p')).toEqual([])
        expect(readCookie(rest, '_q')).toEqual([])
        expect(readCookie(rest, 'a')).toEqual(readCookie(header, 'a'))
        expect(withoutCookies(rest, ['_p', '_q'])).toBe(rest)
      },
    ),
    { numRuns: 1000 },
  )
})

test('a set cookie is HttpOnly, has no Domain and an age in seconds', () => {
  expect(setCookie('__Host-postern', 'v1.a.b', { maxAge: 50_400_999, secure: true, sameSite: 'lax' })).toBe(
    '__Host-postern=v1.a.b; Path=/; Max-Age=50400; HttpOnly; Secure; SameSite=Lax',
  )
  expect(setCookie('p', '', { secure: false, sameSite: 'strict', path: '/oauth2' })).toBe(
    'p=; Path=/oauth2; HttpOnly; SameSite=Strict',
  )
})

test('a cleared cookie keeps the attributes it was set with', () => {
  expect(clearCookie('__Host-postern', { secure: true, sameSite: 'none' })).toBe(
    '__Host-postern=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None',
  )
})

test.each([
  ['a b', 'x', '/'],
  ['', 'x', '/'],
  ['a', 'x;y', '/'],
  ['a', 'x\r\nSet-Cookie: y', '/'],
  ['a', 'x,y', '/'],
  ['a', 'x', '/; Domain=evil'],
  ['a', 'x', 'relative'],
])('setCookie refuses name %j value %j path %j', (name, value, path) => {
  expect(() => setCookie(name, value, { secure: true, sameSite: 'lax', path })).toThrow(
    new TypeError(`cookie ${JSON.stringify(name)}: name, value or path has a character that cookies cannot carry`),
  )
})
