/** Upstreams behind a Unix socket, and those that speak HTTP/2 without TLS: gRPC among them. */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import {
  createSecureServer,
  createServer as createHttp2Server,
  type Http2Server,
  Http2ServerResponse,
  type IncomingHttpHeaders,
  type SecureServerOptions,
  type ServerOptions,
  type ServerHttp2Stream,
} from 'node:http2'
import { createServer as createHttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import { manualClock } from '../../support/clock.ts'
import { CERTIFICATE, KEY } from './certificate.ts'
import { cleanup, client, forwarder, front, OK, rawUpstream, route } from './support.ts'

const GET = 'GET /x?q=1 HTTP/1.1\r\nHost: app.test\r\n\r\n'
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'

const SWITCHED =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n'

function socketPath(): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-socket-'))
  cleanup(() => rmSync(folder, { recursive: true }))
  return join(folder, 'app.sock')
}

const echo: RequestListener = (req, res) => {
  res.setHeader('x-seen', `${req.method} ${req.url} ${req.headers.host}`)
  req.pipe(res)
}

async function onSocket(tls: boolean): Promise<string> {
  const path = socketPath()
  const server = tls ? createHttpsServer({ key: KEY, cert: CERTIFICATE }, echo) : createHttpServer(echo)
  server.on('upgrade', (_, socket) => {
    socket.write(SWITCHED)
    socket.pipe(socket)
    cleanup(() => socket.destroy())
  })
  server.listen(path)
  await once(server, 'listening')
  cleanup(() => {
    server.closeAllConnections()
    return new Promise((resolve) => server.close(resolve))
  })
  return path
}

test.each([
  ['unix', false],
  ['https+unix', true],
] as const)('%s: requests with bodies, and WebSockets', async (scheme, tls) => {
  const origin = `${scheme}://${await onSocket(tls)}`
  const { port, ended } = await front(route(origin, { tls: { skipVerify: false, ca: CERTIFICATE } }), forwarder())
  const wire = await client(port)
  wire.send('POST /x?q=1 HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nbody')
  await wire.seen(/x-seen: POST \/x\?q=1 localhost\r\n[^]*body/)
  expect(await ended.next()).toMatchObject({ status: 200, upstream: origin })
  const socket = await client(port)
  socket.send(UPGRADE)
  await socket.seen(/^HTTP\/1\.1 101 /)
  socket.send('frames')
  await socket.seen(/frames$/)
})

test('a socket that is not there is 502 and names its path', async () => {
  const path = socketPath()
  const { port, ended } = await front(route(`unix://${path}`), forwarder())
  for (const request of [GET, UPGRADE]) {
    const wire = await client(port)
    wire.send(request)
    expect(await ended.next()).toMatchObject({
      code: 'ERR_UPSTREAM_CONNECT',
      message: expect.stringContaining(`unix://${path}`),
    })
  }
})

async function h2c(
  talk: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
  options: ServerOptions = {},
): Promise<string> {
  const server: Http2Server = createHttp2Server(options)
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    talk(stream, headers)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => {
    for (const socket of sockets) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  return `h2c://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('h2c: a unary gRPC call gets its message and its trailers', async () => {
  let seen: Record<string, unknown> = {}
  const origin = await h2c((stream, headers) => {
    seen = headers
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () =>
      stream.sendTrailers({ 'grpc-status': '5', 'grpc-message': 'no such thing', 'set-cookie': 'postern=x', via: 'x' }),
    )
    stream.pipe(stream)
  })
  const { port, ended } = await front(route(origin), forwarder())
  const wire = await client(port)
  wire.send(
    'POST /pkg.Service/Call HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/grpc\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n\0\0\0\0\x04call\r\n0\r\n\r\n',
  )
  await wire.seen(/call[^]*grpc-status: 5\r\ngrpc-message: no such thing\r\n/)
  expect(wire.received()).not.toContain('postern=x')
  expect(await ended.next()).toMatchObject({ status: 200, upstream: origin, bytesOut: 9 })
  expect(seen).toMatchObject({ ':path': '/pkg.Service/Call', ':scheme': 'http', te: 'trailers' })
  expect(String(seen[':authority'])).toBe(origin.replace('h2c://', ''))
})

test('h2c: GET, HEAD and bodies of any length pass whole, one after the other on one connection', async () => {
  const origin = await h2c((stream, headers) => {
    if (headers[':method'] === 'POST') {
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
      return
    }
    stream.respond({ ':status': 200, 'content-length': 2, 'x-name': 'Andr\u00e9' })
    stream.end(headers[':method'] === 'HEAD' ? undefined : 'ok')
  })
  const { port, ended } = await front(route(origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  // Byte for byte: the upstream writes Latin-1.
  await wire.seen(/x-name: Andr\u00e9\r\n[^]*\r\n\r\nok$/)
  wire.send('HEAD / HTTP/1.1\r\nHost: app.test\r\n\r\n')
  const size = 3_000_000
  wire.send(`POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: ${size}\r\n\r\n${'x'.repeat(size)}`)
  for (const bytesOut of [2, 0, size]) expect(await ended.next()).toMatchObject({ status: 200, bytesOut })
})

test('h2c: an upstream that resets the call, or speaks HTTP/1.1, is 502', async () => {
  const resetting = await h2c((stream) => stream.close(2))
  const old = await rawUpstream(({ socket }) => socket.write('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n'))
  for (const [origin, code, message] of [
    [resetting, 'ERR_UPSTREAM_RESET', /./],
    [
      old.origin.replace('http:', 'h2c:'),
      'ERR_UPSTREAM_PROTOCOL',
      /does not speak HTTP\/2 on this port; write http:\/\//,
    ],
  ] as const) {
    const { port, ended } = await front(route(origin), forwarder())
    const wire = await client(port)
    wire.send(GET)
    expect(await ended.next()).toMatchObject({ code, message: expect.stringMatching(message) as string })
  }
})

test('h2c: a client that leaves ends the call', async () => {
  const closed: Promise<unknown>[] = []
  const origin = await h2c((stream) => {
    closed.push(once(stream, 'close'))
    stream.respond({ ':status': 200 })
    stream.write('first')
  })
  const { port, ended } = await front(route(origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await wire.seen(/first/)
  wire.socket.destroy()
  expect(await ended.next()).toMatchObject({ cut: 'client-closed' })
  await Promise.all(closed)
})

const ACCEPTED = /^HTTP\/1\.1 101 [^]*sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=\r\n/i
const WITH_CONNECT = { settings: { enableConnectProtocol: true } } as const

test('h2c: a WebSocket is an extended CONNECT, both ways and at any length', async () => {
  let seen: IncomingHttpHeaders = {}
  const origin = await h2c((stream, headers) => {
    seen = headers
    stream.respond({ ':status': 200, 'sec-websocket-protocol': 'chat', 'sec-websocket-accept': 'of another handshake' })
    stream.pipe(stream)
  }, WITH_CONNECT)
  const { port, ended } = await front(route(origin), forwarder())
  const wire = await client(port)
  wire.send(
    UPGRADE.replace('GET / ', 'GET /chat?room=1 ').replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: chat\r\n\r\n'),
  )
  await wire.seen(ACCEPTED)
  await wire.seen(/sec-websocket-protocol: chat\r\n/i)
  expect(wire.received().match(/sec-websocket-accept/gi)).toHaveLength(1)
  const size = 1_000_000
  wire.send(`${'x'.repeat(size)}frames`)
  await wire.seen(/x{1000}frames$/)
  expect(seen).toMatchObject({
    ':method': 'CONNECT',
    ':protocol': 'websocket',
    ':path': '/chat?room=1',
    'sec-websocket-version': '13',
  })
  expect(Object.keys(seen)).not.toEqual(expect.arrayContaining(['sec-websocket-key']))
  wire.socket.end()
  expect(await ended.next()).toMatchObject({ status: 101, upstream: origin, bytesIn: size + 6, bytesOut: size + 6 })
})

test('h2c: neither side of a WebSocket outlives the other', async () => {
  const streams: ServerHttp2Stream[] = []
  const origin = await h2c((stream) => {
    streams.push(stream)
    stream.resume()
    stream.respond({ ':status': 200 })
    stream.write('hello')
  }, WITH_CONNECT)
  const clock = manualClock()
  const { port, ended } = await front(route(origin), forwarder(clock), { clock })
  const leaving = await client(port)
  leaving.send(UPGRADE)
  await leaving.seen(/hello$/)
  leaving.socket.destroy()
  // It has said all that it will; the upstream may finish, but not for long.
  await expect.poll(() => streams[0]?.readableEnded).toBe(true)
  expect(streams[0]?.closed).toBe(false)
  clock.advance(10_000)
  await expect.poll(() => streams[0]?.closed).toBe(true)
  expect(await ended.next()).toMatchObject({ status: 101 })
  for (const end of [
    (stream?: ServerHttp2Stream) => stream?.end('bye'),
    (stream?: ServerHttp2Stream) => stream?.close(2),
  ]) {
    const wire = await client(port)
    wire.send(UPGRADE)
    await wire.seen(/hello$/)
    const ending = once(wire.socket, 'end')
    end(streams.at(-1))
    await ending
    expect(await ended.next()).toMatchObject({ status: 101 })
  }
})

test('h2c: a WebSocket ends at its time however busy it is', async () => {
  const streams: ServerHttp2Stream[] = []
  const origin = await h2c((stream) => {
    streams.push(stream)
    stream.respond({ ':status': 200 })
    stream.pipe(stream)
  }, WITH_CONNECT)
  const clock = manualClock()
  const { port, ended } = await front(route(origin, { tunnelLifetime: 60_000 }), forwarder(clock), { clock })
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(ACCEPTED)
  for (let second = 0; second < 59; second++) {
    clock.advance(1000)
    wire.send(`${second}.`)
    await wire.seen(new RegExp(`${second}\\.$`))
  }
  const ending = once(wire.socket, 'end')
  clock.advance(1000)
  await ending
  await expect.poll(() => streams[0]?.closed).toBe(true)
  expect(await ended.next()).toMatchObject({ status: 101, cut: 'too-long', limit: 'tunnel_max_lifetime (1m)' })
})

test('h2c: what refuses a WebSocket is passed on with its body', async () => {
  const origin = await h2c((stream) => {
    stream.respond({ ':status': 403, 'content-type': 'text/plain' })
    stream.end('not you')
  }, WITH_CONNECT)
  const { port, ended } = await front(route(origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/^HTTP\/1\.1 403 [^]*not you/)
  expect(await ended.next()).toMatchObject({ status: 403 })
})

test('h2c: without extended CONNECT it is 502 and names the key; another upstream of the route may have it', async () => {
  const origin = await h2c((stream) => stream.close())
  const plain = await rawUpstream(({ socket }) => socket.write(OK))
  const alone = await front(route(origin), forwarder())
  const wire = await client(alone.port)
  wire.send(UPGRADE)
  expect(await alone.ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_PROTOCOL',
    message: expect.stringMatching(/no WebSockets \(RFC 8441\) over HTTP\/2; write http:\/\/ in `to`/) as string,
  })
  const both = await front(route([origin, plain.origin]), forwarder())
  const other = await client(both.port)
  other.send(UPGRADE)
  await other.seen(/^HTTP\/1\.1 200/)
})

test('an address of the upstream in an answer is put back, whatever the upstream speaks', async () => {
  const path = socketPath()
  const server = createHttpServer((_, res) => res.writeHead(302, { location: 'http://localhost/next' }).end())
  server.listen(path)
  await once(server, 'listening')
  cleanup(() => {
    server.closeAllConnections()
    server.close()
  })
  const grpc = await h2c((stream, headers) => {
    stream.respond({ ':status': 302, location: `http://${String(headers[':authority'])}/next` }, { endStream: true })
  })
  for (const origin of [`unix://${path}`, grpc]) {
    const { port } = await front(route(origin), forwarder())
    const wire = await client(port)
    wire.send(GET)
    await wire.seen(/^HTTP\/1\.1 302 [^]*location: http:\/\/app\.test\/next\r\n/i)
  }
})

const GRPC =
  'POST /pkg.Service/Call HTTP/1.1\r\nHost: app.test\r\nContent-Type: application/grpc\r\nTE: trailers\r\nContent-Length: 9\r\n\r\n\0\0\0\0\x04call'

interface Both {
  readonly origin: string
  /** By the protocol of each connection: `h2`, `http/1.1`, false. */
  readonly connections: (string | false | null)[]
  /** What it offers from now on: connections that stand are given up. */
  readonly offer: (protocols: string[]) => void
}

interface BothOptions extends SecureServerOptions {
  readonly onStream?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void
  readonly onWebSocket?: (socket: Duplex) => void
}

/** One port for both protocols; says which one a request came by. */
async function both({ onStream, onWebSocket, ...settings }: BothOptions = {}): Promise<Both> {
  let offered = ['h2', 'http/1.1']
  const server = createSecureServer(
    {
      key: KEY,
      cert: CERTIFICATE,
      allowHTTP1: true,
      ALPNCallback: ({ protocols }) => offered.find((one) => protocols.includes(one)),
      ...settings,
    },
    (req, res) => {
      if (res instanceof Http2ServerResponse) res.addTrailers({ 'grpc-status': '0' })
      res.setHeader('x-spoken', req.httpVersion)
      req.pipe(res)
    },
  )
  // Without a listener Node answers a CONNECT with 405.
  if (onStream) server.on('stream', onStream).on('connect', () => {})
  if (onWebSocket) server.on('upgrade', (_, socket) => onWebSocket(socket))
  const connections: Both['connections'] = []
  const sockets = new Set<Socket>()
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    connections.push(socket.alpnProtocol)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const drop = (): void => {
    for (const socket of sockets) socket.destroy()
  }
  cleanup(() => {
    drop()
    return new Promise((resolve) => server.close(resolve))
  })
  return {
    origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections,
    offer(protocols) {
      offered = protocols
      drop()
    },
  }
}

const TRUSTED = { skipVerify: false, ca: CERTIFICATE } as const

/** How often the answers so far have this line. */
const spoken = (text: string, version: string): number => text.split(`x-spoken: ${version}\r\n`).length - 1

test('https: HTTP/2 where the upstream offers it, one connection for requests of every kind', async () => {
  const { origin, connections } = await both()
  const { port, ended } = await front(route(origin, { tls: TRUSTED }), forwarder())
  const all = await Promise.all(Array.from({ length: 5 }, () => client(port)))
  for (const wire of all) wire.send(GET)
  for (const wire of all) await wire.seen(/x-spoken: 2\.0\r\n/)
  const [wire] = all
  wire?.send('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nbody')
  await wire?.seen(/\r\n\r\n[^]*body/)
  wire?.send(GRPC)
  await wire?.seen(/call[^]*grpc-status: 0\r\n/)
  for (let i = 0; i < 7; i++) expect(await ended.next()).toMatchObject({ status: 200, upstream: origin })
  expect(connections).toEqual(['h2'])
})

test('https: HTTP/1.1 where it offers that alone, over the connection that was asked', async () => {
  const { origin, connections, offer } = await both()
  offer(['http/1.1'])
  const { port } = await front(route(origin, { tls: TRUSTED }), forwarder())
  const wire = await client(port)
  for (let i = 1; i < 4; i++) {
    wire.send(GET)
    await expect.poll(() => spoken(wire.received(), '1.1')).toBe(i)
  }
  expect(connections).toEqual(['http/1.1'])
})

test('https: without ALPN, too', async () => {
  const server = createHttpsServer({ key: KEY, cert: CERTIFICATE, ALPNProtocols: undefined }, echo)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const { port, ended } = await front(route(origin, { tls: TRUSTED }), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ status: 200 })
})

test('https: what an upstream speaks is asked again within a minute, and it may change', async () => {
  const { origin, connections, offer } = await both()
  const clock = manualClock()
  const { port } = await front(route(origin, { tls: TRUSTED, timeout: 0 }), forwarder(clock))
  const wire = await client(port)
  const ask = async (version: string): Promise<void> => {
    const before = spoken(wire.received(), version)
    wire.send(GET)
    await expect.poll(() => spoken(wire.received(), version)).toBe(before + 1)
  }
  await ask('2.0')
  offer(['http/1.1'])
  await expect.poll(() => connections.length).toBe(1)
  await ask('1.1')
  offer(['h2', 'http/1.1'])
  clock.advance(30_000)
  await ask('1.1')
  clock.advance(31_000)
  await ask('2.0')
  expect(connections).toEqual(['h2', 'http/1.1', 'http/1.1', 'h2'])
})

test('https: upstream_codec_type: http1 leaves HTTP/2 to gRPC', async () => {
  const { origin } = await both()
  const { port } = await front(route(origin, { tls: { ...TRUSTED, only: 'http1' } }), forwarder())
  const wire = await client(port)
  wire.send(GRPC)
  await wire.seen(/x-spoken: 2\.0\r\n[^]*call[^]*grpc-status: 0\r\n/)
  wire.send(GET)
  await wire.seen(/x-spoken: 1\.1\r\n/)
})

test('https: upstream_codec_type: http2 speaks nothing else', async () => {
  const { origin, offer } = await both()
  const { port, ended } = await front(route(origin, { tls: { ...TRUSTED, only: 'http2' } }), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await wire.seen(/x-spoken: 2\.0\r\n/)
  expect(await ended.next()).toMatchObject({ status: 200 })
  offer(['http/1.1'])
  wire.send(GET)
  const message = expect.stringContaining('no HTTP/2 over TLS (ALPN)') as string
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_PROTOCOL', message })
})

test('https: WebSockets have HTTP/1.1 beside requests over HTTP/2, and HTTP/2 where that is all there is', async () => {
  const { origin, connections } = await both({
    ...WITH_CONNECT,
    onWebSocket: (socket) => void socket.write(SWITCHED),
    onStream(stream, headers) {
      if (headers[':method'] !== 'CONNECT') return
      stream.respond({ ':status': 200 })
      stream.pipe(stream)
    },
  })
  const auto = await front(route(origin, { tls: TRUSTED }), forwarder())
  const wire = await client(auto.port)
  wire.send(GET)
  await wire.seen(/x-spoken: 2\.0\r\n/)
  const upgraded = await client(auto.port)
  upgraded.send(UPGRADE)
  await upgraded.seen(ACCEPTED)
  // The handshake offers nothing, which means HTTP/1.1 (RFC 7301 §3.2).
  expect(connections).toEqual(['h2', false])
  const http2 = await front(route(origin, { tls: { ...TRUSTED, only: 'http2' } }), forwarder())
  const other = await client(http2.port)
  other.send(UPGRADE)
  await other.seen(ACCEPTED)
  other.send('frames')
  await other.seen(/frames$/)
  expect(connections).toEqual(['h2', false, 'h2'])
})

test('https: only HTTP/2, and no extended CONNECT: 502 names the key', async () => {
  const { origin } = await both()
  const { port, ended } = await front(route(origin, { tls: { ...TRUSTED, only: 'http2' } }), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  expect(await ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_PROTOCOL',
    message: expect.stringMatching(/no WebSockets.* over HTTP\/2; set .upstream_codec_type: auto/) as string,
  })
})

test('https: an upstream that takes connections and says nothing is 504, and names the limit', async () => {
  const silent = await rawUpstream(() => {})
  const clock = manualClock()
  const origin = silent.origin.replace('http:', 'https:')
  const { port, ended } = await front(route(origin, { tls: TRUSTED, timeout: 0 }), forwarder(clock))
  const wire = await client(port)
  wire.send(GET)
  await expect.poll(() => silent.connections.all.length).toBe(1)
  clock.advance(10_000)
  expect(await ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_TIMEOUT',
    message: expect.stringContaining('upstream_connect_timeout') as string,
  })
})

test.each<[name: string, settings: SecureServerOptions, tls: object, code: string, message: RegExp]>([
  ['is not trusted', {}, {}, 'ERR_UPSTREAM_CERTIFICATE', /self-signed/],
  [
    'has another name',
    {},
    { ca: CERTIFICATE, serverName: 'other.test' },
    'ERR_UPSTREAM_CERTIFICATE',
    /not for other\.test/,
  ],
])('https: an upstream that %s is 502, and says why', async (_, settings, tls, code, message) => {
  const { origin } = await both(settings)
  const { port, ended } = await front(route(origin, { tls: { skipVerify: false, ...tls } }), forwarder())
  for (const request of [GRPC, GET]) {
    const wire = await client(port)
    wire.send(request)
    expect(await ended.next()).toMatchObject({ code, message: expect.stringMatching(message) as string })
  }
})

test.each([[['http/1.1']], [undefined]])(
  'https: gRPC to an upstream without HTTP/2 (%j) is 502, and says why',
  async (offered) => {
    const server = createHttpsServer({ key: KEY, cert: CERTIFICATE, ALPNProtocols: offered }, echo)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    cleanup(() => {
      server.closeAllConnections()
      server.close()
    })
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const { port, ended } = await front(route(origin, { tls: { skipVerify: false, ca: CERTIFICATE } }), forwarder())
    const wire = await client(port)
    wire.send(GRPC)
    const error = await ended.next()
    expect(error).toMatchObject({
      message: expect.stringContaining('no HTTP/2 over TLS') as string,
      info: { status: 502 },
    })
  },
)
