/**
 * The same gauntlet as targets.test.ts with exact bytes on a real socket: what is refused while
 * a head is cut (attack-cases.md#nodes-parser says what others let through), and what by `parseTarget`. No refused
 * request may leave facts behind, because facts are what gets routed, judged and forwarded.
 */
import { connect } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { sendReply } from '../support/send-reply.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { compileTrust, parseTarget } from '../../src/routing/target.ts'
import { type Listener, listen } from '../../src/server/listen.ts'
import type { RequestFacts } from '../../src/http/exchange.ts'
import { manualClock } from '../support/clock.ts'

const trust = compileTrust({ proxies: [], hops: 0 })
const seen: RequestFacts[] = []
let listener: Listener

beforeAll(async () => {
  listener = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    timeouts: {
      timeoutRead: 5000,
      timeoutIdle: 5000,
      clientBodyTimeout: 30_000,
      clientBodyMinRate: 100,
      clientWriteTimeout: 0,
      tunnelIdleTimeout: 0,
    },
    clock: manualClock(),
    logger: silentLogger,
    refused() {},
    async handle(exchange) {
      const parsed = parseTarget(exchange.head, trust, 'id')
      const refused = 'kind' in parsed
      if (!refused) seen.push(parsed)
      const status = refused ? parsed.status : 200
      const body = refused ? parsed.detail : 'ok\n'
      await sendReply(exchange, { status, headers: [], body, ...(refused && { close: true }) })
    },
  })
})
afterAll(() => listener.destroy())
beforeEach(() => {
  seen.length = 0
})

/** Sends the bytes; what came back until the server closed, or until there were as many answers as asked for. */
function send(bytes: string | Uint8Array, answers = Number.POSITIVE_INFINITY): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(listener.address.port, '127.0.0.1', () => socket.write(bytes))
    let answer = ''
    socket.setEncoding('latin1')
    socket.on('data', (chunk: string) => {
      answer += chunk
      if (statuses(answer).length >= answers) socket.end()
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      // The server may close while we still write; what it answered before is what counts.
      if (error.code !== 'ECONNRESET' && error.code !== 'EPIPE') reject(error)
    })
  })
}

/** Status codes of the answers on one connection, in order. */
function statuses(answer: string): readonly number[] {
  return [...answer.matchAll(/^HTTP\/1\.[01] (\d{3}) /gm)].map((match) => Number(match[1]))
}

const lines = (...list: readonly string[]): string => `${list.join('\r\n')}\r\n\r\n`
const get = (target: string, ...headers: readonly string[]): string =>
  lines(`GET ${target} HTTP/1.1`, 'Host: app.test', ...headers)
const post = (...headers: readonly string[]): string => lines('POST / HTTP/1.1', 'Host: app.test', ...headers)

describe('bytes that parse to one canonical request', () => {
  test.each<[bytes: string, expected: Partial<RequestFacts>]>([
    [get('/'), { method: 'GET', host: 'app.test', path: '/', query: '', clientIp: '127.0.0.1', scheme: 'http' }],
    [get('/public/../admin?a=1&a=2'), { path: '/admin', query: '?a=1&a=2' }],
    [get('/public/%2e%2e/admin'), { path: '/admin' }],
    [get('//evil.test/admin'), { host: 'app.test', path: '/evil.test/admin' }],
    [get('/%61dmin'), { path: '/admin' }],
    [get('http://app.test/x'), { path: '/x' }],
    [lines('GET / HTTP/1.1', 'HOST: APP.test.:8080'), { host: 'app.test', port: 8080 }],
    [lines('GET / HTTP/1.0', 'Host: app.test'), { host: 'app.test' }],
    [get('/', 'Cookie: a=1', 'cookie: b=2'), { cookie: 'a=1; b=2' }],
    [get('/', 'X-Forwarded-For: 10.0.0.1', 'X-Forwarded-Proto: https'), { clientIp: '127.0.0.1', scheme: 'http' }],
    [get('/', '__proto__: x', 'X_U: 1', 'X.U: 1'), { path: '/' }],
    [`${post('Content-Length: 2')}hi`, { method: 'POST' }],
    [`${post('Transfer-Encoding: CHUNKED')}2\r\nhi\r\n0\r\n\r\n`, { method: 'POST' }],
    [get('/ws', 'Connection: Upgrade', 'Upgrade: websocket'), { path: '/ws', wants: 'upgrade' }],
    [get('/', 'Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'), { wants: 'json' }],
  ])('%j', async (bytes, expected) => {
    expect(statuses(await send(bytes, 1))).toEqual([200])
    expect(seen).toEqual([expect.objectContaining(expected)])
  })
})

describe('bytes that are refused before routing', () => {
  const bad: readonly (readonly [what: string, bytes: string | Uint8Array, status: number])[] = [
    // Targets
    ['an escaped slash beside dots', get('/public%2f..%2fadmin'), 400],
    ['an escaped backslash', get('/public/..%5cadmin'), 400],
    ['a backslash', get('/public\\..\\admin'), 400],
    ['a fragment', get('/admin#/public'), 400],
    ['an escaped NUL', get('/admin%00.png'), 400],
    ['an escaped line break', get('/public/%0d%0aX-A:%20b'), 400],
    ['a broken escape', get('/%zz'), 400],
    ['a path parameter on dots', get('/public/..;/admin'), 400],
    ['a raw byte above ASCII', Buffer.from(get('/caf\u00e9'), 'latin1'), 400],
    ['a NUL', get('/a\u0000b'), 400],
    ['a tab', get('/a\tb'), 400],
    ['an asterisk', get('*'), 400],
    ['OPTIONS *', lines('OPTIONS * HTTP/1.1', 'Host: app.test'), 400],
    ['no slash', get('admin'), 400],
    ['another authority than Host', get('http://admin.test/admin'), 400],
    ['userinfo in the target', get('http://app.test@evil/'), 400],
    ['https on plain http', get('https://app.test/'), 400],
    // Host
    ['no Host', lines('GET / HTTP/1.1'), 400],
    ['two Hosts', lines('GET / HTTP/1.1', 'Host: app.test', 'Host: admin.test'), 400],
    ['two equal Hosts', lines('GET / HTTP/1.1', 'Host: app.test', 'host: app.test'), 400],
    ['a list of Hosts', lines('GET / HTTP/1.1', 'Host: app.test, admin.test'), 400],
    ['an empty Host', lines('GET / HTTP/1.1', 'Host:'), 400],
    ['a Host with userinfo', lines('GET / HTTP/1.1', 'Host: app.test@evil.test'), 400],
    ['a Host with a path', lines('GET / HTTP/1.1', 'Host: app.test/evil'), 400],
    ['a Host with a port beyond all ports', lines('GET / HTTP/1.1', 'Host: app.test:99999'), 400],
    ['half an address as Host', lines('GET / HTTP/1.1', 'Host: [::1'), 400],
    ['a tab in Host', lines('GET / HTTP/1.1', 'Host: app\t.test'), 400],
    ['a Host of 8 KiB', lines('GET / HTTP/1.1', `Host: ${'x'.repeat(8192)}`), 400],
    // Versions and methods
    ['HTTP/0.9', 'GET /admin\r\n\r\n', 400],
    ['HTTP/1.2', lines('GET / HTTP/1.2', 'Host: app.test'), 400],
    ['HTTP/2.0', lines('GET / HTTP/2.0', 'Host: app.test'), 400],
    ['TRACE', lines('TRACE / HTTP/1.1', 'Host: app.test'), 405],
    ['CONNECT', lines('CONNECT app.test:443 HTTP/1.1', 'Host: app.test'), 405],
    ['a method in small letters', lines('get / HTTP/1.1', 'Host: app.test'), 400],
    // Framing
    [
      'Content-Length and Transfer-Encoding',
      `${post('Content-Length: 6', 'Transfer-Encoding: chunked')}0\r\n\r\nG`,
      400,
    ],
    [
      'Transfer-Encoding and Content-Length',
      `${post('Transfer-Encoding: chunked', 'Content-Length: 6')}0\r\n\r\nG`,
      400,
    ],
    ['an unknown coding', post('Transfer-Encoding: xchunked'), 400],
    ['an empty coding with a length', `${post('Transfer-Encoding:', 'Content-Length: 2')}hi`, 400],
    [
      'a coding in HTTP/1.0',
      `${lines('POST / HTTP/1.0', 'Host: app.test', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
      400,
    ],
    ['identity, chunked', `${post('Transfer-Encoding: identity, chunked')}0\r\n\r\n`, 400],
    ['gzip, chunked', `${post('Transfer-Encoding: gzip, chunked')}0\r\n\r\n`, 501],
    ['chunked, identity', `${post('Transfer-Encoding: chunked, identity')}0\r\n\r\n`, 400],
    ['two codings in two lines', `${post('Transfer-Encoding: chunked', 'Transfer-Encoding: identity')}0\r\n\r\n`, 400],
    ['chunked;q=1', `${post('Transfer-Encoding: chunked;q=1')}0\r\n\r\n`, 400],
    ['a quoted coding', `${post('Transfer-Encoding: "chunked"')}0\r\n\r\n`, 400],
    ['a vertical tab before the coding', `${post('Transfer-Encoding: \u000bchunked')}0\r\n\r\n`, 400],
    ['a space before the colon', `${post('Transfer-Encoding : chunked')}0\r\n\r\n`, 400],
    ['a folded coding', `${post('Transfer-Encoding:\r\n chunked')}0\r\n\r\n`, 400],
    ['an underscore in the name', `${post('Transfer_Encoding: chunked')}0\r\n\r\n`, 400],
    ['two lengths', `${post('Content-Length: 5', 'Content-Length: 6')}hello`, 400],
    ['a list of lengths', `${post('Content-Length: 5, 5')}hello`, 400],
    ['a length with a sign', `${post('Content-Length: +5')}hello`, 400],
    ['a length in hexadecimal', `${post('Content-Length: 0x5')}hello`, 400],
    ['a length with zeros in front', `${post('Content-Length: 005')}hello`, 400],
    ['a negative length', post('Content-Length: -1'), 400],
    ['two numbers as a length', `${post('Content-Length: 5 5')}hello`, 400],
    ['an empty length', post('Content-Length:'), 400],
    ['a length of 2^64', post('Content-Length: 18446744073709551616'), 400],
    [
      'a length in the first line with a space',
      `POST / HTTP/1.1\r\n Content-Length: 5\r\nHost: app.test\r\n\r\nhello`,
      400,
    ],
    // Grammar
    ['bare line feeds', 'GET / HTTP/1.1\nHost: app.test\n\n', 400],
    ['bare carriage returns', 'GET / HTTP/1.1\rHost: app.test\r\r', 400],
    ['a carriage return in a value', get('/', 'X: a\rb'), 400],
    ['a header without a name', get('/', ': x'), 400],
    ['a header without a colon', get('/', 'x'), 400],
    ['a space in a name', get('/', 'X A: b'), 400],
    ['a bracket in a name', get('/', 'X(: b'), 400],
    ['a NUL in a name', get('/', 'X\u0000: b'), 400],
    ['a NUL in a value', get('/', 'X: a\u0000'), 400],
    ['a control character in a value', get('/', 'X: a\u0001'), 400],
    ['DEL in a name', get('/', 'X\u007f: b'), 400],
    ['a byte above ASCII in a name', Buffer.from(get('/', 'X\u00e9: b'), 'latin1'), 400],
    ['two Authorizations', get('/', 'Authorization: Bearer a', 'authorization: Bearer b'), 400],
    ['2100 headers', get('/', ...Array.from({ length: 2100 }, (_, i) => `x${i}: `), 'Cookie: late=1'), 431],
    ['40 KiB of headers', get('/', `X: ${'x'.repeat(40 * 1024)}`), 431],
  ]
  test.each(bad)('%s', async (_, bytes, status) => {
    expect(statuses(await send(bytes))).toEqual([status])
    expect(seen).toEqual([])
  })
})

describe('on one connection', () => {
  test('every request is parsed on its own', async () => {
    const answer = await send(
      get('/user', 'Cookie: alice=1') + get('/admin') + get('/', 'Cookie: bob=1', 'Connection: close'),
    )
    expect(statuses(answer)).toEqual([200, 200, 200])
    expect(seen.map(({ path, cookie }) => [path, cookie])).toEqual([
      ['/user', 'alice=1'],
      ['/admin', ''],
      ['/', 'bob=1'],
    ])
  })

  const whatFollows = async (first: string): Promise<void> => {
    expect(statuses(await send(first + get('/admin')))).toEqual([400])
    expect(seen).toEqual([])
  }

  test.each([
    ['a body with two ends', `${post('Content-Length: 4', 'Transfer-Encoding: chunked')}0\r\n\r\n`],
    ['an unknown coding', post('Transfer-Encoding: xchunked')],
  ])('what follows %s is never read as a request', (_, first) => whatFollows(first))

  test.each([
    [
      'a coding in HTTP/1.0',
      `${lines('POST / HTTP/1.0', 'Host: app.test', 'Transfer-Encoding: chunked', 'Connection: keep-alive')}0\r\n\r\n`,
    ],
    ['two Hosts', lines('GET / HTTP/1.1', 'Host: app.test', 'Host: b.test')],
  ])('what follows %s is never read as a request', (_, first) => whatFollows(first))
})
