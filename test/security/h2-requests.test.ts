/**
 * Requests of HTTP/2 through the whole program (section E, and what A, B, C and D mean over HTTP/2): malformed ones end
 * their stream and nothing else, and the others become exactly the request that HTTP/1.1 would have made of them.
 */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Received } from '../support/echo.ts'
import { createGauntlet, type Gauntlet, only, request } from '../support/gauntlet.ts'
import {
  block,
  CANCEL,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  type Fields,
  frame,
  get,
  type H2Answer,
  h2Wire,
  type H2Wire,
  HEADERS,
  headers,
  PROTOCOL_ERROR,
  RST_STREAM,
  uint32,
} from '../support/h2-wire.ts'

let gauntlet: Gauntlet
let port: number
let wire: H2Wire
let id = -1
const received = (): readonly Received[] => gauntlet.echo.received.slice(before)
let before = 0

beforeAll(async () => {
  gauntlet = await createGauntlet()
  const other = await gauntlet.world.another({ codec_type: 'http2' })
  port = other.app.listener.address.port
})
// Its lines and requests are counted for HTTP/1.1 alone.
beforeEach(() => gauntlet.skip())
afterEach(() => wire?.socket.destroy())
afterAll(async () => {
  await gauntlet.skip()
  await gauntlet.expectUnharmed()
  await gauntlet.close()
})

async function open(): Promise<void> {
  wire = await h2Wire(port)
  id = -1
  before = gauntlet.echo.received.length
}

/** One request on the open connection. */
async function send(fields: Fields, body?: string): Promise<H2Answer> {
  id += 2
  wire.send(headers(id, fields, body === undefined ? END_HEADERS | END_STREAM : END_HEADERS))
  if (body !== undefined) wire.send(frame(DATA, END_STREAM, id, body))
  return wire.answer(id)
}

const without = (name: string): Fields => get().filter(([known]) => known !== name)
const replaced = (name: string, value: string): Fields =>
  get().map(([known, old]) => (known === name ? [known, value] : [known, old]))

/** The stream was ended, the connection was not, and no upstream was asked. */
async function expectMalformed(fields: Fields, body?: string): Promise<void> {
  await open()
  expect(await send(fields, body)).toMatchObject({ status: 0, reset: PROTOCOL_ERROR })
  expect(received()).toEqual([])
  expect((await send(get())).status).toBe(200)
}

describe('malformed requests end their stream', () => {
  test.each<[name: string, fields: Fields]>([
    ['no :method', without(':method')],
    ['no :scheme', without(':scheme')],
    ['no :path', without(':path')],
    [':path twice', [...get(), [':path', '/admin']]],
    [':method twice', [[':method', 'POST'], ...get()]],
    [':authority twice', [[':authority', 'admin.localhost'], ...get()]],
    ['an empty :path', replaced(':path', '')],
    ['a :path without slash', replaced(':path', 'public')],
    ['an absolute :path', replaced(':path', 'http://app.localhost/public')],
    ['another scheme', replaced(':scheme', 'ftp')],
    ['a scheme that is none', replaced(':scheme', 'https://evil.test/')],
    ['an unknown pseudo-header', [[':user', 'admin'], ...get()]],
    ['a pseudo-header of answers', [[':status', '200'], ...get()]],
    ['a pseudo-header behind a header', [['x-a', '1'], ...get()]],
    [':protocol without CONNECT', [[':protocol', 'websocket'], ...get()]],
    ['CONNECT with a path', replaced(':method', 'CONNECT')],
    ['upper case in a name', get('/public', ['X-A', '1'])],
    ['a space in a name', get('/public', ['x a', '1'])],
    ['a colon in a name', get('/public', ['x:a', '1'])],
    ['an empty name', get('/public', ['', '1'])],
    ['CR in a value', get('/public', ['x-a', '1\rx-b: 2'])],
    ['CRLF in a value', get('/public', ['x-a', '1\r\nx-pomerium-claim-email: root@x'])],
    ['LF in a value', get('/public', ['x-a', '1\nGET /admin HTTP/1.1'])],
    ['NUL in a value', get('/public', ['x-a', '1\0'])],
    ['a space before a value', get('/public', ['x-a', ' 1'])],
    ['a tab behind a value', get('/public', ['x-a', '1\t'])],
    ['CR in a path', replaced(':path', '/public\r\nHost: admin.localhost')],
    ['CR in an authority', replaced(':authority', 'app.localhost\r\nx: y')],
    ['CR in a method', replaced(':method', 'GET / HTTP/1.1\r\n')],
    ['Connection', get('/public', ['connection', 'close'])],
    ['Keep-Alive', get('/public', ['keep-alive', 'timeout=5'])],
    ['Proxy-Connection', get('/public', ['proxy-connection', 'keep-alive'])],
    ['Transfer-Encoding', get('/public', ['transfer-encoding', 'chunked'])],
    ['Upgrade', get('/public', ['upgrade', 'h2c'])],
    ['TE of a coding', get('/public', ['te', 'trailers, gzip'])],
    ['two lengths', get('/public', ['content-length', '0'], ['content-length', '0'])],
    ['a list of lengths', get('/public', ['content-length', '0, 0'])],
    ['a signed length', get('/public', ['content-length', '+0'])],
    ['two hosts', get('/public', ['host', 'app.localhost'], ['host', 'app.localhost'])],
  ])('%s', async (_, fields) => {
    await expectMalformed(fields)
  })

  test.each([
    ['more DATA than Content-Length', '3', 'abcd'],
    ['less DATA than Content-Length', '5', 'abcd'],
    ['DATA and a Content-Length of 0', '0', 'x'],
  ])('E03: %s, and the upstream takes none of it for whole', async (_, length, body) => {
    await open()
    const post: Fields = [...replaced(':method', 'POST'), ['content-length', length]]
    expect((await send(post, body)).reset).toBe(PROTOCOL_ERROR)
    expect(received().filter(({ complete }) => complete)).toEqual([])
    expect((await send(get())).status).toBe(200)
  })

  test('a Content-Length without any DATA', async () => {
    await expectMalformed([...replaced(':method', 'POST'), ['content-length', '4']])
  })
})

test.each<[name: string, fields: Fields, status: number]>([
  ['E01: :authority and another host', get('/public', ['host', 'admin.localhost']), 400],
  ['E01: a host that says the same in another way', get('/public', ['host', 'app.localhost:80']), 400],
  ['neither :authority nor host', without(':authority'), 400],
  ['an authority with a name of a person', replaced(':authority', 'app.localhost@evil.test'), 400],
  ['an authority that is none', replaced(':authority', 'app.localhost/admin'), 400],
  ['OPTIONS *', [[':method', 'OPTIONS'], ...replaced(':path', '*').slice(1)], 400],
  ['a fragment', replaced(':path', '/public#/admin'), 400],
  ['a backslash', replaced(':path', '/public\\..\\admin'), 400],
  ['TRACE', replaced(':method', 'TRACE'), 405],
  [
    'CONNECT',
    [
      [':method', 'CONNECT'],
      [':authority', 'app.localhost:443'],
    ],
    405,
  ],
  ['an expectation that nobody knows', get('/public', ['expect', '200-ok']), 417],
  ['a protocol that nobody knows', [[':method', 'CONNECT'], [':protocol', 'connect-udp'], ...get().slice(1)], 501],
  [
    'more header fields than can be read',
    get('/public', ...Array.from({ length: 1001 }, () => ['x', ''] as const)),
    431,
  ],
  ['more octets than can be read', get('/public', ['x', 'y'.repeat(40_000)]), 431],
])('%s is refused before an upstream is asked, and the connection goes on', async (_, fields, status) => {
  await open()
  id += 2
  const octets = block(fields)
  const [first, second] = [octets.subarray(0, 16_000), octets.subarray(16_000, 32_000)]
  const rest = octets.subarray(32_000)
  if (octets.length < 16_000) wire.send(frame(HEADERS, END_STREAM | END_HEADERS, id, first))
  else {
    wire.send(frame(HEADERS, END_STREAM, id, first), frame(CONTINUATION, 0, id, second))
    for (let at = 0; at <= rest.length; at += 16_000) {
      wire.send(frame(CONTINUATION, at + 16_000 > rest.length ? END_HEADERS : 0, id, rest.subarray(at, at + 16_000)))
    }
  }
  expect(await wire.answer(id)).toMatchObject({ status, complete: true })
  expect(received()).toEqual([])
  expect((await send(get())).status).toBe(200)
})

/** What the upstream saw, without what differs by connection. */
const shown = ({ method, target, headers, body, complete }: Received) => ({
  method,
  target,
  body,
  complete,
  headers: headers
    .map(([name, value]) => `${name.toLowerCase()}: ${value}`)
    .filter((line) => !/^(?:connection|x-request-id|x-postern-jwt-assertion|x-forwarded-for): /.test(line))
    .sort(),
})

describe('the same request over HTTP/1.1 and HTTP/2 meets the same fate, and is the same upstream', () => {
  const cookie = (): readonly [string, string] => ['cookie', gauntlet.cookies['alice'] ?? '']
  test.each<[target: string, more: () => Fields]>([
    ['/public', () => []],
    ['/public/../admin', () => [cookie()]],
    ['/public/%2e%2e/admin', () => []],
    ['/public/..%2fadmin', () => []],
    ['/public/..%5cadmin', () => []],
    ['//admin', () => [cookie()]],
    ['/.//admin', () => []],
    ['//evil.test/admin', () => []],
    ['/public/secret%23/x', () => []],
    ['/api/private/secret?path=/status', () => []],
    ['/api/x/status?a=1&a=2', () => []],
    ['/%61dmin', () => [cookie()]],
    ['/ADMIN', () => [cookie()]],
    ['/admin%00', () => []],
    ['/%zz', () => []],
    ['/publicadmin', () => []],
    ['/strip/../admin', () => []],
    ['/strip/x%3fy', () => []],
    ['/.postern/%2e%2e/admin', () => []],
    ['/admin', () => [['user-agent', 'kube-probe/1.30']]],
    ['/user', () => []],
    ['/user', () => [cookie(), ['x-pomerium-claim-email', 'root@x'], ['x_pomerium_claim_email', 'root@x']]],
    [
      '/public',
      () => [
        ['x.pomerium.claim.email', 'root@x'],
        ['x-forwarded-user', 'root'],
        ['remote-user', 'root'],
      ],
    ],
    [
      '/user',
      () => [cookie(), ['x-forwarded-host', 'evil.test'], ['x-forwarded-proto', 'https'], ['forwarded', 'host=x']],
    ],
    ['/user', () => [cookie(), ['x-original-url', '/public'], ['x-forwarded-uri', '/public']]],
    ['/public', () => [['content_length', '5']]],
    [
      '/public',
      () => [
        ['__proto__', 'x'],
        ['constructor', 'y'],
        ['x-bytes', '\xff\xfe'],
      ],
    ],
    [
      '/user',
      () => [
        ['sec-fetch-mode', 'navigate'],
        ['accept', 'text/html'],
      ],
    ],
    [
      '/public',
      () => [
        ['proxy-authorization', 'Basic eDp5'],
        ['te', 'trailers'],
      ],
    ],
    ['/nows', () => [cookie(), ['accept-encoding', 'gzip']]],
  ])('%s %#', async (target, more) => {
    const fields = more()
    const first = await gauntlet.get(target, ...fields.map(([name, value]) => `${name}: ${value}`))
    await open()
    const second = await send(get(target, ...fields))
    expect(second.status).toBe(first.statuses[0])
    expect(received().map(shown)).toEqual(first.received.map(shown))
    const own = ({ name }: { name: string }): boolean =>
      !/^(?:date|content-length|connection|keep-alive|location|set-cookie|x-request-id)$/.test(name)
    const names = (list: Fields): readonly string[] =>
      list
        .map(([name]) => ({ name }))
        .filter(own)
        .map(({ name }) => name)
        .sort()
    // The codec of HTTP/1.1 refuses some of them by itself, in fewer words.
    if (second.status === 400) return
    expect(names(second.fields.filter(([name]) => name !== ':status'))).toEqual(names(first.answers[0]?.headers ?? []))
  })

  test.each(['', 'x', 'y'.repeat(100_000)])('a body of %#', async (body) => {
    const lines = [`Content-Length: ${body.length}`]
    const first = await gauntlet.send(request('POST', '/public', ...lines) + body)
    await open()
    id += 2
    wire.send(headers(id, [...replaced(':method', 'POST'), ['content-length', String(body.length)]], END_HEADERS))
    for (let at = 0; at < body.length; at += 10_000) wire.send(frame(DATA, 0, id, body.slice(at, at + 10_000)))
    wire.send(frame(DATA, END_STREAM, id))
    expect((await wire.answer(id)).status).toBe(200)
    expect(received().map(shown)).toEqual(first.received.map(shown))
  })
})

describe('cookies', () => {
  test('B10: crumbs are one line before anybody reads them, and ours is taken out of it', async () => {
    await open()
    const [name = '', value = ''] = gauntlet.cookies['alice']?.split('=') ?? []
    const answer = await send(
      get('/user', ['cookie', 'a=1'], ['x-a', '1'], ['cookie', `${name}=${value}`], ['cookie', 'b=2; c=3']),
    )
    expect(answer.status).toBe(200)
    expect(only(received()).values('cookie')).toEqual(['a=1; b=2; c=3'])
  })

  test('D09: each stream is judged by its own', async () => {
    await open()
    const { alice = '', bob = '' } = gauntlet.cookies
    wire.send(
      headers(1, get('/admin', ['cookie', alice])),
      headers(3, get('/admin')),
      headers(5, get('/admin', ['cookie', bob])),
      headers(7, get('/admin', ['cookie', alice])),
    )
    const statuses = await Promise.all([1, 3, 5, 7].map(async (stream) => (await wire.answer(stream)).status))
    expect(statuses).toEqual([200, 401, 403, 200])
  })
})

describe('streams of one connection', () => {
  test('a body that is reset is never whole upstream, and the others go on', async () => {
    await open()
    wire.send(headers(1, replaced(':method', 'POST'), END_HEADERS), frame(DATA, 0, 1, 'half'))
    await expect.poll(() => received().length).toBe(1)
    wire.send(headers(3, replaced(':method', 'POST'), END_HEADERS), frame(DATA, 0, 3, 'wh'))
    await expect.poll(() => received().length).toBe(2)
    wire.send(frame(RST_STREAM, 0, 1, uint32(CANCEL)), frame(DATA, END_STREAM, 3, 'ole'))
    expect((await wire.answer(3)).status).toBe(200)
    expect(received().map(({ body, complete }) => [body, complete])).toEqual([
      ['', false],
      ['whole', true],
    ])
  })

  test('trailers of a request are dropped', async () => {
    await open()
    wire.send(headers(1, replaced(':method', 'POST'), END_HEADERS), frame(DATA, 0, 1, 'body'))
    wire.send(
      headers(1, [
        ['x-pomerium-claim-email', 'root@x'],
        ['content-length', '9'],
      ]),
    )
    expect((await wire.answer(1)).status).toBe(200)
    expect(only(received())).toMatchObject({ body: 'body', complete: true })
    expect(only(received()).values('x-pomerium-claim-email')).toEqual([])
  })
})

describe('WebSockets (RFC 8441)', () => {
  const ask = (target: string, ...more: Fields): Fields => [
    [':method', 'CONNECT'],
    [':protocol', 'websocket'],
    ...get(target).slice(1),
    ['sec-websocket-version', '13'],
    ['origin', 'http://app.localhost'],
    ...more,
  ]

  test('bytes go both ways, and each end is passed on', async () => {
    await open()
    wire.send(
      headers(1, ask('/ws/x', ['cookie', gauntlet.cookies['alice'] ?? '']), END_HEADERS),
      frame(DATA, 0, 1, 'early'),
    )
    const head = await wire.frame(({ type, stream }) => type === HEADERS && stream === 1)
    expect(head.flags & END_STREAM).toBe(0)
    await wire.frame(({ type, payload }) => type === DATA && payload.toString().includes('early'))
    wire.send(frame(DATA, 0, 1, 'late'))
    await wire.frame(() =>
      wire.frames
        .filter(({ type }) => type === DATA)
        .map(({ payload }) => payload)
        .join('')
        .includes('earlylate'),
    )
    const asked = only(received())
    expect([asked.method, asked.target]).toEqual(['GET', '/ws/x'])
    expect(asked.values('connection')).toEqual(['Upgrade'])
    expect(asked.values('upgrade')).toEqual(['websocket'])
    expect(asked.values('sec-websocket-key')).toHaveLength(1)
    wire.send(frame(DATA, END_STREAM, 1))
    expect(await wire.answer(1)).toMatchObject({ status: 200 })
    expect((await wire.answer(1)).fields.map(([name]) => name)).not.toContain('upgrade')
  })

  test('a handshake that announces a body is refused, as over HTTP/1.1', async () => {
    await open()
    const fields = ask('/ws/x', ['cookie', gauntlet.cookies['alice'] ?? ''], ['content-length', '5'])
    wire.send(headers(1, fields, END_HEADERS), frame(DATA, 0, 1, 'GET /'))
    expect((await wire.answer(1)).status).toBe(400)
    expect(received()).toEqual([])
  })

  test('a client that has ended its side already is not given a tunnel', async () => {
    await open()
    wire.send(headers(1, ask('/ws/x', ['cookie', gauntlet.cookies['alice'] ?? ''])))
    expect(await wire.answer(1)).toMatchObject({ status: 0, reset: CANCEL })
    expect(received()).toEqual([])
  })

  test.each<[name: string, fields: () => Fields, status: number]>([
    ['nobody', () => ask('/ws/x'), 401],
    ['somebody who may not', () => ask('/ws/x', ['cookie', gauntlet.cookies['bob'] ?? '']), 403],
    ['a route without WebSockets', () => ask('/nows', ['cookie', gauntlet.cookies['alice'] ?? '']), 403],
    [
      'a page of somebody else',
      () => [
        ...ask('/ws/x', ['cookie', gauntlet.cookies['alice'] ?? '']).filter(([name]) => name !== 'origin'),
        ['origin', 'http://evil.test'],
      ],
      403,
    ],
  ])('F01, F02: %s is refused before an upstream is asked', async (_, fields, status) => {
    await open()
    wire.send(headers(1, fields(), END_HEADERS))
    expect(await wire.answer(1)).toMatchObject({ status, complete: true })
    expect(received()).toEqual([])
  })
})

test('the line of a request says by which protocol it came', async () => {
  await open()
  expect((await send(replaced(':path', '/public/by-h2'))).status).toBe(200)
  await gauntlet.send('GET /public/by-1.0 HTTP/1.0\r\nHost: app.localhost\r\n\r\n', { moreLines: 1 })
  const protocolOf = (path: string): unknown => gauntlet.world.log().find((line) => line['path'] === path)?.['protocol']
  expect(protocolOf('/public/by-h2')).toBe('HTTP/2.0')
  expect(protocolOf('/public/by-1.0')).toBe('HTTP/1.0')
  expect(protocolOf('/skip')).toBe('HTTP/1.1')
})
