import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { readCookie, readCookies } from '../../../src/lib/cookie.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { createSetCookieGuard } from '../../../src/upstream/set-cookie.ts'
import { route } from './support.ts'

const NAMES = ['__Host-postern', '__Host-postern-nonce.', '__Host-postern-sign-in.', 'postern', 'postern-nonce.']
const guard = createSetCookieGuard(NAMES, silentLogger)
const app = route('http://up.test')

test.each([
  'postern=x',
  'postern=x; Domain=corp.example; Path=/',
  '__Host-postern=x; Secure; Path=/',
  '__host-POSTERN=x; Secure; Path=/',
  '  postern = x',
  '\tpostern\t=x',
  '\x0bpostern\x0c=x',
  'postern',
  'postern;',
  'postern=',
  '=postern=x',
  ' = \t==postern=x',
  '=__Host-postern=x',
  '"postern=x"',
  'postern-nonce.abc=x',
  '__Host-postern-sign-in.=x',
  'a=1, postern=x',
  'a=1; Path=/, postern=x; Path=/',
])('the guard drops %j', (value) => {
  expect(guard(value, app)).toBe(true)
})

test.each([
  'a=postern',
  'a=1; postern=x',
  'posterns=x',
  'my-postern=x',
  'postern-nonce=x',
  'postern2=x',
  '__Host-other=x',
  'a=1; Expires=Wed, 21 Oct 2026 07:28:00 GMT',
  '',
])('the guard passes %j', (value) => {
  expect(guard(value, app)).toBe(false)
})

test('whatever a browser would make of a header that passed, it is no cookie that we would read', () => {
  const piece = fc.oneof(
    fc.constantFrom(...NAMES, '=', ' ', '\t', '"', ',', 'x', 'Path=/', '__Host-', 'POSTERN'),
    fc.string({ maxLength: 4 }),
  )
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
      const value = pieces.join('')
      if (guard(value, app)) return
      // RFC 6265bis §5.6 and §5.8.3.
      const [pair = ''] = value.split(';')
      const equals = pair.indexOf('=')
      const [name, text] = [pair.slice(0, Math.max(0, equals)), pair.slice(equals + 1)].map((part) =>
        part.replace(/^[ \t]+|[ \t]+$/g, ''),
      )
      const sent = name === '' ? (text ?? '') : `${name}=${text}`
      for (const own of NAMES) {
        expect(own.endsWith('.') ? readCookies(sent, own) : readCookie(sent, own)).toEqual([])
      }
    }),
    { numRuns: 5000 },
  )
})

test('a long header of blanks and near misses is judged in time that grows with its length', () => {
  const long = `a=${', '.repeat(20_000)}${'= '.repeat(20_000)}poster=1`
  const before = performance.now()
  expect(guard(long, app)).toBe(false)
  expect(performance.now() - before).toBeLessThan(200)
})

test('one warning for each route, with its name and without the value', () => {
  const warnings: object[] = []
  const watched = createSetCookieGuard(NAMES, { ...silentLogger, warn: (fields) => warnings.push(fields) })
  const other = route('http://up.test', { name: 'other' })
  for (let i = 0; i < 3; i++) for (const one of [app, other]) watched('postern=secret', one)
  expect(warnings).toEqual([{ route: 'app' }, { route: 'other' }])
})
