import { headerLines, linesOf, listOf } from '../../../src/http/header-lines.ts'
import { describe, expect, test } from 'vitest'
import { identityHeaders } from '../../../src/lib/header-names.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import type { RequestFacts } from '../../../src/http/exchange.ts'
import { scanHead } from '../../../src/wire/request-head.ts'
import { clientHeaders, createHeaderContext, upstreamHeaders } from '../../../src/upstream/headers.ts'
import { facts, grant, HOP, hopMark, NAMING, principal, route, type RouteOptions } from './support.ts'

const SENT = { origin: 'http://up.test', path: '/', host: undefined }
const context = createHeaderContext({
  naming: NAMING,
  identityHeaders: identityHeaders(NAMING, ['x-corp-user', 'x-postern-claim-groups']),
  cookieNames: ['__Host-postern', 'postern'],
  transportSecurity: 'max-age=1',
  hopMark,
  logger: silentLogger,
})
const FORWARDED = [
  ['x-forwarded-for', '127.0.0.1'],
  ['x-forwarded-proto', 'http'],
  ['x-forwarded-host', 'app.test'],
  ['x-forwarded-port', '80'],
  ['x-request-id', 'req-1'],
  ['postern-hop', HOP],
]

interface Sent {
  readonly route?: RouteOptions
  readonly facts?: Partial<RequestFacts>
  readonly identity?: readonly string[]
  readonly peer?: string
}

function sent(raw: readonly string[], { peer = '127.0.0.1', identity = [], ...given }: Sent = {}): string[][] {
  const allowed = grant(route('http://up.test', given.route), facts(given.facts), principal())
  const { host, headers } = upstreamHeaders(allowed, headerLines(raw), linesOf(identity), context, peer)
  return [...pairs(listOf(headers)), ...(host === undefined ? [] : [['host', host]])]
}

function pairs(flat: readonly string[]): string[][] {
  return flat.flatMap((_, i) => (i % 2 === 0 ? [flat.slice(i, i + 2)] : []))
}

test('ordinary headers keep their spelling, bytes, order and repetitions', () => {
  const raw = [
    'Accept',
    '*/*',
    'X_Custom',
    'caf\xe9',
    'x-a',
    '1',
    'X-A',
    '2',
    '__proto__',
    'x',
    'Authorization',
    'Bearer t',
  ]
  expect(sent(raw)).toEqual([...pairs(raw), ...FORWARDED])
})

test('a line that is written in another way than ours is written anew, with the value that was judged', () => {
  const bytes = Buffer.from(
    'GET / HTTP/1.1\r\nHost: app.test\r\nX-A:1\r\nx-b:\t2\t \r\nX-C:   3\r\nX-D: 4\r\nX-E:\r\nCookie:a=1;postern=x\r\n\r\n',
    'latin1',
  )
  const head = scanHead(bytes, 0, bytes.length)
  if ('status' in head) throw new Error(head.problem)
  const allowed = grant(route('http://up.test'), facts(), principal())
  const { headers } = upstreamHeaders(allowed, head.headers, '', context, '127.0.0.1')
  expect(headers.slice(0, headers.indexOf('x-forwarded-for'))).toBe(
    'X-A: 1\r\nx-b: 2\r\nX-C: 3\r\nX-D: 4\r\nX-E: \r\nCookie: a=1\r\n',
  )
})

// attack-cases.md B01, B02, C06, P08.
const SPOOFS = [
  'X-Postern-Jwt-Assertion',
  'x-pOstern-claim-email',
  'X_Postern_Claim_Email',
  'X.Postern.Claim.Email',
  'X-Postern_Claim.Email',
  'X-Postern-Anything',
  'X-Pomerium-Jwt-Assertion',
  'X-Pomerium-Claim-Email',
  'X_Pomerium_Impersonate_User',
  'X-Pomerium-Authorization',
  'X-Corp-User',
  'X_CORP_USER',
  'X.Corp.User',
  'x-postern-claim-groups',
  'X-Forwarded-User',
  'X-Forwarded_Email',
  'X.Forwarded.Groups',
  'X-Forwarded-Prefix',
  'X_Forwarded_For',
  'X-Forwarded',
  'Forwarded',
  'X-Real-IP',
  'X_Real_IP',
  'X-Request-Id',
  'X-Original-URL',
  'X-Rewrite-URL',
  'X-Original-Method',
  'X-Auth-Request-User',
  'X_Auth.Request-Email',
  'Remote-User',
  'REMOTE_USER',
  'Remote-Groups',
  'X-Remote-User',
  'X-Remote-Group',
  'Impersonate-User',
  'impersonate_group',
  'Impersonate-Extra-Scopes',
  'Proxy',
]
// Framing and hop-by-hop, with the spellings that CGI-like upstreams read as the same (attack-cases.md D02).
const NOT_PASSED = [
  'Connection',
  'Keep-Alive',
  'Proxy-Connection',
  'Proxy-Authenticate',
  'Proxy-Authorization',
  'TE',
  'Trailer',
  'Transfer-Encoding',
  'Transfer_Encoding',
  'Content-Length',
  'Content_Length',
  'Upgrade',
  'HTTP2-Settings',
  'Expect',
  'Host',
]

describe.each(['public', 'signed in'])('on a %s route', (kind) => {
  test.each([...SPOOFS, ...NOT_PASSED])('a client cannot send %s', (name) => {
    const request = facts()
    const to = route('http://up.test')
    const allowed = kind === 'public' ? grant(to, request) : grant(to, request, principal())
    const raw = [name, 'evil', 'Accept', '*/*', name.toLowerCase(), 'evil2']
    const { headers } = upstreamHeaders(allowed, headerLines(raw), '', context, '127.0.0.1')
    expect(pairs(listOf(headers))).toEqual([['Accept', '*/*'], ...FORWARDED])
  })
})

test.each(['X-Forwarded-User', 'x_postern_claim_groups', 'X.Postern.Jwt.Assertion'])(
  'a copy of %s before or after does not survive beside ours',
  (name) => {
    const identity = ['x-postern-claim-groups', 'Engineering', 'x-postern-jwt-assertion', 'a.b.c']
    const raw = [name, 'evil', 'Accept', '*/*', name, 'evil']
    expect(sent(raw, { identity })).toEqual([['Accept', '*/*'], ...FORWARDED, ...pairs(identity)])
  },
)

test('names that the client nominates in Connection are removed, ours are not', () => {
  const raw = [
    'X-Secret',
    '1',
    'Connection',
    'keep-alive, X-SECRET ,x-postern-jwt-assertion, x-forwarded-for,x-request-id,, host',
    'Cookie',
    'a=1',
    'x-secret',
    '2',
    'connection',
    'Cookie',
    'Accept',
    '*/*',
  ]
  const identity = ['x-postern-jwt-assertion', 'a.b.c']
  expect(sent(raw, { identity, route: { rewrite: { host: { kind: 'client' } } } })).toEqual([
    ['Accept', '*/*'],
    ...FORWARDED,
    ['x-postern-jwt-assertion', 'a.b.c'],
    ['host', 'app.test'],
  ])
})

test.each([
  ['postern=v1.a.b', undefined],
  ['a=1; postern=v1.a.b; b="2"', 'a=1; b="2"'],
  ['a=1;__Host-postern=x ;  b=2;;c', 'a=1;  b=2;;c'],
  ['postern2=x; xpostern=y', 'postern2=x; xpostern=y'],
  ['a=1', 'a=1'],
])('our cookies do not leave: %j', (cookie, expected) => {
  expect(sent(['Cookie', cookie])).toEqual([...(expected === undefined ? [] : [['Cookie', expected]]), ...FORWARDED])
})

test('each of several Cookie lines loses our cookies', () => {
  expect(sent(['Cookie', 'a=1; postern=x', 'cookie', 'postern=y', 'COOKIE', 'b=2'])).toEqual([
    ['Cookie', 'a=1'],
    ['COOKIE', 'b=2'],
    ...FORWARDED,
  ])
})

test.each(['Pomerium abc', 'postern abc', '  POMERIUM abc'])('credentials for the proxy stay here: %s', (value) => {
  expect(sent(['Authorization', value])).toEqual(FORWARDED)
})

test('a credential that was for us stays here; the one of the route does not', () => {
  const raw = ['AUTHORIZATION', 'Bearer secret', 'A', '1']
  const given = { facts: { consumed: true } } as const
  expect(sent(raw)).toEqual([['AUTHORIZATION', 'Bearer secret'], ['A', '1'], ...FORWARDED])
  expect(sent(raw, given)).toEqual([['A', '1'], ...FORWARDED])
  const setRequestHeaders = new Map([['authorization', 'Basic b3Vycw==']])
  expect(sent(raw, { ...given, route: { setRequestHeaders } })).toEqual([
    ['A', '1'],
    ['authorization', 'Basic b3Vycw=='],
    ...FORWARDED,
  ])
})

test('the route removes and sets headers in every spelling', () => {
  const given = {
    route: {
      removeRequestHeaders: ['x-drop', 'x_other', 'cookie'],
      setRequestHeaders: new Map([
        ['x-key', 'ours'],
        ['x_token', 'ours'],
        ['authorization', 'Basic b3Vycw=='],
      ]),
    },
  }
  const raw = [
    'X_Drop',
    '1',
    'x-drop',
    '2',
    'X-Key',
    'theirs',
    'X.Key',
    'theirs',
    'X_Other',
    '1',
    'X-Other',
    '2',
    'X_Token',
    'theirs',
    'X-Token',
    'theirs',
    'Cookie',
    'a=1',
    'Authorization',
    'Bearer t',
    'A',
    '1',
  ]
  expect(sent(raw, given)).toEqual([
    ['A', '1'],
    ['x-key', 'ours'],
    ['x_token', 'ours'],
    ['authorization', 'Basic b3Vycw=='],
    ...FORWARDED,
  ])
})

test('the route may set forwarded headers and cannot set what only we say', () => {
  const setRequestHeaders = new Map([
    ['x-forwarded-proto', 'https'],
    ['x-forwarded-prefix', '/app'],
    ['remote-user', 'static'],
    ['x-request-id', 'x'],
    ['x-postern-jwt-assertion', 'x'],
    ['x-corp-user', 'x'],
    ['connection', 'x'],
    ['content-length', '9'],
    ['host', 'x'],
  ])
  const identity = { claimHeaders: new Map([['x-corp-user', 'email']]) }
  expect(sent(['X-Forwarded-Prefix', '/evil'], { route: { setRequestHeaders, identity } })).toEqual([
    ['x-forwarded-proto', 'https'],
    ['x-forwarded-prefix', '/app'],
    ['remote-user', 'static'],
    ...FORWARDED.filter(([name]) => name !== 'x-forwarded-proto'),
  ])
})

test('with a trace of our own the one of the client does not pass, allowed or not', () => {
  const raw = headerLines(['traceparent', '00-client', 'TraceState', 'x=1'])
  const trace = 'traceparent: 00-ours\r\n'
  for (const allowRequestHeaders of [[], ['traceparent', 'tracestate']]) {
    const allowed = grant(route('http://up.test', { allowRequestHeaders }), facts(), principal())
    const { headers } = upstreamHeaders(allowed, raw, '', context, '127.0.0.1', trace)
    expect(pairs(listOf(headers)).filter(([name = '']) => /^trace/i.test(name))).toEqual([['traceparent', '00-ours']])
  }
})

test('a route may set what another route tells; the copy of a client passes on neither', () => {
  const setRequestHeaders = new Map([['x-corp-user', 'kiosk']])
  expect(sent(['X_Corp_User', 'evil', 'X-Corp-User', 'evil'], { route: { setRequestHeaders } })).toEqual([
    ['x-corp-user', 'kiosk'],
    ...FORWARDED,
  ])
  expect(sent(['X_Corp_User', 'evil', 'X-Corp-User', 'evil'])).toEqual(FORWARDED)
})

test.each([
  ['untrusted peer', '198.51.100.7', '198.51.100.7', ['X-Forwarded-For', '10.0.0.1'], '198.51.100.7'],
  ['one trusted hop', '198.51.100.7', '10.0.0.1', ['X-Forwarded-For', '198.51.100.7'], '198.51.100.7, 10.0.0.1'],
  [
    'what came before the client is cut',
    '198.51.100.7',
    '10.0.0.1',
    ['X-Forwarded-For', '1.1.1.1, 198.51.100.7'],
    '198.51.100.7, 10.0.0.1',
  ],
  [
    'two trusted hops',
    '198.51.100.7',
    '10.0.0.1',
    ['X-Forwarded-For', '198.51.100.7', 'x-forwarded-for', '10.0.0.2'],
    '198.51.100.7, 10.0.0.2, 10.0.0.1',
  ],
  ['a chain without the client', '198.51.100.7', '10.0.0.1', ['X-Forwarded-For', 'junk'], '198.51.100.7, 10.0.0.1'],
])('X-Forwarded-For, %s', (_, clientIp, peer, raw, expected) => {
  expect(sent(raw, { facts: { clientIp }, peer })[0]).toEqual(['x-forwarded-for', expected])
})

test.each([
  ['http', { scheme: 'https' }, undefined, 'https', 'app.test', '443'],
  ['http', { scheme: 'https', port: 8443 }, 8443, 'https', 'app.test:8443', '8443'],
  ['https', { scheme: 'http' }, 9999, 'http', 'app.test:9999', '80'],
] as const)(
  'a socket that speaks %s, a route %j: scheme and port are of the route',
  (scheme, from, port, ...expected) => {
    const headers = sent([], {
      facts: { scheme, port },
      route: { from: { host: 'app.test', wildcard: false, ...from } },
    })
    expect(headers.slice(1, 4).map(([, value]) => value)).toEqual(expected)
  },
)

test('a client that invents spellings does not grow our memory', () => {
  const fresh = createHeaderContext({
    naming: NAMING,
    identityHeaders: identityHeaders(NAMING, []),
    cookieNames: [],
    transportSecurity: '',
    hopMark,
    logger: silentLogger,
  })
  const allowed = grant(route('http://up.test'), facts())
  for (let i = 0; i < 5000; i++) upstreamHeaders(allowed, headerLines([`x-${i}`, '1']), '', fresh, '127.0.0.1')
  expect(fresh.treatments.size).toBeLessThanOrEqual(1024)
})

const answered = (id: string) => grant(route('http://up.test'), facts({ id }))
const received = (raw: readonly string[], status: number, of: Parameters<typeof clientHeaders>[2], by = context) =>
  listOf(clientHeaders(headerLines(raw), status, of, by, SENT).headers)

test('an answer loses hop-by-hop headers and keeps repeated ones', () => {
  const raw = [
    'Set-Cookie',
    'a',
    'Connection',
    'x-p',
    'set-cookie',
    'b',
    'X-P',
    '1',
    'Transfer-Encoding',
    'chunked',
    'X-Request-ID',
    'x',
  ]
  expect(pairs(received(raw, 200, answered('req-1')))).toEqual([
    ['Set-Cookie', 'a'],
    ['set-cookie', 'b'],
    ['x-request-id', 'req-1'],
  ])
  expect(clientHeaders(headerLines(['content-length', '0']), 204, answered('r'), context, SENT)).toEqual({
    headers: 'x-request-id: r\r\n',
    length: undefined,
    dated: false,
  })
})

test.each<readonly [scheme: 'http' | 'https', setting: string, raw: readonly string[], sent: readonly string[]]>([
  ['https', 'max-age=1', [], ['max-age=1']],
  ['https', 'max-age=1', ['STRICT-Transport-Security', 'max-age=0'], ['max-age=0']],
  ['https', 'max-age=1', ['Connection', 'Strict-Transport-Security', 'Strict-Transport-Security', 'x'], []],
  ['https', '', [], []],
  ['https', 'off', [], []],
  ['https', 'off', ['Strict-Transport-Security', 'max-age=9'], ['max-age=9']],
  ['http', 'max-age=1', [], []],
])(
  'Strict-Transport-Security on %s with setting %j and an answer of %j is %j',
  (scheme, transportSecurity, raw, own) => {
    const allowed = grant(route('http://up.test', { from: { scheme, host: 'app.test', wildcard: false } }), facts())
    const headers = pairs(received(raw, 200, allowed, { ...context, transportSecurity }))
    const values = headers
      .filter(([name]) => name?.toLowerCase() === 'strict-transport-security')
      .map(([, value]) => value)
    expect(values).toEqual(own)
  },
)

test.each([
  'X-Auth-Token',
  'X-User-Id',
  'X-Access-Token',
  'X-Api-Key',
  'X-Goog-Channel-Id',
  'X-Goog-Api-Key',
  'X-Hub-Signature-256',
  'X-Requested-With',
  'X-Amz-Date',
  'X-Ms-Date',
  'X-CSRF-Token',
  'Sec-WebSocket-Protocol',
])('a client may send %s: applications and their clients use it', (name) => {
  expect(sent([name, 'v'])).toEqual([[name, 'v'], ...FORWARDED])
})

test('headers that the route sets stand in an answer once, instead of those of the application', () => {
  const raw = [
    'X-Frame-Options',
    'DENY',
    'x-frame-options',
    'ALLOWALL',
    'Strict-Transport-Security',
    'max-age=9',
    'A',
    '1',
  ]
  const { route: to, request } = answered('req-1')
  const setResponseHeaders = new Map([
    ['x-frame-options', 'SAMEORIGIN'],
    ['strict-transport-security', 'max-age=60'],
  ])
  const from = { ...to.from, scheme: 'https' } as const
  const headers = received(raw, 200, { route: { ...to, from, setResponseHeaders }, request })
  expect(pairs(headers)).toEqual([
    ['A', '1'],
    ['x-frame-options', 'SAMEORIGIN'],
    ['strict-transport-security', 'max-age=60'],
    ['x-request-id', 'req-1'],
  ])
})

test('an address of the upstream in an answer becomes one of the route, unless the route rewrites it itself', () => {
  const responseHeaders = [
    { header: 'location', prefix: 'http://up.test/two/', value: 'http://app.test/one/' },
    { header: 'x-link', prefix: 'http://up.test', value: '' },
    { header: 'set-cookie', prefix: 'theirs', value: 'postern' },
  ]
  const answerOf = (...raw: readonly string[]) =>
    pairs(
      received(
        raw,
        302,
        grant(route('http://up.test', { rewrite: { host: { kind: 'client' }, responseHeaders } }), facts()),
      ),
    )[0]
  expect(answerOf('Location', 'http://up.test/x')).toEqual(['Location', 'http://app.test/x'])
  expect(answerOf('Content-Location', 'http://up.test/x')).toEqual(['Content-Location', 'http://app.test/x'])
  expect(answerOf('Location', 'http://up.test/two/x')).toEqual(['Location', 'http://app.test/one/x'])
  expect(answerOf('X-Link', 'http://up.test/x')).toEqual(['X-Link', '/x'])
  expect(answerOf('X-Other', 'http://up.test/x')).toEqual(['X-Other', 'http://up.test/x'])
  // A rewrite plants no cookie of ours, either.
  expect(answerOf('Set-Cookie', 'theirs=1')?.[0]).toBe('x-request-id')
})

test('the upstream learns which prefix it does not see, and no client tells it another', () => {
  const path = { kind: 'prefix', prefix: '/docs/', to: '/', boundary: true } as const
  const rewrite = { path, host: { kind: 'client' } } as const
  const prefixes = (over: RouteOptions) =>
    sent(['X-Forwarded-Prefix', '/evil'], { route: over }).filter(
      ([name]) => name?.toLowerCase() === 'x-forwarded-prefix',
    )
  expect(prefixes({ rewrite })).toEqual([['x-forwarded-prefix', '/docs']])
  expect(prefixes({ rewrite, removeRequestHeaders: ['x-forwarded-prefix'] })).toEqual([])
  // What another proxy took away before stands before it.
  expect(prefixes({ rewrite, allowRequestHeaders: ['x-forwarded-prefix'] })).toEqual([
    ['x-forwarded-prefix', '/evil/docs'],
  ])
  expect(prefixes({})).toEqual([])
  expect(prefixes({ rewrite: { ...rewrite, path: { ...path, prefix: '/', to: '/mcp' } } })).toEqual([])
})
