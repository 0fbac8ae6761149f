import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mayBecomeHead, scanHead } from '../../../src/wire/request-head.ts'
import { createNodeOracle } from '../../fuzz/node-oracle.ts'

const bytesOf = (text: string): Buffer => Buffer.from(text, 'latin1')
const scan = (text: string) => scanHead(bytesOf(text), 0, text.length)
const head = (...lines: readonly string[]): string => `${lines.join('\r\n')}\r\n\r\n`
const get = (...lines: readonly string[]): string => head('GET / HTTP/1.1', 'Host: a', ...lines)
/** Name and value of each line, as they are spelled. */
function linesOf(text: string): readonly string[] | undefined {
  const found = scan(text)
  if ('problem' in found) return undefined
  const { headers } = found
  return Array.from({ length: headers.count }, (_, i) => [headers.name(i).spelling, headers.value(i)]).flat()
}

const lowered = (list: readonly string[] = []) => list.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part))

describe('a head', () => {
  test('gives method, target, version and lines, verbatim', () => {
    const text = head('OPTIONS /a/%2e%2E/b?x=%20&&y HTTP/1.1', 'HOST: a', 'X-b:  two words\t ', 'x:', 'Y:\xe9')
    expect(scan(text)).toMatchObject({ method: 'OPTIONS', target: '/a/%2e%2E/b?x=%20&&y', httpVersion: '1.1' })
    expect(linesOf(text)).toEqual(['HOST', 'a', 'X-b', 'two words', 'x', '', 'Y', '\xe9'])
  })

  test('keeps each line as a run of the original', () => {
    const text = get('X-One:1', 'X-Two: \t2 ')
    const found = scan(text)
    if ('problem' in found) throw new Error(found.problem)
    const { headers } = found
    const runs = Array.from({ length: headers.count }, (_, i) => headers.text.slice(headers.start(i), headers.end(i)))
    expect(runs).toEqual(['Host: a\r\n', 'X-One:1\r\n', 'X-Two: \t2 \r\n'])
  })

  test('is found in the middle of other bytes', () => {
    const text = get('X: y')
    const bytes = bytesOf(`before${text}GET /behind HTTP/1.1\r\n\r\n`)
    const found = scanHead(bytes, 6, 6 + text.length)
    bytes.fill(0)
    expect('headers' in found && found.headers.first('x')).toBe('y')
  })

  test.each([
    [get(), 0],
    [get('Content-Length: 0'), 0],
    [get('content-length: 5'), 5],
    [get('Content-Length: 999999999999999'), 999_999_999_999_999],
    [get('Transfer-Encoding: chunked'), 'chunked'],
    [get('TRANSFER-ENCODING: CHUNKED'), 'chunked'],
  ])('%j has a body of %s', (text, framing) => {
    expect(scan(text)).toMatchObject({ framing })
  })

  test.each([
    [get(), { close: false, upgrade: false, expectsContinue: false }],
    [get('Connection: keep-alive'), { close: false }],
    [get('Connection: Close'), { close: true }],
    [get('Connection: x ,\tclose'), { close: true }],
    [get('Connection: x', 'connection: close'), { close: true }],
    [get('Connection: closed'), { close: false }],
    [head('GET / HTTP/1.0'), { close: true, httpVersion: '1.0' }],
    [head('GET / HTTP/1.0', 'Connection: keep-alive'), { close: true }],
    [get('Connection: Upgrade', 'Upgrade: WebSocket'), { upgrade: true }],
    [get('Connection: keep-alive, Upgrade', 'Upgrade: websocket'), { upgrade: true }],
    [get('Upgrade: websocket'), { upgrade: false }],
    [get('Connection: upgraded', 'Upgrade: websocket'), { upgrade: false }],
    [get('Connection: Upgrade', 'Upgrade: h2c'), { upgrade: false, upgradeTo: undefined }],
    [get('Connection: Upgrade', 'Upgrade: websocket, h2c'), { upgrade: false }],
    [get('Connection: Upgrade', 'Upgrade: websocket', 'Upgrade: h2c'), { upgrade: false }],
    [get('Connection: Upgrade', 'Upgrade:', 'Upgrade: websocket'), { upgrade: false }],
    [get('Connection: Upgrade', 'Upgrade:', 'Upgrade: stream/1'), { upgradeTo: undefined }],
    [get('Connection: Upgrade', 'Upgrade: stream/1'), { upgradeTo: 'stream/1' }],
    [get('Connection: Upgrade', 'Upgrade: stream/1', 'Content-Length: 1'), { upgradeTo: undefined }],
    [head('GET / HTTP/1.0', 'Connection: Upgrade', 'Upgrade: websocket'), { upgrade: false }],
    [get('Expect: 100-Continue', 'Content-Length: 1'), { expectsContinue: true }],
    [get('Expect: 100-continue'), { expectsContinue: false }],
    [head('POST / HTTP/1.0', 'Expect: 100-continue', 'Content-Length: 1'), { expectsContinue: false }],
    [head('POST / HTTP/1.0', 'Expect: tea', 'Content-Length: 1'), { expectsContinue: false }],
  ])('%j: %j', (text, expected) => {
    expect(scan(text)).toMatchObject(expected)
  })
})

describe('what is refused', () => {
  test.each<[text: string, status: number, problem: string]>([
    [head('GET /'), 400, 'malformed request line'],
    [head('GET  / HTTP/1.1'), 400, 'malformed request line'],
    [head('GET /  HTTP/1.1'), 400, 'malformed request line'],
    [head('GET / HTTP/1.1 '), 400, 'malformed request line'],
    [head('GET\t/ HTTP/1.1'), 400, 'malformed request line'],
    [head('GET / http/1.1'), 400, 'malformed request line'],
    [head('GET /\xe9 HTTP/1.1'), 400, 'malformed request line'],
    [head('GET /a\x7f HTTP/1.1'), 400, 'malformed request line'],
    [head(' GET / HTTP/1.1'), 400, 'malformed request line'],
    [head('GET / HTTP/1.10'), 400, 'malformed request line'],
    [head('get / HTTP/1.1'), 400, 'unknown method'],
    [head('FOO / HTTP/1.1'), 400, 'unknown method'],
    [head('GET / HTTP/1.2'), 400, 'unsupported HTTP version'],
    [head('GET / HTTP/2.0'), 400, 'unsupported HTTP version'],
    [get(' X: y'), 400, 'malformed header line'],
    [get('X : y'), 400, 'malformed header line'],
    [get('X'), 400, 'malformed header line'],
    [get(': y'), 400, 'malformed header line'],
    [get('X\xe9: y'), 400, 'malformed header line'],
    [get('X(: y'), 400, 'malformed header line'],
    [get('X: a\0b'), 400, 'malformed header line'],
    [get('X: a\x0bb'), 400, 'malformed header line'],
    [get('X: a\x7fb'), 400, 'malformed header line'],
    [get('X: a\rb'), 400, 'malformed header line'],
    [get('X: a\nb'), 400, 'malformed header line'],
    [get('X: a', '\rX: b'), 400, 'malformed header line'],
    [get('Content-Length: 1', 'Content-Length: 1'), 400, 'invalid Content-Length'],
    ...['', '1\t', '\t1', '+1', '-1', '01', '1,1', '1 1', '0x1', '1.0', '1e1', '1000000000000000'].map(
      (length): [string, number, string] => [get(`Content-Length: ${length}`), 400, 'invalid Content-Length'],
    ),
    [get('Transfer-Encoding: chunked', 'Content-Length: 1'), 400, 'both Transfer-Encoding and Content-Length'],
    [get('Content-Length: 0', 'Transfer-Encoding: x'), 400, 'both Transfer-Encoding and Content-Length'],
    [get('Transfer-Encoding: chunked', 'Transfer-Encoding: chunked'), 400, 'invalid Transfer-Encoding'],
    ...[
      '',
      'chunked\t',
      '\tchunked',
      'xchunked',
      'identity',
      'chunked, identity',
      'chunked;q=1',
      '"chunked"',
      'chunked, chunked',
      'identity, chunked',
      'chunked,',
      'gzip',
      'chunked, gzip',
    ].map((coding): [string, number, string] => [
      get(`Transfer-Encoding: ${coding}`),
      400,
      'invalid Transfer-Encoding',
    ]),
    ...['gzip, chunked', 'deflate,chunked', 'x-gzip, compress, chunked'].map((coding): [string, number, string] => [
      get(`Transfer-Encoding: ${coding}`),
      501,
      'unsupported Transfer-Encoding',
    ]),
    [head('GET / HTTP/1.0', 'Transfer-Encoding: chunked'), 400, 'Transfer-Encoding with HTTP/1.0'],
    [get('Transfer_Encoding: chunked'), 400, 'invalid header name'],
    [get('Content.Length: 1'), 400, 'invalid header name'],
    [get('Expect: tea'), 417, 'unknown expectation'],
    [get('Expect:'), 417, 'unknown expectation'],
    [get('Expect: 100-continue', 'Expect: 100-continue'), 417, 'unknown expectation'],
    [get(...Array.from({ length: 1001 }, () => 'a:')), 431, 'too many header fields'],
  ])('%j is %i %s', (text, status, problem) => {
    expect(scan(text)).toEqual({ status, problem })
  })

  test.each(['\n', '\r', '\0', '\x7f', '\x0b', '\x01'])('%j anywhere in a head', (octet) => {
    const text = get('Accept: text/html')
    for (let at = 0; at <= text.length - 4; at++) {
      expect(scan(text.slice(0, at) + octet + text.slice(at))).toHaveProperty('problem')
    }
  })
})

describe('the beginning of a head', () => {
  test('may become one wherever it is cut', () => {
    const text = get('Accept: text/html', 'X: \xe9\t')
    for (let at = 1; at < text.length - 4; at++) {
      for (const known of [0, at - 1]) expect(mayBecomeHead(bytesOf(text.slice(0, at)), known)).toBe(true)
    }
  })

  test.each(['\x16\x03\x01', ' GET', '\rGET', '\nGET', 'GET / HTTP/1.1\nX', 'GET / HTTP/1.1\rX', 'GET /\0', 'a\r\r'])(
    '%j never is one, in one piece or octet by octet',
    (text) => {
      expect(mayBecomeHead(bytesOf(text), 0)).toBe(false)
      const pieces = Array.from(text, (_, at) => mayBecomeHead(bytesOf(text.slice(0, at + 1)), at))
      expect(pieces).toContain(false)
    },
  )
})

test('what passes, Node’s strict parser reads in the same way', async () => {
  const part = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.constantFrom('Host: a', 'Accept: */*', 'X-A: b', 'Cookie: a=1; b=2', 'X:', 'X: \t y \t'),
    },
    {
      weight: 3,
      arbitrary: fc.constantFrom(
        'Content-Length: 3',
        'Content-Length: 03',
        'Transfer-Encoding: chunked',
        'Transfer-Encoding: gzip',
        'Connection: close',
        'Connection: Upgrade',
        'Upgrade: websocket',
        'Upgrade: h2c',
        'Expect: 100-continue',
      ),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(fc.string({ unit: 'binary-ascii', maxLength: 6 }), fc.string({ unit: 'binary-ascii', maxLength: 6 }))
        .map(([name, value]) => `${name}: ${value}`),
    },
  )
  const line = fc
    .tuple(
      fc.constantFrom('GET', 'POST', 'HEAD', 'OPTIONS', 'PUT', 'PATCH', 'DELETE', 'PROPFIND', 'TRACE', 'get', 'X'),
      fc.constantFrom('/', '/a?b', '*', 'http://a/', '/#', '/\\', '/\x80', 'a:1', ''),
      fc.constantFrom('HTTP/1.1', 'HTTP/1.0', 'HTTP/1.2', 'HTTP/0.9', 'http/1.1'),
    )
    .map((words) => words.join(' '))
  /** Octets that are put somewhere, in place of as many as the number says. */
  const cut = fc.record({
    at: fc.nat(),
    drop: fc.nat(2),
    put: fc.constantFrom('', '', '', '\r', '\n', '\0', ' ', '\t', ':', '\r\n', '\x0b', '\x7f', '\x85', '_', ','),
  })
  const oracle = createNodeOracle()
  let passed = 0
  await fc.assert(
    fc.asyncProperty(
      line,
      fc.array(part, { maxLength: 6 }),
      fc.array(cut, { maxLength: 2 }),
      async (first, parts, cuts) => {
        let text = head(first, ...parts)
        for (const { at, drop, put } of cuts) {
          const where = at % text.length
          text = text.slice(0, where) + put + text.slice(where + drop)
        }
        const end = text.indexOf('\r\n\r\n')
        if (end === -1) return
        text = text.slice(0, end + 4)
        const found = scan(text)
        // What routing/target.ts refuses.
        if ('problem' in found || !/^(?:\/|\*$|https?:\/\/)/i.test(found.target)) return
        passed++
        const body = found.framing === 'chunked' ? '3\r\nabc\r\n0\r\n\r\n' : 'x'.repeat(Math.min(found.framing, 999))
        const read = await oracle.read(bytesOf(text + body))
        expect(read).toMatchObject([
          {
            method: found.method,
            target: found.target,
            httpVersion: found.httpVersion,
            headers: lowered(linesOf(text)),
          },
        ])
      },
    ),
    { numRuns: 3000 },
  )
  expect(passed).toBeGreaterThan(100)
}, 60_000)
