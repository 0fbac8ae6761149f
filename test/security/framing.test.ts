/**
 * Section D: where one request ends and the next begins. Whatever two parsers could cut differently is refused before
 * an upstream is touched, and what is passed on is framed anew (RFC 9112 §6.3; CVE-2022-32213, CVE-2022-32215,
 * CVE-2019-15605, CVE-2024-27982, CVE-2025-23167, CVE-2023-30589, CVE-2024-22019 in Node; CVE-2026-1525 in undici).
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { APP, createGauntlet, type Gauntlet, type Outcome, request } from '../support/gauntlet.ts'

let gauntlet: Gauntlet
beforeAll(async () => {
  gauntlet = await createGauntlet()
})
afterAll(async () => {
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

const HOST = `Host: ${APP}`
const post = (headers: string, body: string, version = '1.1') =>
  `POST /public HTTP/${version}\r\n${HOST}\r\n${headers}\r\n\r\n${body}`
const SMUGGLED = `GET /admin HTTP/1.1\r\n${HOST}\r\n\r\n`

/** One refusal, the connection closed, and no connection to the upstream at all. */
async function expectRefused(bytes: string | Buffer, status: number): Promise<void> {
  const before = gauntlet.echo.connections()
  const outcome = await gauntlet.send(bytes)
  expect({ bytes: String(bytes).slice(0, 300), statuses: outcome.statuses, received: outcome.received }).toEqual({
    bytes: String(bytes).slice(0, 300),
    statuses: [status],
    received: [],
  })
  expect(outcome.lines).toEqual([
    expect.objectContaining({ status, client_ip: '127.0.0.1', detail: expect.any(String) }),
  ])
  expect(outcome.answers[0]?.header('connection')).toBe('close')
  expect(gauntlet.echo.connections()).toBe(before)
}

/** Exactly one request with this body arrived, framed by us. */
function expectOne({ statuses, received }: Outcome, body: string): void {
  expect(statuses).toEqual([200])
  expect(
    received.map((one) => ({ method: one.method, target: one.target, body: one.body, complete: one.complete })),
  ).toEqual([{ method: 'POST', target: '/public', body, complete: true }])
  const [upstream] = received
  const [length, coding] = ['content-length', 'transfer-encoding'].map((name) => upstream?.values(name) ?? [])
  expect([length, coding].flat()).toHaveLength(1)
}

describe('D01 Content-Length beside Transfer-Encoding', () => {
  test.each([
    ['CL.TE', post('Content-Length: 6\r\nTransfer-Encoding: chunked', '0\r\n\r\nG')],
    ['TE.CL', post('Transfer-Encoding: chunked\r\nContent-Length: 4', `5c\r\nGPOST / HTTP/1.1\r\n\r\n0\r\n\r\n`)],
    ['CL.TE with a request behind it', post('Content-Length: 6\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SMUGGLED}`)],
    ['CL 0 and TE', post('Content-Length: 0\r\nTransfer-Encoding: chunked', `0\r\n\r\n${SMUGGLED}`)],
    ['TE that nobody knows, and CL', post('Transfer-Encoding: xchunked\r\nContent-Length: 3', 'abc')],
    ['TE identity, and CL', post('Transfer-Encoding: identity\r\nContent-Length: 3', 'abc')],
  ])('%s is 400', async (_, bytes) => {
    await expectRefused(bytes, 400)
  })
})

describe('D02 other spellings of chunked', () => {
  test.each([
    ['xchunked', 400],
    ['', 400],
    ['\x0bchunked', 400],
    ['\x0cchunked', 400],
    ['chunked, identity', 400],
    ['identity, chunked', 400],
    ['identity', 400],
    ['chunked;q=1', 400],
    ['"chunked"', 400],
    ['chunked, chunked', 400],
    ['chunked\r\nTransfer-Encoding: chunked', 400],
    ['chunked\r\ntransfer-encoding: identity', 400],
    ['x\r\nTransfer-Encoding: chunked', 400],
    ['chunked\x00', 400],
    ['gzip, chunked', 501],
    ['\r\n chunked', 400],
    ['chunked\r\n , identity', 400],
  ])('Transfer-Encoding: %j is %i', async (value, status) => {
    await expectRefused(post(`Transfer-Encoding: ${value}`, `0\r\n\r\n${SMUGGLED}`), status)
  })

  test.each([
    'Transfer-Encoding : chunked',
    ' Transfer-Encoding: chunked',
    'Transfer_Encoding: chunked',
    'Transfer.Encoding: chunked',
    'Content_Length: 5',
    'X: y\nTransfer-Encoding: chunked',
    'X: y\rTransfer-Encoding: chunked',
  ])('%j is 400', async (line) => {
    await expectRefused(post(line, `0\r\n\r\n${SMUGGLED}`), 400)
    await expectRefused(post(`Content-Length: 5\r\n${line}`, `0\r\n\r\n${SMUGGLED}`), 400)
  })

  test('chunked in HTTP/1.0 is 400', async () => {
    await expectRefused(post('Transfer-Encoding: chunked', '0\r\n\r\n', '1.0'), 400)
  })

  test.each(['chunked', 'CHUNKED', 'Chunked'])('Transfer-Encoding: %s is accepted and framed anew', async (coding) => {
    expectOne(
      await gauntlet.send(
        post(`Connection: close\r\nTransfer-Encoding: ${coding}`, '3\r\nabc\r\n02\r\nde\r\n0\r\n\r\n'),
      ),
      'abcde',
    )
  })

  test('trailers and chunk extensions are not sent upstream', async () => {
    const body = '3;x=1;y="z"\r\nabc\r\n1\r\nd\r\n0\r\nX-Admin: 1\r\nX-Postern-Claim-Email: root\r\n\r\n'
    const outcome = await gauntlet.send(
      post('Connection: close\r\nTrailer: X-Admin\r\nTransfer-Encoding: chunked', body),
    )
    expectOne(outcome, 'abcd')
    expect(outcome.received[0]?.headers.map(([name]) => name.toLowerCase())).not.toContain('x-admin')
    expect(outcome.received[0]?.values('trailer')).toEqual([])
  })
})

describe('D03 Content-Length', () => {
  test.each([
    '5\r\nContent-Length: 6',
    '5\r\ncontent-length: 5',
    '5, 5',
    '5,6',
    '+5',
    '0x5',
    '005',
    '-1',
    '5 5',
    '',
    '5.0',
    '5e0',
    '٥',
    '18446744073709551616',
    '9999999999999999',
  ])('Content-Length: %j is 400', async (value) => {
    await expectRefused(post(`Content-Length: ${Buffer.from(value).toString('latin1')}`, 'abcde'), 400)
  })

  test('a space before the header name is 400', async () => {
    await expectRefused(post('X: y\r\n Content-Length: 5', 'abcde'), 400)
    await expectRefused(post(' Content-Length: 5', 'abcde'), 400)
  })

  test('a valid length is sent upstream once, with a body of that length', async () => {
    expectOne(await gauntlet.send(post('Connection: close\r\nContent-Length: 5', 'abcde')), 'abcde')
    const outcome = await gauntlet.send(post('Connection: close\r\nCONTENT-LENGTH: 5 ', 'ab\r\nc'))
    expectOne(outcome, 'ab\r\nc')
    expect(outcome.received[0]?.values('content-length')).toEqual(['5'])
  })

  test('the body of a GET is not read as the next request', async () => {
    const inner = SMUGGLED.replace('/admin', '/public/smuggled')
    const { statuses, received } = await gauntlet.get('/public', `Content-Length: ${inner.length}`, '', inner)
    expect(statuses).toEqual([200])
    expect(received.map(({ target, body }) => ({ target, body }))).toEqual([{ target: '/public', body: inner }])
  })
})

describe('D04 D11 line endings and header names', () => {
  test.each([
    ['bare LF', `GET /public HTTP/1.1\n${HOST}\n\n`],
    ['LF inside a header', `GET /public HTTP/1.1\r\n${HOST}\nX: y\r\n\r\n`],
    ['bare CR in a value', `GET /public HTTP/1.1\r\n${HOST}\r\nX: a\rb\r\n\r\n`],
    ['CR instead of CRLF', `GET /public HTTP/1.1\r${HOST}\r\r`],
    ['CRLF CR X', `GET /public HTTP/1.1\r\n${HOST}\r\n\rX: y\r\n\r\n`],
    ['a folded line', `GET /public HTTP/1.1\r\n${HOST}\r\nX: a\r\n b\r\n\r\n`],
    ['an empty name', `GET /public HTTP/1.1\r\n${HOST}\r\n: x\r\n\r\n`],
    ['no colon', `GET /public HTTP/1.1\r\n${HOST}\r\nX\r\n\r\n`],
    ['a first line that is folded', `GET /public HTTP/1.1\r\n X: y\r\n${HOST}\r\n\r\n`],
    ['a space in a name', `GET /public HTTP/1.1\r\n${HOST}\r\nX A: b\r\n\r\n`],
    ['a space before the colon', `GET /public HTTP/1.1\r\n${HOST}\r\nX : b\r\n\r\n`],
    ['a bracket in a name', `GET /public HTTP/1.1\r\n${HOST}\r\nX(: b\r\n\r\n`],
    ['NUL in a name', `GET /public HTTP/1.1\r\n${HOST}\r\nX\0: b\r\n\r\n`],
    ['NUL in a value', `GET /public HTTP/1.1\r\n${HOST}\r\nX: a\0b\r\n\r\n`],
    ['VT in a value', `GET /public HTTP/1.1\r\n${HOST}\r\nX: a\x0bb\r\n\r\n`],
    ['DEL in a name', `GET /public HTTP/1.1\r\n${HOST}\r\nX\x7f: b\r\n\r\n`],
    ['a byte above 0x7f in a name', `GET /public HTTP/1.1\r\n${HOST}\r\nX\xe9: b\r\n\r\n`],
    ['a tab in the request line', `GET\t/public HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['a space at its end', `GET /public HTTP/1.1 \r\n${HOST}\r\n\r\n`],
    ['a method in lower case', `get /public HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['a method that nobody knows', `FOO /public HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['a TLS hello', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ])('%s is 400', async (_, bytes) => {
    await expectRefused(bytes, 400)
  })

  test.each([
    ['two spaces before the target', `GET  /public HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['two spaces before the version', `GET /public  HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['a space before the method', ` GET /public HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['LF before the request line', `\nGET /public HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['CR before the request line', `\rGET /public HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['two empty lines before the request line', `\r\n\r\nGET /public HTTP/1.1\r\n${HOST}\r\n\r\n`],
    ['DEL in a value', `GET /public HTTP/1.1\r\n${HOST}\r\nX: a\x7fb\r\n\r\n`],
    ['a version that is not there', `GET /public\r\n${HOST}\r\n\r\n`],
    ['HTTP/1.2', `GET /public HTTP/1.2\r\n${HOST}\r\n\r\n`],
  ])('%s is 400 (RFC 9112 §3)', async (_, bytes) => {
    await expectRefused(bytes, 400)
  })

  test('an empty line before a request is no request (RFC 9112 §2.2)', async () => {
    const { statuses, received } = await gauntlet.send(`\r\n${request('GET', '/public')}`)
    expect({ statuses, targets: received.map(({ target }) => target) }).toEqual({
      statuses: [200],
      targets: ['/public'],
    })
  })

  test.each(['TRACE', 'CONNECT'])('%s is 405', async (method) => {
    const target = method === 'CONNECT' ? 'app.localhost:80' : '/public'
    await expectRefused(`${method} ${target} HTTP/1.1\r\n${HOST}\r\n\r\n${SMUGGLED}`, 405)
  })
})

describe('D05 malformed chunks', () => {
  test.each([
    ['an extension without a name', '1;\r\na\r\n0\r\n\r\n'],
    ['LF in an extension', '1;x\ny\r\na\r\n0\r\n\r\n'],
    ['0x1', '0x1\r\na\r\n0\r\n\r\n'],
    ['1_0', '1_0\r\na\r\n0\r\n\r\n'],
    ['-1', '-1\r\na\r\n0\r\n\r\n'],
    ['+1', '+1\r\na\r\n0\r\n\r\n'],
    ['21 digits of an otherwise small size', '000000000000000000001\r\na\r\n0\r\n\r\n'],
    ['a trailer that is no header line', '1\r\na\r\n0\r\nX A: b\r\n\r\n'],
    ['LF alone behind the last chunk', '1\r\na\r\n0\r\n\n'],
    ['17 hexadecimal digits', '10000000000000001\r\na\r\n0\r\n\r\n'],
    ['no CRLF behind the data', '1\r\na0\r\n\r\n'],
    ['LF alone', '1\na\n0\n\n'],
    ['nothing', '\r\n\r\n'],
    ['64 KiB of extensions', `1;${'x'.repeat(65_536)}\r\na\r\n0\r\n\r\n`],
  ])('%s is 400, and what follows in the body is not read as a request', async (_, body) => {
    const bytes = post('Connection: close\r\nTransfer-Encoding: chunked', body + SMUGGLED)
    const { statuses, answers, received, lines } = await gauntlet.send(bytes)
    expect(statuses).toEqual([400])
    expect(answers[0]?.header('connection')).toBe('close')
    expect(lines).toEqual([expect.objectContaining({ status: 400, error: 'ERR_BAD_REQUEST' })])
    expect(received.filter(({ complete }) => complete)).toHaveLength(0)
    expect(received.map(({ target }) => target).filter((target) => target !== '/public')).toEqual([])
  })

  test('bytes behind the last chunk are the next request and are authorized on their own', async () => {
    const bytes = post('Transfer-Encoding: chunked', `1\r\na\r\n0\r\n\r\n${request('GET', '/admin')}`)
    const { statuses, received } = await gauntlet.send(bytes)
    expect({ statuses, targets: received.map(({ target }) => target) }).toEqual({
      statuses: [200, 401],
      targets: ['/public'],
    })
  })
})

describe('D09 each request of a connection is authorized alone', () => {
  const line = (target: string, login?: string) =>
    `GET ${target} HTTP/1.1\r\n${HOST}\r\n${login ? `Cookie: ${gauntlet.cookies[login]}\r\n` : ''}\r\n`

  test('pipelined requests with and without cookies are answered in order', async () => {
    const bytes =
      line('/user/1', 'alice') +
      line('/admin/2') +
      line('/admin/3', 'bob') +
      line('/admin/4', 'alice') +
      request('GET', '/user/5')
    const { statuses, received, lines } = await gauntlet.send(bytes)
    expect(statuses).toEqual([200, 401, 403, 200, 401])
    expect(new Set(received.map(({ target }) => target))).toEqual(new Set(['/user/1', '/admin/4']))
    for (const one of received) expect(one.values('x-postern-claim-email')).toEqual(['alice@example.com'])
    expect(lines.map(({ path, status }) => `${String(path)} ${String(status)}`).sort()).toEqual([
      '/admin/2 401',
      '/admin/3 403',
      '/admin/4 200',
      '/user/1 200',
      '/user/5 401',
    ])
  })

  test('each answer goes to its own request', async () => {
    const targets = Array.from({ length: 30 }, (_, i) => `/user/${i}`)
    const bytes = targets.map((target, i) => line(target, i % 2 ? 'alice' : 'bob')).join('') + request('GET', '/admin')
    const { answers } = await gauntlet.send(bytes)
    expect(answers.slice(0, -1).map(({ body }) => (JSON.parse(body) as { target: string }).target)).toEqual(targets)
    expect(answers.at(-1)?.status).toBe(401)
  })

  test('the body of a refused request is not read as a request', async () => {
    const inner = line('/user/smuggled', 'alice')
    const { statuses, received } = await gauntlet.send(
      `POST /admin HTTP/1.1\r\n${HOST}\r\nContent-Length: ${inner.length}\r\n\r\n${inner}${request('GET', '/admin')}`,
    )
    expect({ statuses, received }).toEqual({ statuses: [401, 401], received: [] })
  })

  test('a connection with refused framing is closed, and what follows is not read', async () => {
    const { statuses, received } = await gauntlet.send(post('Content-Length: 5, 5', `abcde${line('/user', 'alice')}`))
    expect({ statuses, received }).toEqual({ statuses: [400], received: [] })
  })
})

describe('size limits of a header', () => {
  test('2,100 small header fields are 431 (Node would drop the last ones silently)', async () => {
    const headers = Array.from({ length: 2100 }, (_, i) => `a${i}: b`)
    const { statuses, received } = await gauntlet.get('/public', ...headers)
    expect({ statuses, received }).toEqual({ statuses: [431], received: [] })
  })

  test('64 KiB of header is 431', async () => {
    const { statuses, received } = await gauntlet.get('/public', `X: ${'x'.repeat(65_536)}`)
    expect({ statuses, received }).toEqual({ statuses: [431], received: [] })
  })

  test('all of 900 header fields are sent upstream', async () => {
    const headers = Array.from({ length: 900 }, (_, i) => `a${i}: b`)
    const { statuses, received } = await gauntlet.get('/public', ...headers)
    expect(statuses).toEqual([200])
    expect(received[0]?.headers.filter(([name]) => /^a\d+$/.test(name))).toHaveLength(900)
  })
})
