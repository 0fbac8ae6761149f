/** What is busy for too long: requests that never end (`request_timeout`), and tunnels (`tunnel_max_lifetime`). */
import { expect, test } from 'vitest'
import { manualClock } from '../support/clock.ts'
import { client, forwarder, front, rawUpstream, route, type RouteOptions, type Wire } from '../unit/upstream/support.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
const UPGRADE =
  'GET /ws HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'
const SWITCHING =
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n'

async function world(options: RouteOptions) {
  const clock = manualClock()
  const upstream = await rawUpstream()
  const to = route(upstream.origin, { timeout: 0, ...options })
  const { port, ended } = await front(to, forwarder(clock), { clock })
  return { clock, upstream, ended, client: await client(port) }
}

/** Says it, and waits until the other one has heard it. */
async function say(from: Wire, to: Wire, text: string): Promise<void> {
  const before = to.received().length
  from.send(text)
  await expect.poll(() => to.received().length).toBeGreaterThanOrEqual(before + text.length)
}

test('an application that does not answer: 504, and its connection ends', async () => {
  const at = await world({ wholeTimeout: 30_000 })
  at.client.send(GET)
  const upstream = await at.upstream.connections.next()
  await upstream.seen(/\r\n\r\n/)
  at.clock.advance(29_999)
  expect(at.client.received()).toBe('')
  at.clock.advance(1)
  await at.client.seen(/^HTTP\/1\.1 504 /)
  await upstream.closed
  expect(await at.ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_TIMEOUT',
    details: { limit: 'request_timeout (30s)' },
  })
})

test('a client that goes on sending its body: 408, and the application never sees it whole', async () => {
  const at = await world({ wholeTimeout: 30_000 })
  at.client.send('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000\r\n\r\n')
  at.client.send('x')
  const upstream = await at.upstream.connections.next()
  await upstream.seen(/\r\n\r\nx$/)
  for (let second = 0; second < 29; second++) {
    at.clock.advance(1000)
    await say(at.client, upstream, 'x')
  }
  at.clock.advance(1000)
  await at.client.seen(/^HTTP\/1\.1 408 /)
  await upstream.closed
  expect(await at.ended.next()).toMatchObject({
    code: 'ERR_CLIENT_TIMEOUT',
    details: { limit: 'request_timeout (30s)' },
  })
})

test('an answer that never ends is cut, and does not look complete', async () => {
  const at = await world({ wholeTimeout: 30_000 })
  at.client.send(GET)
  const upstream = await at.upstream.connections.next()
  await upstream.seen(/\r\n\r\n/)
  upstream.send('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
  for (let second = 0; second < 30; second++) {
    await say(upstream, at.client, '1\r\nx\r\n')
    at.clock.advance(1000)
  }
  await Promise.all([at.client.closed, upstream.closed])
  expect(at.client.received()).not.toMatch(/0\r\n\r\n$/)
  expect(await at.ended.next()).toMatchObject({ status: 200, cut: 'too-long', limit: 'request_timeout (30s)' })
})

test('an event stream lasts as long as it likes', async () => {
  const at = await world({ wholeTimeout: 30_000 })
  at.client.send(GET)
  const upstream = await at.upstream.connections.next()
  await upstream.seen(/\r\n\r\n/)
  upstream.send('HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n')
  await at.client.seen(/\r\n\r\n/)
  at.clock.advance(3_600_000)
  await say(upstream, at.client, '1\r\nx\r\n')
  await say(upstream, at.client, '0\r\n\r\n')
  expect(await at.ended.next()).not.toHaveProperty('cut')
})

test('each request of a connection has all of the time', async () => {
  const at = await world({ wholeTimeout: 30_000 })
  const asked = (): string => at.upstream.connections.all.map((each) => each.received()).join('')
  for (let request = 1; request <= 3; request++) {
    at.client.send(GET)
    await expect.poll(() => asked().match(/\r\n\r\n/g)?.length).toBe(request)
    at.clock.advance(29_999)
    for (const each of at.upstream.connections.all)
      if (!each.socket.destroyed) each.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    await expect.poll(() => at.client.received().match(/HTTP\/1\.1 200/g)?.length).toBe(request)
    expect(await at.ended.next()).not.toHaveProperty('cut')
    at.clock.advance(20_000)
  }
})

test('a tunnel ends at its time however busy it is, in order on both sides', async () => {
  const at = await world({ tunnelLifetime: 60_000, wholeTimeout: 10_000 })
  at.client.send(UPGRADE)
  const upstream = await at.upstream.connections.next()
  await upstream.seen(/\r\n\r\n/)
  upstream.send(SWITCHING)
  await at.client.seen(/\r\n\r\n/)
  const errors: Error[] = []
  at.client.socket.on('error', (error) => errors.push(error))
  for (let second = 0; second < 59; second++) {
    at.clock.advance(1000)
    await say(at.client, upstream, 'up')
    await say(upstream, at.client, 'down')
  }
  upstream.send('last words')
  await at.client.seen(/last words$/)
  at.clock.advance(1000)
  await Promise.all([at.client.closed, upstream.closed])
  expect(errors).toEqual([])
  expect(await at.ended.next()).toMatchObject({ status: 101, cut: 'too-long', limit: 'tunnel_max_lifetime (1m)' })
})

test('a tunnel whose two ends read nothing does not outlive its time by more than a while', async () => {
  const at = await world({ tunnelLifetime: 60_000 })
  at.client.send(UPGRADE)
  const upstream = await at.upstream.connections.next()
  await upstream.seen(/\r\n\r\n/)
  upstream.send(SWITCHING)
  await at.client.seen(/\r\n\r\n/)
  for (const { socket } of [at.client, upstream]) {
    socket.pause()
    for (let written = 0; written < 32; written++) socket.write(Buffer.alloc(1024 * 1024))
  }
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  at.clock.advance(60_000)
  for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  at.clock.advance(10_000)
  expect(await at.ended.next()).toMatchObject({ cut: 'too-long' })
  at.client.socket.destroy()
  upstream.socket.destroy()
})

test('without these keys nothing has such an end', async () => {
  const at = await world({})
  at.client.send(GET)
  const upstream = await at.upstream.connections.next()
  await upstream.seen(/\r\n\r\n/)
  at.clock.advance(3_600_000)
  upstream.send('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  await at.client.seen(/ok$/)
})
