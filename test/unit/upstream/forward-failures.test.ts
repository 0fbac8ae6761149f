import { createServer as createTlsServer } from 'node:tls'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { expect, test } from 'vitest'
import type { AppError } from '../../../src/errors.ts'
import { manualClock } from '../../support/clock.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { upstreamFailure } from '../../../src/upstream/failure.ts'
import { answering, cleanup, client, front, forwarder, OK, rawUpstream, route, type Wire } from './support.ts'
import { CERTIFICATE, EXPIRED, KEY } from './certificate.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'

test('a client that leaves while the answer comes ends the upstream exchange', async () => {
  const upstream = await rawUpstream(answering('HTTP/1.1 200 OK\r\n\r\nfirst'))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await wire.seen(/first/)
  wire.socket.destroy()
  await upstream.connections.all[0]?.closed
  expect(await ended.next()).toMatchObject({ status: 200, bytesOut: 5, cut: 'client-closed' })
})

test('a client that leaves before the answer ends the upstream exchange', async () => {
  const upstream = await rawUpstream()
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  const connection = await upstream.connections.next()
  await connection.seen(/\r\n\r\n$/)
  wire.socket.destroy()
  await connection.closed
  expect(await ended.next()).toMatchObject({
    code: 'ERR_CLIENT_CLOSED',
    message: 'the client went away before the answer began',
  })
})

test('a client that leaves in the middle of an upload ends the upstream exchange', async () => {
  const upstream = await rawUpstream()
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send('POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: 100\r\n\r\nhalf')
  const connection = await upstream.connections.next()
  await connection.seen(/half$/)
  wire.socket.resetAndDestroy()
  await connection.closed
  expect(await ended.next()).toMatchObject({ code: 'ERR_CLIENT_CLOSED' })
})

test('a pipelined request is never sent when its client leaves before its turn', async () => {
  const upstream = await rawUpstream()
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET + GET)
  const connection = await upstream.connections.next()
  await connection.seen(/\r\n\r\n$/)
  wire.socket.destroy()
  await connection.closed
  expect(await ended.next()).toMatchObject({ code: 'ERR_CLIENT_CLOSED' })
  expect(connection.received().match(/GET/g)).toHaveLength(1)
  expect([upstream.connections.all.length, ended.all.length]).toEqual([1, 1])
})

test.each([
  ['with a length', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'],
  ['chunked', 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
])('an upstream that dies in the middle of a body %s cuts the client off', async (_, answer) => {
  const upstream = await rawUpstream(answering(answer))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await wire.seen(/half/)
  upstream.connections.all[0]?.socket.destroy()
  await wire.closed
  expect(wire.received()).not.toMatch(/\r\n0\r\n\r\n$/)
  expect(await ended.next()).toMatchObject({
    status: 200,
    cut: expect.stringMatching(/^ERR_UPSTREAM_(RESET|PROTOCOL)$/),
  })
})

test('an HTTP/1.0 client sees a reset, not a clean end, when the upstream dies', async () => {
  const upstream = await rawUpstream(answering('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n'))
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  const reset = once(wire.socket, 'error')
  wire.send('GET / HTTP/1.0\r\nHost: app.test\r\n\r\n')
  await wire.seen(/half/)
  upstream.connections.all[0]?.socket.destroy()
  expect((await reset)[0]).toMatchObject({ code: 'ECONNRESET' })
})

test("an upstream without an answer gives 504 after the route's timeout, not before", async () => {
  const clock = manualClock()
  const upstream = await rawUpstream()
  const { port, ended } = await front(route(upstream.origin, { timeout: 5000 }), forwarder(clock))
  const wire = await client(port)
  wire.send(GET)
  const connection = await upstream.connections.next()
  await connection.seen(/\r\n\r\n$/)
  clock.advance(4999)
  expect(ended.all).toEqual([])
  clock.advance(1)
  expect(await ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_TIMEOUT',
    message: `upstream ${upstream.origin}: no answer in time; the limit is timeout (5s)`,
    details: { limit: 'timeout (5s)' },
  })
  await connection.closed
  await wire.seen(/^HTTP\/1.1 504 /)
})

test('a name none of whose addresses takes a connection names each of them', () => {
  const errors = ['connect ECONNREFUSED ::1:1', 'connect ECONNREFUSED 127.0.0.1:1'].map((text) => new Error(text))
  const refused = Object.assign(new AggregateError(errors), { code: 'ECONNREFUSED' })
  expect(upstreamFailure(refused, { origin: 'http://a', servername: '', connected: false })).toMatchObject({
    code: 'ERR_UPSTREAM_CONNECT',
    message: 'upstream http://a: connect ECONNREFUSED ::1:1, connect ECONNREFUSED 127.0.0.1:1',
  })
})

test('an answer whose header is too long says how long it may be', async () => {
  const upstream = await rawUpstream(answering(`HTTP/1.1 200 OK\r\nx-long: ${'a'.repeat(40_000)}\r\n\r\n`))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_PROTOCOL',
    message: `upstream ${upstream.origin}: the header of its answer is longer than 32768 bytes`,
  })
})

test('a long upload is not an answer that is late', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream(({ socket, seen }) => void seen(/ab$/).then(() => socket.write(OK)))
  const { port, ended } = await front(route(upstream.origin, { timeout: 5000 }), forwarder(clock))
  const wire = await client(port)
  wire.send('POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: 2\r\n\r\na')
  await (await upstream.connections.next()).seen(/a$/)
  clock.advance(4000)
  wire.send('b')
  await upstream.connections.all[0]?.seen(/ab$/)
  clock.advance(4000)
  expect(await ended.next()).toMatchObject({ status: 200, bytesIn: 2 })
})

test('a client that stops in its upload gets 408 after client_body_timeout, whatever the timeout of the answer', async () => {
  for (const timeout of [5000, 0]) {
    const clock = manualClock()
    const upstream = await rawUpstream()
    const to = route(upstream.origin, { timeout, requestTimeout: 60_000 })
    const { port, ended } = await front(to, forwarder(clock), { clock })
    const wire = await client(port)
    wire.send('POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: 10\r\n\r\n0')
    const connection = await upstream.connections.next()
    await connection.seen(/\r\n\r\n0$/)
    for (let sent = 1; sent < 5; sent++) {
      clock.advance(40_000)
      wire.send(String(sent))
      await connection.seen(new RegExp(`${sent}$`))
    }
    clock.advance(59_999)
    expect(ended.all).toEqual([])
    clock.advance(1)
    expect(await ended.next()).toMatchObject({
      code: 'ERR_CLIENT_TIMEOUT',
      message: 'the client sent nothing more of its request body; the limit is client_body_timeout (1m)',
    })
    await wire.seen(/^HTTP\/1\.1 408 /)
    await connection.closed
  }
})

test('an upstream that reads nothing of an upload is late, and the client is not', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream(({ socket }) => socket.pause())
  const to = route(upstream.origin, { timeout: 90_000, requestTimeout: 30_000 })
  const { port, ended } = await front(to, forwarder(clock), { clock })
  const wire = await client(port)
  const size = 64 * 1024 * 1024
  wire.send(`POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: ${size}\r\n\r\n`)
  wire.send(Buffer.alloc(size))
  // Until every buffer on the way is full: nothing has moved at ten looks.
  let written = -1
  let same = 0
  const look = (): number => {
    const now = wire.socket.bytesWritten - wire.socket.writableLength
    same = now === written ? same + 1 : 0
    written = now
    return same
  }
  await expect.poll(look, { interval: 100, timeout: 20_000 }).toBeGreaterThan(10)
  clock.advance(60_000)
  expect(ended.all).toEqual([])
  clock.advance(30_000)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_TIMEOUT', details: { limit: 'timeout (1m30s)' } })
})

test.each(['a new connection', 'one that has served'])('a malformed chunk is 400, over %s', async (which) => {
  const upstream = await rawUpstream(({ socket }) => {
    socket.on('data', (piece) => piece.toString('latin1').startsWith('GET') && socket.write(OK))
  })
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  if (which !== 'a new connection') {
    wire.send(GET)
    await wire.seen(/ok$/)
    await ended.next()
  }
  wire.send('POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n')
  expect(await ended.next()).toMatchObject({ code: 'ERR_BAD_REQUEST' })
  await wire.seen(/HTTP\/1\.1 400 [^]*connection: close/i)
  await wire.closed
  expect(upstream.connections.all.map(({ received }) => received()).join('')).not.toMatch(/POST[^]*0\r\n\r\n/)
})

test('an answer that comes while we still write is passed on, though the upstream closes at once', async () => {
  const upstream = await rawUpstream(({ socket, seen }) => {
    void seen(/\r\n\r\n/).then(() => {
      socket.pause()
      // What it has not read makes its close a reset.
      return socket.write(
        'HTTP/1.1 413 Content Too Large\r\ncontent-length: 9\r\nconnection: close\r\n\r\ntoo large',
        () => socket.destroy(),
      )
    })
  })
  const { port, ended } = await front(route(upstream.origin), forwarder())
  for (let round = 0; round < 20; round++) {
    const wire = await client(port)
    const size = 8 * 1024 * 1024
    wire.send(`POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: ${size}\r\n\r\n`)
    wire.send(Buffer.alloc(size))
    expect([round, await ended.next()]).toEqual([round, expect.objectContaining({ status: 413 })])
    await wire.seen(/^HTTP\/1\.1 413 [^]*too large$/)
  }
})

test('events have no time limit between them; other bodies have, in both directions', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream()
  const to = route(upstream.origin, { bodyTimeout: 10_000 })
  const { port, ended } = await front(to, forwarder(clock), { clock })
  const begin = async (type: string, request = GET) => {
    const wire = await client(port)
    wire.send(request)
    const connection = await upstream.connections.next()
    await connection.seen(/\r\n\r\n/)
    connection.send(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\ncontent-length: 100\r\n\r\nfirst`)
    await wire.seen(/first/)
    return { wire, connection }
  }
  const events = await begin('text/event-stream; charset=utf-8')
  for (let quiet = 0; quiet < 3; quiet++) {
    clock.advance(400_000)
    events.connection.send(`event ${quiet}`)
    await events.wire.seen(new RegExp(`event ${quiet}`))
  }
  const upload = await begin('text/plain', 'POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: 9\r\n\r\nx')
  for (let sent = 0; sent < 4; sent++) {
    clock.advance(7000)
    upload.wire.send(`u${sent}`)
    await upload.connection.seen(new RegExp(`u${sent}`))
  }
  expect(ended.all).toEqual([])
  clock.advance(10_000)
  expect(await ended.next()).toMatchObject({ cut: 'ERR_UPSTREAM_TIMEOUT', limit: 'upstream_body_timeout (10s)' })
  expect(events.wire.socket.closed).toBe(false)
})

test('a body that stops is cut after the body timeout', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream(answering('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'))
  const { port, ended } = await front(route(upstream.origin, { bodyTimeout: 1000 }), forwarder(clock))
  const wire = await client(port)
  wire.send(GET)
  await wire.seen(/half/)
  clock.advance(999)
  upstream.connections.all[0]?.send('more')
  await wire.seen(/more/)
  clock.advance(999)
  expect(ended.all).toEqual([])
  clock.advance(1)
  await wire.closed
  expect(await ended.next()).toMatchObject({ status: 200, cut: 'ERR_UPSTREAM_TIMEOUT', bytesOut: 8 })
  await upstream.connections.all[0]?.closed
})

test('a slow reader stops the upstream and loses nothing', async () => {
  const size = 64 * 1024 * 1024
  let written = 0
  const upstream = await rawUpstream(({ socket }) => {
    socket.once('data', () => {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
      const piece = Buffer.alloc(64 * 1024, 0x61)
      const more = (): void => {
        while (written < size) {
          written += piece.length
          if (!socket.write(piece)) return void socket.once('drain', more)
        }
      }
      more()
    })
  })
  const clock = manualClock()
  const { port, ended } = await front(route(upstream.origin, { bodyTimeout: 1000 }), forwarder(clock))
  const wire = await client(port)
  wire.socket.removeAllListeners('data')
  wire.socket.pause()
  wire.send(GET)
  await upstream.connections.next()
  // Until every buffer on the way is full and nothing moves: the event loop turns many times without a byte.
  let before = -1
  for (let still = 0; still < 200; still = written === before ? still + 1 : 0) {
    before = written
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(written).toBeLessThan(size / 2)
  // The reader is slow, not the upstream: no timeout.
  clock.advance(60_000)
  expect(ended.all).toEqual([])
  let got = 0
  wire.socket.on('data', (piece) => (got += piece.length))
  wire.socket.resume()
  expect(await ended.next()).toMatchObject({ status: 200, bytesOut: size })
  wire.socket.end()
  await wire.closed
  expect(got).toBeGreaterThan(size)
})

test('a connection whose client was slow serves the next request as if nothing had been', async () => {
  const size = 4 * 1024 * 1024
  const upstream = await rawUpstream(answering(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n${'x'.repeat(size)}`))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const slow = await client(port)
  slow.socket.removeAllListeners('data')
  slow.socket.pause()
  slow.send(GET)
  const connection = await upstream.connections.next()
  // Until every buffer on the way is full.
  let before = -1
  for (let still = 0; still < 200; still = connection.socket.bytesWritten === before ? still + 1 : 0) {
    before = connection.socket.bytesWritten
    await new Promise((resolve) => setImmediate(resolve))
  }
  let got = 0
  slow.socket.on('data', (piece) => (got += piece.length))
  slow.socket.resume()
  expect(await ended.next()).toMatchObject({ status: 200, bytesOut: size })
  for (let i = 0; i < 3; i++) {
    const wire = await client(port)
    wire.send(GET)
    expect(await ended.next()).toMatchObject({ status: 200, bytesOut: size })
  }
  expect(upstream.connections.all).toHaveLength(1)
  await expect.poll(() => got).toBeGreaterThan(size)
})

test("a slow upstream stops the client's upload", async () => {
  const upstream = await rawUpstream(({ socket }) => socket.pause())
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  const size = 64 * 1024 * 1024
  wire.send(`PUT / HTTP/1.1\r\nHost: app.test\r\ncontent-length: ${size}\r\n\r\n`)
  const piece = Buffer.alloc(64 * 1024)
  let sent = 0
  while (sent < size && wire.socket.write(piece)) sent += piece.length
  let before = -1
  wire.socket.on('drain', () => {
    while (sent < size) {
      sent += piece.length
      if (!wire.socket.write(piece)) return
    }
  })
  for (let still = 0; still < 200; still = sent === before ? still + 1 : 0) {
    before = sent
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(sent).toBeLessThan(size / 2)
})

test('a big upload arrives whole', async () => {
  const size = 32 * 1024 * 1024
  let got = 0
  const upstream = await rawUpstream(({ socket }) => {
    socket.removeAllListeners('data')
    socket.on('data', (piece: Buffer) => {
      if (got === 0) got -= piece.indexOf('\r\n\r\n') + 4
      got += piece.length
      if (got === size) socket.write(OK)
    })
  })
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(`PUT / HTTP/1.1\r\nHost: app.test\r\ncontent-length: ${size}\r\n\r\n`)
  wire.send(Buffer.alloc(size, 0x7a))
  expect(await ended.next()).toMatchObject({ status: 200, bytesIn: size })
})

test('an answer that comes before the upload is done is passed on, and the rest of the upload is dropped', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream(({ socket, seen }) => {
    void seen(/half$/).then(() => socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n'))
  })
  const { port, ended } = await front(route(upstream.origin), forwarder(clock), { clock })
  const wire = await client(port)
  wire.send('POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: 100\r\n\r\nhalf')
  await wire.seen(/^HTTP\/1.1 413 /)
  expect(await ended.next()).toMatchObject({ status: 413 })
  // The rest never comes: the connection is not kept for ever.
  clock.advance(10_000)
  await wire.closed
})

/** Serves one exchange, then hangs up as soon as the next request is there. */
function hangsUp(served: number): (wire: Wire, index: number) => void {
  return ({ socket }, index) => {
    let requests = 0
    socket.on('data', () => {
      if (index === 0 && requests++ === served) socket.resetAndDestroy()
      else socket.write(OK)
    })
  }
}

test('an idempotent request that met a closing idle connection is sent once more', async () => {
  const upstream = await rawUpstream(hangsUp(1))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await ended.next()
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ status: 200 })
  expect(upstream.connections.all).toHaveLength(2)
})

test('an upstream that was restarted costs no idempotent request its answer, however many connections were idle', async () => {
  let restarted = false
  /** So many requests are answered at the same time: each needs a connection. */
  let together = 5
  const held: Wire[] = []
  const upstream = await rawUpstream((wire) => {
    const old = !restarted
    wire.socket.on('data', () => {
      // As by a balancer that has forgotten its connections: the first packet is answered by a reset.
      if (old && restarted) wire.socket.resetAndDestroy()
      else if (held.push(wire) === together) for (const { socket } of held.splice(0)) socket.write(OK)
    })
  })
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wires = await Promise.all(Array.from({ length: 5 }, () => client(port)))
  for (const wire of wires) wire.send(GET)
  for (let i = 0; i < 5; i++) expect(await ended.next()).toMatchObject({ status: 200 })
  expect(upstream.connections.all).toHaveLength(5)
  restarted = true
  together = 1
  wires[0]?.send(GET)
  expect(await ended.next()).toMatchObject({ status: 200 })
})

test('a POST is never sent twice', async () => {
  const upstream = await rawUpstream(hangsUp(1))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await ended.next()
  wire.send('POST / HTTP/1.1\r\nHost: app.test\r\n\r\n')
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_RESET' })
  await wire.seen(/HTTP\/1.1 502 /)
  expect(upstream.connections.all).toHaveLength(1)
})

test.each([
  ['PUT', 'content-length: 5\r\n\r\nhello'],
  ['DELETE', 'content-length: 5\r\n\r\nhello'],
  ['PUT', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ['DELETE', 'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'],
  ['GET', 'content-length: 5\r\n\r\nhello'],
])(
  'a %s with a body that met a closing connection is not sent twice: what was read of it is gone',
  async (method, rest) => {
    const upstream = await rawUpstream(hangsUp(1))
    const { port, ended } = await front(route(upstream.origin), forwarder())
    const wire = await client(port)
    wire.send(GET)
    await ended.next()
    wire.send(`${method} / HTTP/1.1\r\nHost: app.test\r\n${rest}`)
    expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_RESET' })
    await wire.seen(/HTTP\/1.1 502 /)
    expect(upstream.connections.all).toHaveLength(1)
  },
)

test('a GET on a new connection is not sent twice', async () => {
  const upstream = await rawUpstream(hangsUp(0))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_RESET' })
  expect(upstream.connections.all).toHaveLength(1)
})

test('an idle connection that the upstream half-closed is not used for a POST', async () => {
  const upstream = await rawUpstream(answering(OK))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await ended.next()
  upstream.connections.all[0]?.socket.end()
  await upstream.connections.all[0]?.closed
  wire.send('POST / HTTP/1.1\r\nHost: app.test\r\n\r\n')
  expect(await ended.next()).toMatchObject({ status: 200 })
})

test.each([
  ['refuses', 'http://127.0.0.1:1', 'ERR_UPSTREAM_CONNECT', 502],
  ['has no address', 'http://does-not-exist.invalid', 'ERR_UPSTREAM_RESOLVE', 502],
])('an upstream that %s: %s', async (_, origin, code, status) => {
  const { port, ended } = await front(route(origin), forwarder())
  const wire = await client(port)
  wire.send(GET)
  const error = (await ended.next()) as AppError
  expect(error).toMatchObject({ code, details: { upstream: origin } })
  expect(error.message).toContain(`upstream ${origin}: `)
  await wire.seen(new RegExp(`^HTTP/1.1 ${status} `))
})

async function tlsUpstream(): Promise<{ origin: string; names: (string | false)[] }> {
  const names: (string | false)[] = []
  const server = createTlsServer({ key: KEY, cert: CERTIFICATE }, (socket) => {
    names.push((socket as unknown as { servername: string | false }).servername)
    socket.on('error', () => {})
    socket.on('data', () => socket.write(OK))
  })
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => new Promise((resolve) => server.close(resolve)))
  return { origin: `https://localhost:${(server.address() as AddressInfo).port}`, names }
}

const TRUSTED = { skipVerify: false, ca: CERTIFICATE }
const PLAIN_TLS = { skipVerify: false }
const CLIENT = { chain: CERTIFICATE, key: new Secret(KEY) }

test.each([
  ['is not trusted', {}, 'ERR_UPSTREAM_CERTIFICATE'],
  ['is for another name', { tls: { ...TRUSTED, serverName: 'other.test' } }, 'ERR_UPSTREAM_CERTIFICATE'],
] as const)('a certificate that %s gives 502', async (_, tls, code) => {
  const upstream = await tlsUpstream()
  const { port, ended } = await front(route(upstream.origin, tls), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ code })
})

test.each([
  ["the route's authority", { tls: TRUSTED }, ['localhost']],
  ["the route's name", { tls: { ...TRUSTED, serverName: 'app.internal' } }, ['app.internal']],
  ['tls_skip_verify', { tls: { skipVerify: true } }, ['localhost']],
  ['a preserved Host, which names nothing', { tls: TRUSTED, rewrite: { host: { kind: 'client' } } }, ['localhost']],
] as const)('TLS to the upstream with %s', async (_, tls, names) => {
  const upstream = await tlsUpstream()
  const { port, ended } = await front(route(upstream.origin, tls), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ status: 200 })
  expect(upstream.names).toEqual(names)
})

test.each([
  ['counts where the route has none of its own', {}, { status: 200 }],
  ['counts beside a client certificate', { tls: { skipVerify: false, client: CLIENT } }, { status: 200 }],
  ["gives way to the route's own", { tls: { skipVerify: false, ca: EXPIRED } }, { code: 'ERR_UPSTREAM_CERTIFICATE' }],
  [
    'is no help for another name',
    { tls: { ...PLAIN_TLS, serverName: 'other.test' } },
    { code: 'ERR_UPSTREAM_CERTIFICATE' },
  ],
] as const)('an authority of the whole configuration %s', async (_, tls, expected) => {
  const upstream = await tlsUpstream()
  const { port, ended } = await front(route(upstream.origin, tls), forwarder(undefined, undefined, CERTIFICATE))
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject(expected)
})

test('an upstream that speaks no TLS gives 502', async () => {
  const upstream = await rawUpstream(({ socket }) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const { port, ended } = await front(route(upstream.origin.replace('http:', 'https:')), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_TLS' })
})
