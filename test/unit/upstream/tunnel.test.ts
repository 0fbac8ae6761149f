import { once } from 'node:events'
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { WebSocket, WebSocketServer } from 'ws'
import { expect, test } from 'vitest'
import { manualClock } from '../../support/clock.ts'
import { CERTIFICATE, KEY } from './certificate.ts'
import {
  cleanup,
  client,
  forwarderConfig,
  front,
  forwarder,
  upstreams,
  principal,
  rawUpstream,
  route,
  type Wire,
} from './support.ts'
import { parseAnswers } from '../../support/wire.ts'

const HANDSHAKE =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'
const UPGRADE = `GET /ws?a=1 HTTP/1.1\r\nHost: app.test\r\n${HANDSHAKE}\r\n`
/** What `UPGRADE` must be answered with (RFC 6455 §4.2.2). */
const ACCEPT = switching(
  'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n',
)

function switching(fields: string): string {
  return `HTTP/1.1 101 Switching Protocols\r\n${fields}\r\n`
}

function accepting(after = '', answer = ACCEPT): (wire: Wire) => void {
  return ({ socket, seen }) => void seen(/\r\n\r\n/).then(() => socket.write(answer + after))
}

const MUCH = 64 * 1024 * 1024

/** How much of much a socket takes before the other end stops it. */
async function sentInto(socket: Socket): Promise<number> {
  const piece = Buffer.alloc(64 * 1024)
  let sent = 0
  const more = (): void => {
    while (sent < MUCH) {
      sent += piece.length
      if (!socket.write(piece)) return
    }
  }
  socket.on('drain', more)
  more()
  let before = -1
  for (let still = 0; still < 200; still = sent === before ? still + 1 : 0) {
    before = sent
    await new Promise((resolve) => setImmediate(resolve))
  }
  socket.off('drain', more)
  return sent
}

test('messages of a real WebSocket pass both ways, whatever their size', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  cleanup(() => server.close())
  server.on('connection', (socket) => socket.on('message', (data, binary) => socket.send(data, { binary })))
  const { port, ended } = await front(route(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), forwarder())
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
  await once(socket, 'open')
  for (const message of [Buffer.from('hi'), Buffer.alloc(3 * 1024 * 1024, 7)]) {
    const echo = once(socket, 'message')
    socket.send(message)
    expect(Buffer.compare((await echo)[0] as Buffer, message)).toBe(0)
  }
  const closed = once(socket, 'close')
  socket.close(1000)
  expect((await closed)[0]).toBe(1000)
  const forwarded = await ended.next()
  expect(forwarded).toMatchObject({ status: 101 })
  expect((forwarded as { bytesIn: number }).bytesIn).toBeGreaterThan(3 * 1024 * 1024)
  expect((forwarded as { bytesOut: number }).bytesOut).toBeGreaterThan(3 * 1024 * 1024)
})

test('the handshake that the upstream sees is ours', async () => {
  const upstream = await rawUpstream(accepting())
  const to = route(upstream.origin, {
    rewrite: { host: { kind: 'client' } },
    setRequestHeaders: new Map([['x-key', 'ours']]),
  })
  const { port } = await front(to, forwarder(), { who: principal() })
  const wire = await client(port)
  wire.send(
    `GET //a\\..\\b/%2e?x=%20& HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade, X-Secret, x-postern-jwt-assertion\r\nUpgrade: WebSocket\r\nX-Secret: 1\r\nX_Postern_Claim_Email: root\r\nRemote-User: root\r\nCookie: postern=v1.a.b; a=1\r\nProxy-Authorization: x\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n`,
  )
  await wire.seen(/^HTTP\/1.1 101 Switching Protocols\r\n[^]*x-request-id: req-1\r\n\r\n$/)
  const got = upstream.connections.all[0]?.received() ?? ''
  expect(got).toMatch(/^GET \/\/a\\..\\b\/%2e\?x=%20& HTTP\/1.1\r\n/)
  expect(got).not.toMatch(/secret|root|v1\.a\.b|proxy-auth/i)
  const names = got
    .split('\r\n')
    .slice(1)
    .map((line) => line.split(':')[0]?.toLowerCase())
  expect(names.filter((name) => name !== '')).toEqual([
    'cookie',
    'sec-websocket-key',
    'sec-websocket-protocol',
    'sec-websocket-protocol',
    'x-key',
    'x-forwarded-for',
    'x-forwarded-proto',
    'x-forwarded-host',
    'x-forwarded-port',
    'x-request-id',
    'postern-hop',
    'x-postern-jwt-assertion',
    'host',
    'connection',
    'upgrade',
  ])
  expect(got).toMatch(/\r\nhost: app.test\r\n/)
  expect(got).toMatch(/\r\nconnection: Upgrade\r\nupgrade: websocket\r\n/)
})

test.each([
  [
    'no key',
    `GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
    'a handshake has a Sec-WebSocket-Key (RFC 6455 §4.1)',
  ],
  [
    'a length',
    `GET / HTTP/1.1\r\nHost: app.test\r\n${HANDSHAKE}Content-Length: 5\r\n\r\nhello`,
    'an upgrade has no body',
  ],
  [
    'a chunked body',
    `GET / HTTP/1.1\r\nHost: app.test\r\n${HANDSHAKE}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    'an upgrade has no body',
  ],
  [
    'another method',
    `POST / HTTP/1.1\r\nHost: app.test\r\n${HANDSHAKE}\r\n`,
    'an upgrade is a GET request (RFC 6455 §4.1)',
  ],
])('an upgrade with %s is refused before the upstream is touched', async (_, send, message) => {
  const upstream = await rawUpstream(accepting())
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(send)
  expect(await ended.next()).toMatchObject({ code: 'ERR_BAD_REQUEST', message })
  await wire.seen(/^HTTP\/1.1 400 /)
  expect(upstream.connections.all).toHaveLength(0)
})

test.each([
  [
    'with a length',
    'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nset-cookie: a\r\nset-cookie: b\r\nconnection: keep-alive\r\nkeep-alive: x\r\ncontent-length: 4\r\n\r\nnope',
  ],
  [
    'chunked',
    'HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\nset-cookie: a\r\nset-cookie: b\r\ntransfer-encoding: chunked\r\n\r\n2\r\nno\r\n2\r\npe\r\n0\r\n\r\n',
  ],
])('an answer that is no 101, %s, is passed on with its body, then the connection ends', async (_, answer) => {
  const upstream = await rawUpstream(({ socket, seen }) => void seen(/\r\n\r\n/).then(() => socket.write(answer)))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.closed
  expect(wire.received()).toMatch(/^HTTP\/1.1 426 Upgrade Required\r\n/)
  expect(parseAnswers(wire.received())).toMatchObject([{ status: 426, body: 'nope', complete: true }])
  expect(wire.received()).toMatch(/sec-websocket-version: 13\r\nset-cookie: a\r\nset-cookie: b\r\n/i)
  expect(wire.received()).toMatch(/connection: close\r\n/)
  expect(wire.received()).not.toMatch(/keep-alive/)
  expect(await ended.next()).toMatchObject({ status: 426 })
})

test('a refusal that the upstream does not finish cuts the client off', async () => {
  const upstream = await rawUpstream(({ socket, seen }) => {
    void seen(/\r\n\r\n/).then(() => socket.write('HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'))
  })
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/half/)
  upstream.connections.all[0]?.socket.destroy()
  await wire.closed
})

test('a client that leaves in the middle of a refusal frees the upstream', async () => {
  const upstream = await rawUpstream(({ socket, seen }) => {
    void seen(/\r\n\r\n/).then(() => socket.write('HTTP/1.1 500 No\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'))
  })
  const { port, ended } = await front(route(upstream.origin), forwarder())
  for (const behind of ['', 'frames']) {
    const wire = await client(port)
    wire.send(UPGRADE + behind)
    await wire.seen(/half/)
    // Only FIN: nothing is written any more that a reset could answer.
    wire.socket.end()
    expect(await ended.next()).toMatchObject({ status: 500, cut: 'client-closed' })
    await (await upstream.connections.next()).closed
  }
})

test('a refusal whose body stops is cut after upstream_body_timeout', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream(({ socket, seen }) => {
    void seen(/\r\n\r\n/).then(() => socket.write('HTTP/1.1 500 No\r\ncontent-length: 8\r\n\r\nhalf'))
  })
  const { port, ended } = await front(route(upstream.origin, { bodyTimeout: 5000 }), forwarder(clock))
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/half/)
  clock.advance(4999)
  expect(ended.all).toEqual([])
  clock.advance(1)
  expect(await ended.next()).toMatchObject({ status: 500, cut: 'ERR_UPSTREAM_TIMEOUT' })
  await wire.closed
  await upstream.connections.all[0]?.closed
})

test.each(['000', '042', '099'])('the status %s is 502', async (status) => {
  const upstream = await rawUpstream(({ socket, seen }) => {
    void seen(/\r\n\r\n/).then(() => socket.write(`HTTP/1.1 ${status} No\r\ncontent-length: 2\r\n\r\nno`))
  })
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_PROTOCOL' })
  await wire.seen(/^HTTP\/1.1 502 /)
})

test.each([
  ['with a control character in the reason', ACCEPT.replace('Protocols', 'Proto\x00cols')],
  ['with another Accept', switching('Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n')],
  ['without an Accept', switching('Upgrade: websocket\r\nConnection: Upgrade\r\n')],
  ['with two Accepts', ACCEPT.replace(/(Sec-.*\r\n)/, '$1$1')],
  ['to another protocol', ACCEPT.replace('websocket', 'h2c')],
  ['to two protocols', ACCEPT.replace('websocket', 'websocket, h2c')],
  ['without Upgrade', ACCEPT.replace(/Upgrade: .*\r\n/, '')],
  ['without Connection', ACCEPT.replace(/Connection: .*\r\n/, '')],
  ['of an older version', ACCEPT.replace('HTTP/1.1', 'HTTP/1.0')],
  ['behind hints without end', 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(33) + ACCEPT],
])('a 101 %s is 502, and nothing of it reaches the client (RFC 6455 §4.1)', async (_, answer) => {
  const upstream = await rawUpstream(accepting('frames', answer))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_PROTOCOL' })
  await wire.closed
  expect(wire.received()).toMatch(/^HTTP\/1.1 502 /)
  expect(wire.received()).not.toContain('frames')
  await upstream.connections.all[0]?.closed
})

test('what the client sends right behind its handshake is not lost', async () => {
  const upstream = await rawUpstream(accepting('hello'))
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(`${UPGRADE}early`)
  await wire.seen(/\r\n\r\nhello$/)
  await upstream.connections.all[0]?.seen(/\r\n\r\nearly$/)
})

test('the client gets one head, ours, then the frames of the upstream', async () => {
  const upstream = await rawUpstream(accepting('hello', ACCEPT.replace(/\r\n$/, 'Keep-Alive: x\r\n\r\n')))
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/hello$/)
  expect(wire.received()).toMatch(/^HTTP\/1.1 101 Switching Protocols\r\n(?:[\w-]+: .*\r\n)+\r\nhello$/)
  expect(wire.received().match(/HTTP\/1|keep-alive/gi)).toEqual(['HTTP/1'])
})

test('a client that resets before the upstream answers harms nobody', async () => {
  const upstream = await rawUpstream()
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  const connection = await upstream.connections.next()
  await connection.seen(/\r\n\r\n$/)
  wire.socket.resetAndDestroy()
  expect(await ended.next()).toMatchObject({
    code: 'ERR_CLIENT_CLOSED',
    message: 'the client went away before the handshake was answered',
  })
  await connection.closed
  const next = await client(port)
  next.send(UPGRADE)
  await (await upstream.connections.next()).seen(/\r\n\r\n$/)
})

test('a client that ends before the upstream answers frees the upstream', async () => {
  const upstream = await rawUpstream()
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  const connection = await upstream.connections.next()
  await connection.seen(/\r\n\r\n$/)
  wire.socket.end()
  await connection.closed
  expect(await ended.next()).toMatchObject({ code: 'ERR_CLIENT_CLOSED' })
})

test.each([
  [5000, 5000],
  [0, 30_000],
])('an upstream that never answers the handshake gives 504 (timeout %i)', async (timeout, after) => {
  const clock = manualClock()
  const upstream = await rawUpstream()
  const { port, ended } = await front(route(upstream.origin, { timeout }), forwarder(clock))
  const wire = await client(port)
  wire.send(UPGRADE)
  const connection = await upstream.connections.next()
  await connection.seen(/\r\n\r\n$/)
  clock.advance(after - 1)
  expect(ended.all).toEqual([])
  clock.advance(1)
  expect(await ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_TIMEOUT',
    message: expect.stringMatching(
      timeout > 0
        ? /: no answer to the handshake in time; the limit is timeout \(5s\)$/
        : /; the limit is fixed where timeout is 0 \(30s\)$/,
    ),
  })
  await wire.seen(/^HTTP\/1.1 504 /)
  await connection.closed
})

test('a connection that does not stand within upstream_connect_timeout gives 504 and frees its place', async () => {
  const clock = manualClock()
  const silent = await rawUpstream()
  const { config, ...rest } = forwarderConfig()
  const few = { ...rest, config: { ...config, upstreamConnectTimeout: 7000, upstreamMaxTunnels: 1 } }
  const to = route(silent.origin.replace('http:', 'https:'))
  const { port, ended } = await front(to, forwarder(clock, few))
  for (let i = 0; i < 2; i++) {
    const wire = await client(port)
    wire.send(UPGRADE)
    const connection = await silent.connections.next()
    clock.advance(6999)
    expect(ended.all).toHaveLength(i)
    clock.advance(1)
    expect(await ended.next()).toMatchObject({
      code: 'ERR_UPSTREAM_TIMEOUT',
      message: `upstream ${to.action.upstreams[0].origin}: no connection in time; the limit is upstream_connect_timeout (7s)`,
    })
    await wire.seen(/^HTTP\/1.1 504 /)
    await connection.closed
  }
})

test('a handshake that cannot be written gives 500 and frees its place', async () => {
  // The connection of the first may stand before the request turns out to be none.
  const upstream = await rawUpstream(({ socket, seen }) => {
    seen(/\r\n\r\n/).then(
      () => socket.write(ACCEPT),
      () => {},
    )
  })
  const { config, ...rest } = forwarderConfig()
  const made = forwarder(manualClock(), { ...rest, config: { ...config, upstreamMaxTunnels: 1 } })
  const bad = await front(route(upstream.origin, { setRequestHeaders: new Map([['x-key', '\u0100']]) }), made)
  const refused = await client(bad.port)
  refused.send(UPGRADE)
  expect(await bad.ended.next()).toMatchObject({ code: 'ERR_INTERNAL' })
  const good = await front(route(upstream.origin), made)
  const wire = await client(good.port)
  wire.send(UPGRADE)
  await wire.seen(/^HTTP\/1.1 101 /)
})

test('an open tunnel has no timeout', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream(accepting())
  const { port, ended } = await front(route(upstream.origin, { timeout: 5000, bodyTimeout: 1000 }), forwarder(clock))
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/101/)
  clock.advance(86_400_000)
  upstream.connections.all[0]?.send('still here')
  await wire.seen(/still here$/)
  expect(ended.all).toEqual([])
})

test.each([
  ['refuses', (): Promise<string> => Promise.resolve('http://127.0.0.1:1'), 'ERR_UPSTREAM_CONNECT'],
  [
    'hangs up',
    async () => (await rawUpstream(({ socket, seen }) => void seen(/\r\n\r\n/).then(() => socket.destroy()))).origin,
    'ERR_UPSTREAM_RESET',
  ],
  [
    'talks nonsense',
    async () =>
      (await rawUpstream(({ socket, seen }) => void seen(/\r\n\r\n/).then(() => socket.write('nonsense\r\n\r\n'))))
        .origin,
    'ERR_UPSTREAM_PROTOCOL',
  ],
  ['is unknown', (): Promise<string> => Promise.resolve('http://does-not-exist.invalid'), 'ERR_UPSTREAM_RESOLVE'],
])('an upstream that %s gives 502', async (_, origin, code) => {
  const { port, ended } = await front(route(await origin()), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  expect(await ended.next()).toMatchObject({ code })
  await wire.seen(new RegExp(`^HTTP/1.1 502 [^]*x-error: ${code}`))
})

test('neither side outlives the other', async () => {
  const upstream = await rawUpstream(accepting())
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const open = async (): Promise<readonly [Wire, Wire]> => {
    const wire = await client(port)
    wire.send(UPGRADE)
    await wire.seen(/101/)
    return [wire, await upstream.connections.next()]
  }
  for (const end of ['destroy', 'resetAndDestroy', 'end'] as const) {
    const [wire, connection] = await open()
    wire.socket[end]()
    await connection.closed
    expect(await ended.next()).toMatchObject({ status: 101 })
  }
  for (const end of ['destroy', 'resetAndDestroy', 'end'] as const) {
    const [wire, connection] = await open()
    connection.socket[end]()
    await wire.closed
    expect(await ended.next()).toMatchObject({ status: 101 })
  }
})

test('what the upstream said last reaches the client', async () => {
  // As much as the sockets in between can hold, whatever the machine gives them.
  const size = 256 * 1024
  const upstream = await rawUpstream(accepting())
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/\r\n\r\n$/)
  wire.socket.pause()
  upstream.connections.all[0]?.socket.end(Buffer.alloc(size, 0x61))
  await once(upstream.connections.all[0]?.socket as never, 'finish')
  wire.socket.resume()
  await wire.closed
  expect(wire.received().length).toBeGreaterThan(size)
})

test('a slow reader stops the other side of the tunnel', async () => {
  const upstream = await rawUpstream(accepting())
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/\r\n\r\n$/)
  wire.socket.pause()
  const { socket } = await upstream.connections.next()
  expect(await sentInto(socket)).toBeLessThan(MUCH / 2)
})

test('an upstream that reads nothing stops the client', async () => {
  const upstream = await rawUpstream(accepting())
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/\r\n\r\n$/)
  const { socket } = await upstream.connections.next()
  socket.pause()
  expect(await sentInto(wire.socket)).toBeLessThan(MUCH / 2)
  const drained = once(wire.socket, 'drain')
  socket.resume()
  await drained
})

test('closing the upstreams cuts open tunnels and pending handshakes', async () => {
  const upstream = await rawUpstream((wire, index) => index === 0 && accepting()(wire))
  const made = upstreams()
  const { port, ended } = await front(route(upstream.origin), made.open(forwarderConfig()))
  const [open, pending] = [await client(port), await client(port)]
  open.send(UPGRADE)
  await open.seen(/101/)
  pending.send(UPGRADE)
  await upstream.connections.next()
  const second = await upstream.connections.next()
  await second.seen(/\r\n\r\n$/)
  await made.close()
  await Promise.all([open.closed, pending.closed, ...upstream.connections.all.map(({ closed }) => closed)])
  expect([await ended.next(), await ended.next()]).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ status: 101 }),
      expect.objectContaining({ code: 'ERR_CLIENT_CLOSED' }),
    ]),
  )
})

const TRUSTED = { skipVerify: false, ca: CERTIFICATE }

test.each([
  ['trusted', { tls: TRUSTED, rewrite: { host: { kind: 'client' } } }, 101],
  ['not trusted', {}, 'ERR_UPSTREAM_CERTIFICATE'],
  ['for another name', { tls: { ...TRUSTED, serverName: 'other.test' } }, 'ERR_UPSTREAM_CERTIFICATE'],
  ['not looked at', { tls: { skipVerify: true } }, 101],
] as const)('a TLS upstream whose certificate is %s', async (_, tls, expected) => {
  const server = createTlsServer({ key: KEY, cert: CERTIFICATE }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write(ACCEPT))
    cleanup(() => socket.destroy())
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => new Promise((resolve) => server.close(resolve)))
  const { port, ended } = await front(
    route(`https://localhost:${(server.address() as AddressInfo).port}`, tls),
    forwarder(),
  )
  const wire = await client(port)
  wire.send(UPGRADE)
  if (expected === 101) await wire.seen(/^HTTP\/1.1 101 /)
  else expect(await ended.next()).toMatchObject({ code: expected })
})

test('an authority of the whole configuration counts for WebSockets', async () => {
  const server = createTlsServer({ key: KEY, cert: CERTIFICATE }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write(ACCEPT))
    cleanup(() => socket.destroy())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => new Promise((resolve) => server.close(resolve)))
  const origin = `https://localhost:${(server.address() as AddressInfo).port}`
  const { port } = await front(route(origin), forwarder(undefined, undefined, CERTIFICATE))
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/^HTTP\/1.1 101 /)
})

test('an upstream that hangs up during the TLS handshake gives 502', async () => {
  const server = createTcpServer((socket) => socket.destroy())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => new Promise((resolve) => server.close(resolve)))
  const { port, ended } = await front(route(`https://localhost:${(server.address() as AddressInfo).port}`), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_TLS' })
})
