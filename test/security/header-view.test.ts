/** What rules see of headers is what the upstream sees of what the client sent; what two readers take differently is refused. */
import { headerLines, type HeaderLines, listOf, NO_LINES } from '../../src/http/header-lines.ts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isForeign } from '../../src/lib/foreign-headers.ts'
import { identityHeaders, normalName, reservedHeader } from '../../src/lib/header-names.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { RequestHeaders } from '../../src/routing/header-view.ts'
import { compileTrust, parseTarget } from '../../src/routing/target.ts'
import { createHeaderContext, upstreamHeaders } from '../../src/upstream/headers.ts'
import { facts, grant, hopMark, NAMING, route } from '../unit/upstream/support.ts'

const identity = identityHeaders(NAMING, ['x-corp-user'])
const context = createHeaderContext({
  naming: NAMING,
  identityHeaders: identity,
  cookieNames: ['postern'],
  hopMark,
  transportSecurity: '',
  logger: silentLogger,
})

const view = (...raw: string[]): RequestHeaders => new RequestHeaders(headerLines(raw), identity)
const REFUSED = expect.objectContaining({ code: 'ERR_BAD_REQUEST' }) as Error

describe('headers.get', () => {
  test('gives the value whatever the case of its name, and undefined for what was not sent', () => {
    const headers = view('X-Env', 'prod', 'ACCEPT', '*/*')
    expect(headers.get('x-env')).toBe('prod')
    expect(headers.get('accept')).toBe('*/*')
    expect(headers.get('x-other')).toBeUndefined()
    expect(headers.get('__proto__')).toBeUndefined()
    expect(headers.get('constructor')).toBeUndefined()
  })

  test('joins the values of a repeated header in their order', () => {
    expect(view('X-Env', 'dev', 'Accept', '*/*', 'x-env', 'prod', 'X-ENV', '').get('x-env')).toBe('dev, prod, ')
  })

  test.each([
    [['X_Env', 'prod']],
    [['X-Env', 'dev', 'X_Env', 'prod']],
    [['X.Env', 'prod', 'X-Env', 'dev']],
    [['X-Env', 'dev', 'X-Env', 'dev', "X'Env", 'dev']],
    [['Connection', 'X-Env', 'X-Env', 'dev', 'X_Env', 'prod']],
  ])('refuses %j for x-env: CGI and WSGI take one name for the other', (raw) => {
    const headers = view(...raw)
    expect(() => headers.get('x-env')).toThrow(REFUSED)
    expect(headers.get('accept')).toBeUndefined()
  })

  test.each([
    ['connection', ['Connection', 'keep-alive']],
    ['x-env', ['Connection', 'close, X-Env', 'X-Env', 'prod']],
    ['x-env', ['X-Env', 'prod', 'Connection', 'x-ENV']],
    ['cookie', ['Cookie', 'postern=v1']],
    ['authorization', ['Authorization', 'Pomerium abc']],
    ['authorization', ['Authorization', 'postern abc']],
    ['te', ['TE', 'trailers']],
    ['x-forwarded-for', ['X-Forwarded-For', '10.0.0.1']],
    ['x-real-ip', ['X_Real_IP', '10.0.0.1']],
    ['x-corp-user', ['X-Corp-User', 'admin']],
    ['x-postern-claim-groups', ['X-Postern-Claim-Groups', 'admins']],
    ['x-request-id', ['X-Request-Id', 'mine']],
    ['host', ['Host', 'app.test']],
  ])('does not show %s, which the upstream does not get from the client', (name, raw) => {
    expect(view(...raw).get(name)).toBeUndefined()
  })

  test('reads nothing until somebody asks', () => {
    const lines = new Proxy<HeaderLines>(NO_LINES, {
      get: () => {
        throw new Error('read')
      },
    })
    const headers = new RequestHeaders(lines, identity)
    expect(() => headers.get('x-env')).toThrow('read')
  })
})

test('parseTarget puts the view into the facts', () => {
  const raw = {
    method: 'GET',
    target: '/',
    headers: headerLines(['Host', 'app.test', 'X-Env', 'a', 'X-Env', 'b', 'X-Corp-User', 'admin']),
    httpVersion: '1.1',
    peer: '127.0.0.1',
    encrypted: false,
    upgrade: false,
  } as const
  const parsed = parseTarget(raw, compileTrust({ proxies: [], hops: 0 }), 'id', identity)
  if ('kind' in parsed) throw new Error(parsed.detail)
  expect(parsed.headers.get('x-env')).toBe('a, b')
  expect(parsed.headers.get('x-corp-user')).toBeUndefined()
})

test('a value that get gives is what the upstream gets under every spelling of that name', () => {
  const word = fc.constantFrom('X', 'Env', 'Connection', 'Forwarded', 'Corp', 'User', 'Accept', 'close')
  const name = fc
    .tuple(word, fc.constantFrom('-', '_', '.'), word)
    .map(([first, between, second]) => first + between + second)
  const field = fc.tuple(fc.oneof(name, word), fc.oneof(fc.constantFrom('a', 'b', 'keep-alive'), name))
  fc.assert(
    fc.property(fc.array(field, { maxLength: 6 }), (fields) => {
      const raw = fields.flat()
      const asked = new Set(fields.map(([spelling]) => spelling.toLowerCase()))
      const allowed = grant(route('http://up.test'), facts())
      const sent = listOf(upstreamHeaders(allowed, headerLines(raw), '', context, '127.0.0.1').headers)
      for (const lower of asked) {
        const passed = sent.flatMap((part, i) =>
          i % 2 === 0 && normalName(part) === normalName(lower) ? [[part.toLowerCase(), sent[i + 1]] as const] : [],
        )
        // What Postern writes itself is no word of the client's.
        if (reservedHeader(normalName(lower), identity) !== undefined || isForeign(normalName(lower))) continue
        let value: string | undefined
        try {
          value = view(...raw).get(lower)
        } catch {
          expect(passed.some(([spelling]) => spelling !== lower)).toBe(true)
          continue
        }
        expect(passed.every(([spelling]) => spelling === lower)).toBe(true)
        expect(value).toBe(passed.length === 0 ? undefined : passed.map(([, text]) => text).join(', '))
      }
    }),
    { numRuns: 2000 },
  )
})
