import { expect, test } from 'vitest'
import { createDeadlines } from '../../../src/lib/deadlines.ts'
import { Admission, type Turn } from '../../../src/upstream/limits.ts'
import { manualClock } from '../../support/clock.ts'
import { type ForwarderConfig } from '../../../src/upstream/forward.ts'
import { answering, client, forwarder, forwarderConfig, front, OK, rawUpstream, route, upstreams } from './support.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n'

function limited(over: Partial<ForwarderConfig['config']>): ForwarderConfig {
  const { config, ...rest } = forwarderConfig()
  return { ...rest, config: { ...config, ...over } }
}

test('more requests than connections wait, in order; more than may wait are 503 at once', async () => {
  const upstream = await rawUpstream()
  const made = forwarder(manualClock(), limited({ upstreamMaxConnections: 2, upstreamMaxPending: 2 }))
  const { port, ended } = await front(route(upstream.origin), made)
  const wires = await Promise.all(Array.from({ length: 5 }, () => client(port)))
  for (const [i, wire] of wires.entries()) {
    wire.send(GET)
    if (i < 2) await (await upstream.connections.next()).seen(/\r\n\r\n$/)
  }
  // Of the three that are left one is too many.
  expect(await ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_BUSY',
    message: `upstream ${upstream.origin}: too many requests wait for a connection`,
  })
  expect(upstream.connections.all).toHaveLength(2)
  for (const { socket } of upstream.connections.all) {
    socket.on('data', () => socket.write(OK))
    socket.write(OK)
  }
  for (let i = 0; i < 4; i++) expect(await ended.next()).toMatchObject({ status: 200 })
  expect(upstream.connections.all).toHaveLength(2)
  const answers = await Promise.all(wires.map((wire) => wire.seen(/^HTTP\/1.1 (\d+) /)))
  expect(answers.map(([, status]) => status).toSorted()).toEqual(['200', '200', '200', '200', '503'])
})

test('a request that waits too long for a connection is 503, and one whose client leaves waits no longer', async () => {
  const clock = manualClock()
  const upstream = await rawUpstream()
  const limits = { upstreamMaxConnections: 1, upstreamMaxPending: 2, upstreamQueueTimeout: 3000 }
  const { port, ended } = await front(route(upstream.origin, { timeout: 0 }), forwarder(clock, limited(limits)))
  const [holder, leaver, waiter] = [await client(port), await client(port), await client(port)]
  holder.send(GET)
  await (await upstream.connections.next()).seen(/\r\n\r\n$/)
  leaver.send(GET)
  waiter.send(GET)
  const full = await client(port)
  full.send(GET)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_BUSY' })
  leaver.socket.destroy()
  expect(await ended.next()).toMatchObject({ code: 'ERR_CLIENT_CLOSED' })
  clock.advance(2999)
  expect(ended.all).toHaveLength(2)
  clock.advance(1)
  expect(await ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_BUSY',
    message: `upstream ${upstream.origin}: no connection became free in time; the limit is upstream_queue_timeout (3s)`,
  })
  await waiter.seen(/^HTTP\/1.1 503 /)
  // The place is free again when the first one is answered.
  upstream.connections.all[0]?.send(OK)
  await holder.seen(/ok$/)
  full.send(GET)
  await upstream.connections.all[0]?.seen(/\r\n\r\n[^]*\r\n\r\n$/)
  expect(upstream.connections.all).toHaveLength(1)
})

test('places come back whatever becomes of a request', async () => {
  const dying = await rawUpstream(({ socket }) => void socket.once('data', () => socket.destroy()))
  const { port, ended } = await front(
    route(dying.origin),
    forwarder(manualClock(), limited({ upstreamMaxConnections: 1, upstreamMaxPending: 0 })),
  )
  const wire = await client(port)
  for (let i = 0; i < 5; i++) {
    wire.send(GET)
    expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_RESET' })
  }
})

test('an upstream that hangs takes nothing from another one', async () => {
  const [stuck, fine] = [await rawUpstream(), await rawUpstream(answering(OK))]
  const shared = upstreams()
  const made = shared.open(limited({ upstreamMaxConnections: 2, upstreamMaxPending: 1 }))
  const [bad, good] = [await front(route(stuck.origin), made), await front(route(fine.origin), made)]
  for (let i = 0; i < 20; i++) (await client(bad.port)).send(GET)
  const wire = await client(good.port)
  for (let i = 0; i < 20; i++) {
    wire.send(GET)
    expect(await good.ended.next()).toMatchObject({ status: 200 })
  }
  expect(stuck.connections.all.length).toBeLessThanOrEqual(2)
})

test('WebSockets have a limit of their own, and their places come back', async () => {
  const upstream = await rawUpstream()
  const { port, ended } = await front(
    route(upstream.origin),
    forwarder(manualClock(), limited({ upstreamMaxTunnels: 1 })),
  )
  const first = await client(port)
  first.send(UPGRADE)
  await (await upstream.connections.next()).seen(/\r\n\r\n$/)
  const second = await client(port)
  second.send(UPGRADE)
  expect(await ended.next()).toMatchObject({
    code: 'ERR_UPSTREAM_BUSY',
    message: `upstream ${upstream.origin}: too many WebSockets are open`,
  })
  await second.seen(/^HTTP\/1.1 503 /)
  // Requests are not tunnels.
  const plain = await client(port)
  plain.send(GET)
  await (await upstream.connections.next()).seen(/GET/)
  first.socket.destroy()
  expect(await ended.next()).toMatchObject({ code: 'ERR_CLIENT_CLOSED' })
  const third = await client(port)
  third.send(UPGRADE)
  await (await upstream.connections.next()).seen(/\r\n\r\n$/)
})

test('a request keeps its place until undici lets go of it, also when its client leaves before the connection stands', async () => {
  // Takes connections and never shakes hands.
  const upstream = await rawUpstream()
  const origin = upstream.origin.replace('http:', 'https:')
  const made = forwarder(manualClock(), limited({ upstreamMaxConnections: 1, upstreamMaxPending: 0 }))
  const { port, ended } = await front(route(origin), made)
  const leaver = await client(port)
  leaver.send(GET)
  const connection = await upstream.connections.next()
  leaver.socket.destroy()
  expect(await ended.next()).toMatchObject({ code: 'ERR_CLIENT_CLOSED' })
  const other = await client(port)
  other.send(GET)
  expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_BUSY' })
  connection.socket.destroy()
  // The failed connection frees the place: another one is tried.
  await expect.poll(() => (other.send(GET), upstream.connections.all.length)).toBe(2)
})

test('a free place goes to the request that has waited longest, not to the one that comes just then', async () => {
  const admission = new Admission('http://app.test', createDeadlines(manualClock()))
  const started: string[] = []
  const limits = { ...forwarderConfig().config, upstreamMaxConnections: 1 }
  const turn = (name: string): Turn => ({ limits, start: () => void started.push(name), refuse() {} })
  const [first, second, third] = [turn('first'), turn('second'), turn('third')]
  admission.enter(first)
  admission.enter(second)
  admission.leave(first)
  admission.enter(third)
  await expect.poll(() => started).toEqual(['first', 'second'])
  admission.leave(second)
  await expect.poll(() => started).toEqual(['first', 'second', 'third'])
})
