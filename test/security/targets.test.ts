/**
 * Request targets and hosts that two readers could take for two different things
 * (attack-cases.md#nodes-parser): each is refused, or becomes one canonical form.
 * Here as values; targets-on-the-wire.test.ts sends the bytes.
 */
import { headerLines } from '../../src/http/header-lines.ts'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { RequestHead } from '../../src/http/request.ts'
import { RequestHeaders } from '../../src/routing/header-view.ts'
import { compileTrust, parseTarget } from '../../src/routing/target.ts'
import type { BadRequest, RequestFacts } from '../../src/http/exchange.ts'

const trustNobody = compileTrust({ proxies: [], hops: 0 })
const trustLoopback = compileTrust({ proxies: ['127.0.0.0/8'], hops: 0 })

interface Wish extends Partial<Omit<RequestHead, 'headers'>> {
  /** Instead of `Host: app.test`. */
  readonly hosts?: readonly string[]
  readonly headers?: readonly (readonly [name: string, value: string])[]
}

function raw({ hosts = ['app.test'], headers = [], ...more }: Wish): RequestHead {
  return {
    method: 'GET',
    target: '/',
    httpVersion: '1.1',
    peer: '127.0.0.1',
    encrypted: false,
    upgrade: false,
    headers: headerLines([...hosts.flatMap((host) => ['Host', host]), ...headers.flat()]),
    ...more,
  }
}

function parse(wish: Wish, trust = trustNobody): RequestFacts | BadRequest {
  return parseTarget(raw(wish), trust, 'request-id')
}

function facts(wish: Wish, trust = trustNobody): RequestFacts {
  const parsed = parse(wish, trust)
  if ('kind' in parsed) throw new Error(`${parsed.status} ${parsed.detail}`)
  return parsed
}

/** `400 invalid path`, or the facts when it was not refused. */
function refusal(wish: Wish): unknown {
  const parsed = parse(wish)
  return 'kind' in parsed ? `${parsed.status} ${parsed.detail}` : parsed
}

test('parseTarget of an ordinary request gives its facts', () => {
  expect(
    facts({
      target: '/a/b?c=d&c=e',
      hosts: ['App.Test:8080'],
      headers: [
        ['Cookie', 'a=1'],
        ['cookie', 'b=2'],
        ['User-Agent', 'browser'],
        ['Origin', 'https://app.test'],
        ['Accept', 'text/html'],
      ],
    }),
  ).toEqual({
    id: 'request-id',
    method: 'GET',
    host: 'app.test',
    port: 8080,
    path: '/a/b',
    query: '?c=d&c=e',
    clientIp: '127.0.0.1',
    hop: false,
    scheme: 'http',
    wants: 'html',
    cookie: 'a=1; b=2',
    origin: 'https://app.test',
    userAgent: 'browser',
    headers: expect.any(RequestHeaders),
  })
})

test('a refusal has the client address and request id, and what was asked for the log alone', () => {
  expect(parse({ target: '/<script>\\', hosts: ['app.test'] })).toEqual({
    kind: 'bad-request',
    id: 'request-id',
    status: 400,
    detail: 'invalid path',
    clientIp: '127.0.0.1',
    asked: { method: 'GET', host: 'app.test', path: '/<script>\\' },
    wants: 'json',
  })
})

describe('paths (A)', () => {
  test.each([
    ['/public/../admin', '/admin'],
    ['/public/%2e%2e/admin', '/admin'],
    ['/public/.%2E/admin?x=/../y', '/admin'],
    ['//evil.test/admin', '/evil.test/admin'],
    ['/%61dmin', '/admin'],
    ['/.postern/../admin', '/admin'],
    ['/foo/%2e%2e/.postern/user', '/.postern/user'],
    ['/public/secret%23/endpoint', '/public/secret%23/endpoint'],
    ['/strip/%3fx', '/strip/%3Fx'],
    ['/ADMIN', '/ADMIN'],
  ])('%s is %s', (url, path) => {
    expect(facts({ target: url }).path).toBe(path)
  })

  test.each([
    '/public%2f..%2fadmin',
    '/public/..%2Fadmin',
    '/public\\..\\admin',
    '/public/..%5cadmin',
    '/\\admin',
    '/admin#/public',
    '/public#/../admin',
    '/admin%00',
    '/admin%00.png',
    '/%zz',
    '/%',
    '/public/%0d%0aX-A:%20b',
    '/public/..;/admin',
    '/a b',
    '/caf\u00e9',
  ])('%s is refused', (url) => {
    expect(refusal({ target: url })).toBe('400 invalid path')
  })

  test.each([
    ['*', 'invalid request target'],
    ['', 'invalid request target'],
    ['admin', 'invalid request target'],
    ['?x=1', 'invalid request target'],
    ['app.test:443', 'invalid request target'],
    ['ftp://app.test/', 'invalid request target'],
    ['/a?b#c', 'invalid query'],
    ['/a?b c', 'invalid query'],
    ['/a?b\u0000', 'invalid query'],
    ['/a?\u00e9', 'invalid query'],
  ])('the target %j is refused', (url, detail) => {
    expect(refusal({ target: url })).toBe(`400 ${detail}`)
  })

  test('OPTIONS * is refused', () => {
    expect(refusal({ method: 'OPTIONS', target: '*' })).toBe('400 invalid request target')
  })

  test.each(['?a=1&a=2', '?a=1;b=2', '?a=%26b', '??', '?', '?q=100%', '?p=/../x\\y', '?u=http://a/%2F'])(
    'the query %s is kept byte for byte',
    (query) => {
      expect(facts({ target: `/x${query}` })).toMatchObject({ path: '/x', query })
    },
  )
})

describe('host (C)', () => {
  test.each<[string, string, number | undefined]>([
    ['APP.TEST', 'app.test', undefined],
    ['app.test.', 'app.test', undefined],
    ['app.test:443', 'app.test', 443],
    ['app.test:0443', 'app.test', 443],
    ['app.test:', 'app.test', undefined],
    ['[::1]:80', '[::1]', 80],
  ])('%s is one canonical host', (spelling, host, port) => {
    expect(facts({ hosts: [spelling] })).toMatchObject({ host, port })
  })

  test.each([
    '',
    'app.test@evil.test',
    'app.test/evil',
    'app.test#.evil',
    '[::1',
    'app\t.test',
    'app.test, admin.test',
    'app.test:99999',
    'x'.repeat(8192),
    'app.t\u00ebst',
  ])('%j is refused', (host) => {
    expect(refusal({ hosts: [host] })).toBe('400 invalid Host')
  })

  test('a missing Host is refused; in HTTP/1.0 it is the host that no route has', () => {
    expect(refusal({ hosts: [] })).toBe('400 missing Host')
    expect(facts({ hosts: [], httpVersion: '1.0' }).host).toBe('')
    expect(refusal({ hosts: [''], httpVersion: '1.0' })).toBe('400 invalid Host')
    expect(facts({ httpVersion: '1.0' }).host).toBe('app.test')
  })

  test('two Hosts are refused, also when they agree', () => {
    expect(refusal({ hosts: ['app.test', 'admin.test'] })).toBe('400 more than one Host')
    expect(refusal({ hosts: ['app.test'], headers: [['HOST', 'app.test']] })).toBe('400 more than one Host')
  })

  test.each([
    ['http://app.test/x?y', { path: '/x', query: '?y' }],
    ['HTTP://APP.test:80/x', { path: '/x' }],
    ['http://app.test', { path: '/' }],
    ['http://app.test?y', { path: '/', query: '?y' }],
  ])('a target whose authority agrees with Host is accepted: %s', (url, expected) => {
    expect(facts({ target: url })).toMatchObject({ host: 'app.test', ...expected })
  })

  test.each([
    'http://admin.test/admin',
    'http://app.test@evil/',
    'http://app.test:8080/',
    'https://app.test/',
    'http:///admin',
    'http://evil/adm',
  ])('a target with another authority than Host is refused: %s', (url) => {
    expect(refusal({ target: url })).toBe('400 request target and Host differ')
  })

  test('forwarded headers of an untrusted peer change nothing', () => {
    const plain = facts({ target: '/admin' })
    const spoofed = facts({
      target: '/admin',
      headers: [
        ['X-Forwarded-For', '10.0.0.1'],
        ['X-Forwarded-Host', 'authenticate.test'],
        ['X-Forwarded-Proto', 'https'],
        ['X-Forwarded-Port', '443'],
        ['X-Forwarded-Uri', '/public'],
        ['X-Forwarded-Method', 'OPTIONS'],
        ['X-Original-URL', '/public'],
        ['X-Rewrite-URL', '/public'],
        ['Forwarded', 'for=10.0.0.1;host=evil;proto=https'],
        ['X-Real-Ip', '10.0.0.1'],
      ],
    })
    expect(spoofed).toEqual(plain)
  })

  test('a trusted peer gives client address and scheme, and nothing else', () => {
    const headers: Wish['headers'] = [
      ['X-Forwarded-For', '6.6.6.6'],
      ['x-forwarded-for', '198.51.100.1'],
      ['X-Forwarded-Proto', 'https'],
      ['X-Forwarded-Host', 'authenticate.test'],
    ]
    expect(facts({ headers }, trustLoopback)).toMatchObject({
      clientIp: '198.51.100.1',
      scheme: 'https',
      host: 'app.test',
    })
  })

  test('an IPv4-mapped IPv6 address is given as IPv4', () => {
    expect(facts({ peer: '::ffff:192.0.2.1' }).clientIp).toBe('192.0.2.1')
  })

  test('a peer that is gone has no address', () => {
    expect(refusal({ peer: undefined })).toBe('400 the peer is gone')
  })
})

describe('methods and headers (D)', () => {
  test.each(['Transfer_Encoding', 'Transfer.Encoding', 'transfer encoding', 'Content_Length', 'content.length'])(
    'the header %s is framing to somebody and is refused',
    (name) => {
      expect(refusal({ headers: [[name, 'chunked']] })).toBe('400 invalid header name')
    },
  )

  test.each(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND', 'REPORT', 'PURGE', 'M-SEARCH'])(
    '%s is a method',
    (method) => {
      expect(facts({ method }).method).toBe(method)
    },
  )

  test.each(['TRACE', 'CONNECT', 'TRACK', 'BREW', 'get', 'PRI', '', '__proto__'])('%j is not allowed', (method) => {
    expect(refusal({ method })).toBe('405 method not allowed')
  })

  test.each(['', 'X A', 'X(', 'X:', '\u0000', 'X\u000b', 'X\u007f', '\u00e9', 'X\u0080', 'X\n'])(
    'the header name %j is refused',
    (name) => {
      expect(refusal({ headers: [[name, 'x']] })).toBe('400 invalid header name')
    },
  )

  test('names of Object.prototype are headers like any other', () => {
    const headers: Wish['headers'] = [
      ['__proto__', 'x'],
      ['constructor', 'x'],
      ['toString', 'x'],
    ]
    expect(facts({ headers })).toEqual(facts({}))
  })

  test.each(['Authorization', 'Origin'])('two %s headers are refused', (name) => {
    const twice: Wish['headers'] = [
      [name, 'a'],
      [name.toLowerCase(), 'b'],
    ]
    expect(refusal({ headers: twice })).toBe(`400 more than one ${name}`)
  })
})

describe('what the client accepts', () => {
  const HTML = ['Accept', 'text/html,application/xhtml+xml,*/*;q=0.8'] as const
  test.each<[what: string, wish: Wish, wants: string]>([
    ['a navigation', { headers: [HTML, ['Sec-Fetch-Mode', 'navigate']] }, 'html'],
    ['a navigation of an old browser', { headers: [HTML] }, 'html'],
    ['HEAD', { method: 'HEAD', headers: [HTML] }, 'html'],
    ['XHTML', { headers: [['accept', 'application/xhtml+xml']] }, 'html'],
    ['no Accept', {}, 'json'],
    ['curl', { headers: [['Accept', '*/*']] }, 'json'],
    ['JSON', { headers: [['Accept', 'application/json']] }, 'json'],
    ['a fetch', { headers: [HTML, ['Sec-Fetch-Mode', 'cors']] }, 'json'],
    ['a fetch without CORS', { headers: [HTML, ['Sec-Fetch-Mode', 'no-cors']] }, 'json'],
    ['two modes', { headers: [HTML, ['Sec-Fetch-Mode', 'navigate'], ['Sec-Fetch-Mode', 'cors']] }, 'json'],
    ['XMLHttpRequest', { headers: [HTML, ['X-Requested-With', 'XMLHttpRequest']] }, 'json'],
    ['an empty X-Requested-With', { headers: [HTML, ['X-Requested-With', '']] }, 'json'],
    ['a form', { method: 'POST', headers: [HTML, ['Sec-Fetch-Mode', 'navigate']] }, 'html'],
    ['another type with html in it', { headers: [['Accept', 'x-text/html-not, application/vnd.html']] }, 'json'],
    [
      'the headers of a WebSocket, which is for the codec to say',
      {
        headers: [
          ['Upgrade', 'websocket'],
          ['Connection', 'keep-alive, Upgrade'],
        ],
      },
      'json',
    ],
    ['a WebSocket', { upgrade: true }, 'upgrade'],
    ['Upgrade without Connection', { headers: [HTML, ['Upgrade', 'websocket']] }, 'html'],
    ['Connection without Upgrade', { headers: [HTML, ['Connection', 'upgrade']] }, 'html'],
    [
      'h2c',
      {
        headers: [
          ['Upgrade', 'h2c'],
          ['Connection', 'Upgrade, HTTP2-Settings'],
        ],
      },
      'json',
    ],
    ['h2c of a navigation', { headers: [HTML, ['Upgrade', 'h2c'], ['Connection', 'Upgrade, HTTP2-Settings']] }, 'html'],
    ['two protocols', { headers: [HTML, ['Upgrade', 'websocket, h2c'], ['Connection', 'Upgrade']] }, 'html'],
    [
      'Upgrade-Insecure-Requests',
      { headers: [HTML, ['Upgrade-Insecure-Requests', '1'], ['Connection', 'keep-alive']] },
      'html',
    ],
  ])('%s', (_, wish, wants) => {
    expect(facts(wish).wants).toBe(wants)
  })
})

describe('for any input', () => {
  const text = fc.oneof(fc.string(), fc.string({ unit: 'binary' }))
  const anything = fc.record<RequestHead>({
    method: fc.oneof(fc.constantFrom('GET', 'POST'), text),
    target: fc.oneof(
      text,
      text.map((rest) => `/${rest}`),
      text.map((rest) => `http://app.test${rest}`),
    ),
    httpVersion: fc.constantFrom('1.0', '1.1'),
    peer: fc.constantFrom('127.0.0.1', '::1'),
    encrypted: fc.boolean(),
    upgrade: fc.boolean(),
    headers: fc
      .array(fc.tuple(fc.oneof(fc.constantFrom('host', 'x-forwarded-for', 'accept', 'te'), text), text), {
        maxLength: 5,
      })
      .map((headers) => headerLines(['Host', 'app.test', ...headers.flat()])),
  })

  test('parseTarget never throws, and facts are canonical', () => {
    fc.assert(
      fc.property(anything, (request) => {
        const parsed = parseTarget(request, trustLoopback, 'id')
        if ('kind' in parsed) {
          expect([400, 405, 431, 501]).toContain(parsed.status)
        } else {
          const again = (path: string) =>
            parseTarget({ ...request, target: path + parsed.query }, trustLoopback, 'id') as RequestFacts
          const { unmerged } = parsed.readings ?? {}
          expect({ ...again(parsed.path), readings: undefined }).toEqual({ ...parsed, readings: undefined })
          expect(again(parsed.path).readings?.decoded).toBe(parsed.readings?.decoded)
          if (unmerged?.includes('//')) expect(again(unmerged).readings).toEqual(parsed.readings)
        }
      }),
      { numRuns: 3000 },
    )
  })
})
