/** What is sent once more, and what never is. */
import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import { expect, test } from 'vitest'
import type { Balancing, RetryCondition } from '../../../src/config/route-model.ts'
import type { Forwarded } from '../../../src/http/exchange.ts'
import type { Clock, Span } from '../../../src/types.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import {
  answering,
  BALANCING,
  cleanup,
  client,
  forwarder,
  front,
  OK,
  type RawUpstream,
  rawUpstream,
  route,
  type Wire,
} from './support.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
const POST = 'POST / HTTP/1.1\r\nHost: app.test\r\ncontent-length: 4\r\n\r\nbody'
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'

/** A port on which nobody listens. */
async function refusing(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return `http://127.0.0.1:${port}`
}

/** Somebody listens there after all, and answers 200. */
async function revive(origin: string): Promise<void> {
  const server = createServer((socket) => answering(OK)({ socket } as Wire))
  server.listen(Number(new URL(origin).port), '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => server.close())
}

function retrying(attempts: number, ...on: readonly RetryCondition[]): { readonly balancing: Balancing } {
  return { balancing: { ...BALANCING, retries: { attempts, on } } }
}

/** Runs the back-offs that become due until the exchange ends. */
async function settled(clock: ManualClock, ended: () => unknown): Promise<void> {
  await expect.poll(async () => (await clock.advanceAsync(300), ended())).toBeTruthy()
}

const requests = ({ connections }: RawUpstream): number =>
  connections.all.reduce((sum, wire) => sum + wire.received().split(/^(?:GET|POST) /m).length - 1, 0)

test.each([
  ['GET', GET, ''],
  ['POST with its body', POST, 'body'],
])('one of two upstreams refuses connections: a %s goes to the other at once', async (_, request, body) => {
  const [down, up] = [await refusing(), await rawUpstream(answering(OK))]
  const { port, ended } = await front(route([down, up.origin]), forwarder())
  const wire = await client(port)
  for (let i = 0; i < 4; i++) {
    wire.send(request)
    expect(await ended.next()).toMatchObject({ status: 200, upstream: up.origin })
  }
  expect(up.connections.all[0]?.received().endsWith(body)).toBe(true)
})

test('a WebSocket goes to the other upstream, too', async () => {
  const accept = 'HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n'
  const [down, up] = [await refusing(), await rawUpstream(answering(accept))]
  const { port, ended } = await front(route([down, up.origin]), forwarder())
  const wire = await client(port)
  wire.send(UPGRADE)
  await wire.seen(/^HTTP\/1\.1 403/)
  expect(await ended.next()).toMatchObject({ status: 403, upstream: up.origin })
})

test('no upstream takes a connection: 502 after one attempt at each', async () => {
  const [a, b] = [await refusing(), await refusing()]
  const { port, ended } = await front(route([a, b]), forwarder())
  const wire = await client(port)
  for (const request of [GET, POST]) {
    wire.send(request)
    expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_CONNECT' })
  }
})

test('an upstream that took no connection is asked again after ten seconds, by one request', async () => {
  const clock = manualClock()
  const up = await rawUpstream(answering(OK))
  const down = await refusing()
  const { port, ended } = await front(route([down, up.origin]), forwarder(clock), { clock })
  const wire = await client(port)
  const ask = async (): Promise<string> => {
    wire.send(GET)
    return ((await ended.next()) as Forwarded).upstream
  }
  for (let i = 0; i < 4; i++) expect(await ask()).toBe(up.origin)
  await revive(down)
  for (let i = 0; i < 4; i++) expect(await ask()).toBe(up.origin)
  clock.advance(10_000)
  const served = [await ask(), await ask(), await ask(), await ask()]
  expect(served).toContain(down)
})

test.each([
  ['an idempotent request', GET, 2],
  ['a POST', POST, 1],
  ['an idempotent request with a body', POST.replace('POST', 'PUT'), 1],
] as const)('retries on reset: %s whose connection closes is sent %s times', async (_, request, expected) => {
  const clock = manualClock()
  const upstream = await rawUpstream((wire, index) => {
    wire.socket.on('data', () => (index === 0 ? wire.socket.destroy() : wire.socket.write(OK)))
  })
  const { port, ended } = await front(route(upstream.origin, retrying(3, 'reset')), forwarder(clock), { clock })
  const wire = await client(port)
  wire.send(request)
  await settled(clock, () => ended.all[0])
  expect(ended.all[0]).toMatchObject(expected === 2 ? { status: 200 } : { code: 'ERR_UPSTREAM_RESET' })
  expect(requests(upstream)).toBeLessThanOrEqual(expected)
})

test('without `retries` nothing that was sent is sent again', async () => {
  const upstream = await rawUpstream((wire) => wire.socket.on('data', () => wire.socket.destroy()))
  const other = await rawUpstream(answering(OK))
  const { port, ended } = await front(route([upstream.origin, other.origin]), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_RESET' })
  expect(other.connections.all).toHaveLength(0)
})

test('a first byte of an answer ends all retries', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream((wire) => wire.socket.on('data', () => wire.socket.end('HTTP/1.1 200 OK\r\n')))
  const { port, ended } = await front(route(upstream.origin, retrying(3, 'reset')), forwarder(clock), { clock })
  const wire = await client(port)
  wire.send(GET)
  await settled(clock, () => ended.all[0])
  expect(ended.all[0]).toMatchObject({ code: expect.stringMatching(/^ERR_UPSTREAM_(?:RESET|PROTOCOL)$/) })
  expect(upstream.connections.all).toHaveLength(1)
})

test('retries on gateway errors: another upstream answers, and after the last attempt the answer is passed on', async () => {
  const clock = manualClock()
  const bad = 'HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\n\r\nbad'
  const [first, second] = [await rawUpstream(answering(bad)), await rawUpstream(answering(OK))]
  const made = forwarder(clock)
  const both = await front(route([first.origin, second.origin], retrying(1, 'gateway-error')), made, { clock })
  const wire = await client(both.port)
  wire.send(GET)
  await settled(clock, () => both.ended.all[0])
  expect(both.ended.all[0]).toMatchObject({ status: 200, upstream: second.origin })
  const alone = await front(route(first.origin, retrying(2, 'gateway-error')), made, { clock })
  const other = await client(alone.port)
  other.send(GET)
  await settled(clock, () => alone.ended.all[0])
  expect(alone.ended.all[0]).toMatchObject({ status: 503, bytesOut: 3 })
  await other.seen(/bad$/)
  other.send(POST)
  await settled(clock, () => alone.ended.all[1])
  expect(alone.ended.all[1]).toMatchObject({ status: 503 })
  expect(requests(first)).toBe(1 + 3 + 1)
})

test('retries on connection failures: a single upstream that comes back in time has the request', async () => {
  const clock = manualClock()
  const waits: Span[] = []
  const watched = {
    ...clock,
    after: (...[delay, run]: Parameters<Clock['after']>) => (waits.push(delay), clock.after(delay, run)),
  }
  const down = await refusing()
  const { port, ended } = await front(route(down, retrying(2, 'connect-failure')), forwarder(watched), { clock })
  const wire = await client(port)
  wire.send(POST)
  await expect.poll(() => waits).toContain(25)
  clock.advance(25)
  await expect.poll(() => waits).toContain(50)
  await revive(down)
  clock.advance(50)
  expect(await ended.next()).toMatchObject({ status: 200 })
})

test('a client that leaves between two attempts ends them', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream((wire) => wire.socket.on('data', () => wire.socket.destroy()))
  const { port, ended } = await front(route(upstream.origin, retrying(5, 'reset')), forwarder(clock), { clock })
  const wire = await client(port)
  wire.send(GET)
  await (await upstream.connections.next()).closed
  wire.socket.destroy()
  expect(await ended.next()).toMatchObject({ code: 'ERR_CLIENT_CLOSED' })
  await clock.advanceAsync(10_000)
  expect(upstream.connections.all).toHaveLength(1)
})
