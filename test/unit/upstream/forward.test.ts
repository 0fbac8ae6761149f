import { expect, test } from 'vitest'
import type { Forward, Route } from '../../../src/config/route-model.ts'
import type { AppError } from '../../../src/errors.ts'
import type { Forwarded, Forwarder } from '../../../src/http/exchange.ts'
import { decide } from '../../../src/policy/engine.ts'
import type { Grant } from '../../../src/policy/verdict.ts'
import {
  answering,
  client,
  facts,
  forwarderConfig,
  front,
  forwarder,
  OK,
  rawUpstream,
  route,
  upstreams,
} from './support.ts'

async function proxied(answer: string, send: string): Promise<string> {
  const upstream = await rawUpstream(answering(answer))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(send)
  await ended.next()
  wire.socket.end()
  await wire.closed
  return wire.received()
}

test('a request and its answer pass through with their bytes', async () => {
  const upstream = await rawUpstream(
    answering(
      'HTTP/1.1 201 Made It\r\nX-Odd: caf\xe9\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\ncontent-length: 3\r\n\r\n\x00\xff!',
    ),
  )
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send('GET /a/b?x=%2F&y=%ff HTTP/1.1\r\nHost: app.test\r\nX-Mixed: V\xe9\r\nAccept: */*\r\n\r\n')
  await wire.seen(/!$/)
  expect(await ended.next()).toMatchObject({ status: 201, upstream: upstream.origin, bytesIn: 0, bytesOut: 3 })
  expect(wire.received()).toMatch(
    /^HTTP\/1.1 201 Made It\r\nX-Odd: caf\xe9\r\nset-cookie: a=1\r\nSet-Cookie: b=2\r\nx-request-id: req-1\r\ncontent-length: 3\r\n/,
  )
  const got = upstream.connections.all[0]?.received() ?? ''
  expect(got).toMatch(
    /^GET \/a\/b\?x=%2F&y=%ff HTTP\/1.1\r\nhost: 127.0.0.1:\d+\r\nconnection: keep-alive\r\nX-Mixed: V\xe9\r\nAccept: \*\/\*\r\n/,
  )
  expect(got).toContain(
    'x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: app.test\r\nx-forwarded-port: 80\r\nx-request-id: req-1\r\n',
  )
})

test('what the engine did not grant is refused', () => {
  const made = forwarder()
  const forged = { route: route('http://127.0.0.1:1'), request: {}, principal: undefined } as unknown as Grant
  expect(() => made.forward(forged, undefined as never, undefined as never)).toThrow(
    new TypeError('forward: not a grant of the policy engine'),
  )
})

test('forward refuses a grant of a route that does not forward', () => {
  const made = forwarder()
  const redirecting = { ...route('http://127.0.0.1:1'), action: { kind: 'respond', status: 200, body: '' } } as Route
  const decision = decide(redirecting, undefined, facts(), 0)
  if (decision.outcome !== 'allow') throw new Error('a public route is allowed')
  const refused = 'not a grant of the policy engine'
  expect(() => made.forward(decision.grant, undefined as never, undefined as never)).toThrow(refused)
})

test.each([
  ['POST', 'content-length: 5\r\n', 'hello', 'content-length: 5\r\n\r\nhello'],
  [
    'POST',
    'transfer-encoding: chunked\r\n',
    '5\r\nhello\r\n0\r\n\r\n',
    'transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n',
  ],
  ['POST', 'content-length: 0\r\n', '', 'content-length: 0\r\n\r\n'],
  ['POST', '', '', 'content-length: 0\r\n\r\n'],
  ['DELETE', 'content-length: 2\r\n', 'xy', 'content-length: 2\r\n\r\nxy'],
  ['PROPFIND', 'content-length: 2\r\n', 'xy', 'content-length: 2\r\n\r\nxy'],
])('%s with "%s" is framed anew', async (method, header, body, expected) => {
  const upstream = await rawUpstream(({ socket, seen }) => {
    void seen(/(hello|xy|content-length: 0\r\n\r\n)(\r\n0\r\n\r\n)?$/).then(() => socket.write(OK))
  })
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(`${method} / HTTP/1.1\r\nHost: app.test\r\n${header}\r\n${body}`)
  await wire.seen(/200 OK/)
  const got = upstream.connections.all[0]?.received() ?? ''
  expect(got.endsWith(expected)).toBe(true)
  expect(got.match(/content-length|transfer-encoding/gi)).toHaveLength(1)
})

test('a chunked DELETE cannot smuggle a second request', async () => {
  const smuggled = 'GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n'
  const upstream = await rawUpstream(({ socket, seen }) => void seen(/\r\n0\r\n\r\n$/).then(() => socket.write(OK)))
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  const size = smuggled.length.toString(16)
  wire.send(
    `DELETE /a HTTP/1.1\r\nHost: app.test\r\ntransfer-encoding: chunked\r\n\r\n${size}\r\n${smuggled}\r\n0\r\n\r\n`,
  )
  await wire.seen(/200 OK/)
  expect(upstream.connections.all).toHaveLength(1)
  expect(upstream.connections.all[0]?.received()).toMatch(
    /transfer-encoding: chunked\r\n\r\n23\r\nGET \/smuggled[^]*\r\n0\r\n\r\n$/,
  )
})

test('chunk extensions and trailers of the request are dropped', async () => {
  const upstream = await rawUpstream(({ socket, seen }) => void seen(/\r\n0\r\n\r\n$/).then(() => socket.write(OK)))
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send(
    'POST / HTTP/1.1\r\nHost: app.test\r\ntrailer: x-user\r\nte: trailers\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nhi\r\n0\r\nx-user: admin\r\n\r\n',
  )
  await wire.seen(/200 OK/)
  const got = upstream.connections.all[0]?.received() ?? ''
  expect(got).toMatch(/\r\n\r\n2\r\nhi\r\n0\r\n\r\n$/)
  expect(got).not.toMatch(/trailer|x-user|\bte:/i)
})

test('trailers of the answer are dropped', async () => {
  const answer = await proxied(
    'HTTP/1.1 200 OK\r\ntrailer: x-sum\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nx-sum: 1\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n',
  )
  expect(answer).toMatch(/content-length: 2\r\n[^]*\r\n\r\nhi$/)
  expect(answer).not.toContain('x-sum')
})

test('hop-by-hop headers of the answer and those it nominates are removed', async () => {
  const answer = await proxied(
    'HTTP/1.1 200 OK\r\nconnection: X-Private, keep-alive\r\nkeep-alive: timeout=9\r\nx-private: 1\r\nproxy-authenticate: x\r\nx-request-id: theirs\r\nx-kept: 1\r\ncontent-length: 2\r\n\r\nok',
    'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n',
  )
  expect(answer).not.toMatch(/x-private|timeout=9|proxy-authenticate|theirs/i)
  expect(answer).toContain('x-kept: 1\r\nx-request-id: req-1\r\n')
})

test.each([
  ['HEAD', 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n', /content-length: 10\r\n[^]*\r\n\r\n$/],
  [
    'GET',
    'HTTP/1.1 304 Not Modified\r\netag: "a"\r\ncontent-length: 10\r\n\r\n',
    /304 Not Modified[^]*etag: "a"[^]*\r\n\r\n$/,
  ],
  ['GET', 'HTTP/1.1 204 No Content\r\n\r\n', /204 No Content[^]*\r\n\r\n$/],
])('%s answered without a body: %s', async (method, upstreamAnswer, expected) => {
  const answer = await proxied(upstreamAnswer, `${method} / HTTP/1.1\r\nHost: app.test\r\n\r\n`)
  expect(answer).toMatch(expected)
  expect(answer).not.toMatch(/transfer-encoding/i)
})

test('hints before the answer are swallowed, the answer is not', async () => {
  const answer = await proxied(
    `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>; rel=preload\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n${OK}`,
    'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n',
  )
  expect(answer).toMatch(/^HTTP\/1.1 200 OK\r\n/)
  expect(answer).not.toMatch(/100|103|102|preload/)
})

test.each([
  ['switches protocols unasked', 'HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'],
  ['is not HTTP', 'SSH-2.0-OpenSSH_9.2\r\n'],
  ['has a bad header', 'HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n'],
  ['has two lengths', 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok'],
  ['has a huge header', `HTTP/1.1 200 OK\r\nx: ${'a'.repeat(40_000)}\r\n\r\n`],
])('an upstream that %s gives 502', async (_, upstreamAnswer) => {
  const upstream = await rawUpstream(answering(upstreamAnswer))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send('POST / HTTP/1.1\r\nHost: app.test\r\n\r\n')
  expect((await ended.next()) as AppError).toMatchObject({ code: 'ERR_UPSTREAM_PROTOCOL' })
  await wire.seen(/^HTTP\/1.1 502 /)
})

test('"100 Continue" is said when the upstream is there, and not before', async () => {
  const upstream = await rawUpstream(({ socket, seen }) => void seen(/hello$/).then(() => socket.write(OK)))
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send('PUT / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\ncontent-length: 5\r\n\r\n')
  await wire.seen(/^HTTP\/1.1 100 Continue\r\n\r\n$/)
  wire.send('hello')
  await wire.seen(/HTTP\/1.1 200 OK/)
  expect(upstream.connections.all[0]?.received()).not.toMatch(/expect/i)
})

test('a client that waits for "100 Continue" learns at once that the upstream is down', async () => {
  const { port } = await front(route('http://127.0.0.1:1'), forwarder())
  const wire = await client(port)
  wire.send('PUT / HTTP/1.1\r\nHost: app.test\r\nExpect: 100-continue\r\ncontent-length: 5\r\n\r\n')
  await wire.seen(/^HTTP\/1.1 502 /)
  expect(wire.received()).not.toContain('100 Continue')
})

test('the header of a stream arrives before its first byte', async () => {
  const upstream = await rawUpstream(answering('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n'))
  const { port } = await front(route(upstream.origin), forwarder())
  const wire = await client(port)
  wire.send('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
  await wire.seen(/text\/event-stream[^]*\r\n\r\n$/)
  upstream.connections.all[0]?.send('data: 1\n\n')
  await wire.seen(/data: 1/)
})

test('connections to the upstream are reused', async () => {
  const upstream = await rawUpstream(answering(OK))
  const { port, ended } = await front(route(upstream.origin), forwarder())
  for (let i = 0; i < 3; i++) {
    const wire = await client(port)
    wire.send('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
    expect(await ended.next()).toMatchObject({ status: 200 })
  }
  expect(upstream.connections.all).toHaveLength(1)
})

test('upstreams take turns by weight', async () => {
  const [a, b] = [await rawUpstream(answering(OK)), await rawUpstream(answering(OK))]
  const to = route([a.origin, b.origin], {
    upstreams: [
      { origin: a.origin, weight: 2 },
      { origin: b.origin, weight: 1 },
    ],
  })
  const { port, ended } = await front(to, forwarder())
  const wire = await client(port)
  const served: string[] = []
  for (let i = 0; i < 6; i++) {
    wire.send('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
    served.push(((await ended.next()) as Forwarded).upstream)
  }
  expect(served.map((origin) => (origin === a.origin ? 'a' : 'b')).join('')).toBe('abaaba')
})

test('the Host header is preserved when the route says so', async () => {
  const upstream = await rawUpstream(answering(OK))
  const { port, ended } = await front(route(upstream.origin, { rewrite: { host: { kind: 'client' } } }), forwarder(), {
    facts: { port: 8443 },
  })
  const wire = await client(port)
  wire.send('GET / HTTP/1.1\r\nHost: app.test:8443\r\n\r\n')
  await ended.next()
  expect(upstream.connections.all[0]?.received()).toMatch(/\r\nhost: app.test:8443\r\n/)
})

test('a generation that ends closes what no other one uses; the next one has its connections', async () => {
  const [a, b] = [await rawUpstream(answering(OK)), await rawUpstream(answering(OK))]
  const shared = upstreams()
  const generation = (to: Route) => {
    const config = forwarderConfig()
    return shared.open({ ...config, config: { ...config.config, routes: [to] } })
  }
  const [both, onlyA] = [route([a.origin, b.origin]), route(a.origin)]
  const first = generation(both)
  const ask = async (to: Route<Forward>, made: Forwarder) => {
    const { port, ended } = await front(to, made)
    const wire = await client(port)
    wire.send('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
    return ended.next()
  }
  for (let i = 0; i < 2; i++) await ask(both, first)
  const second = generation(onlyA)
  // Both live: a request that was judged by the first one goes on with its upstreams.
  expect(b.connections.all[0]?.socket.destroyed).toBe(false)
  first.end()
  await b.connections.all[0]?.closed
  await ask(onlyA, second)
  expect(a.connections.all).toHaveLength(1)
  second.end()
  await a.connections.all[0]?.closed
})

test('another connect timeout is another pool: nothing of the old one is used', async () => {
  const upstream = await rawUpstream(answering(OK))
  const shared = upstreams()
  const to = route(upstream.origin)
  for (const upstreamConnectTimeout of [10_000, 20_000]) {
    const { config, ...rest } = forwarderConfig()
    const made = shared.open({ ...rest, config: { ...config, upstreamConnectTimeout, routes: [to] } })
    const { port, ended } = await front(to, made)
    const wire = await client(port)
    wire.send('GET / HTTP/1.1\r\nHost: app.test\r\n\r\n')
    await ended.next()
  }
  expect(upstream.connections.all).toHaveLength(2)
})
