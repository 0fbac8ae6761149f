/** Active checks, ejections and the panic threshold: which upstreams get requests. */
import { once } from 'node:events'
import { createSecureServer, createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo, Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { Balancing, HealthCheck, OutlierDetection, Route, UpstreamTls } from '../../../src/config/route-model.ts'
import type { Forwarded } from '../../../src/http/exchange.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { CERTIFICATE, KEY } from './certificate.ts'
import {
  BALANCING,
  cleanup,
  client,
  forwarderConfig,
  front,
  OK,
  type RawUpstream,
  rawUpstream,
  route,
  upstreams,
  type Wire,
} from './support.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
const CHECK: HealthCheck = {
  // Far beyond what the steps of `become` add up to on a busy machine.
  timeout: 60_000,
  interval: 500,
  initialJitter: 0,
  intervalJitter: 0,
  unhealthyThreshold: 2,
  healthyThreshold: 2,
  probe: { kind: 'http', path: '/healthz', expected: [{ start: 200, end: 300 }] },
}

interface Checked extends RawUpstream {
  /** Of the answers to checks. */
  status: number
  checks: number
}

/** Serves requests, and answers checks with a status that can change; 0: not at all. */
async function checked(): Promise<Checked> {
  const talk = ({ socket }: Wire): void => {
    socket.on('data', (piece) => {
      const isCheck = piece.toString().startsWith('GET /healthz ')
      if (isCheck) upstream.checks++
      if (!isCheck) socket.write(OK)
      else if (upstream.status > 0) socket.write(`HTTP/1.1 ${upstream.status} X\r\ncontent-length: 0\r\n\r\n`)
    })
  }
  const upstream: Checked = Object.assign(await rawUpstream(talk), { status: 200, checks: 0 })
  return upstream
}

interface World {
  readonly clock: ManualClock
  /** Origins that served this many requests, in order. */
  readonly ask: (count: number) => Promise<readonly string[]>
  readonly asked: () => Promise<Forwarded | Error>
  readonly states: () => ReturnType<ReturnType<typeof upstreams>['states']>
}

async function world(
  origins: readonly [string, ...string[]],
  over: Partial<Balancing>,
  tls: UpstreamTls = { skipVerify: false },
): Promise<World> {
  const clock = manualClock()
  const shared = upstreams(clock)
  const to = route(origins, { balancing: { ...BALANCING, ...over }, tls })
  const made = shared.open(generation(to))
  const { port, ended } = await front(to, made, { clock })
  const wire = await client(port)
  const asked = (): Promise<Forwarded | Error> => {
    wire.send(GET)
    return ended.next()
  }
  return {
    clock,
    asked,
    states: () => shared.states(),
    async ask(count) {
      const served: string[] = []
      for (let i = 0; i < count; i++) served.push(((await asked()) as Forwarded).upstream)
      return served
    },
  }
}

function generation(to: Route) {
  const { config, ...rest } = forwarderConfig()
  return { ...rest, config: { ...config, routes: [to] } }
}

/** Lets checks run until the upstreams have these states. */
async function become({ clock, states }: World, ...expected: readonly string[]): Promise<void> {
  await expect
    .poll(
      async () => {
        await clock.advanceAsync(100)
        return states().map(({ health }) => health)
      },
      { interval: 5 },
    )
    .toEqual(expected)
}

test('an upstream whose checks fail gets no requests, and gets them again after the threshold', async () => {
  const [a, b] = [await checked(), await checked()]
  const it = await world([a.origin, b.origin], { checks: [CHECK] })
  expect(new Set(await it.ask(4))).toEqual(new Set([a.origin, b.origin]))
  await expect.poll(async () => (await it.clock.advanceAsync(100), a.checks * b.checks)).toBeGreaterThan(0)
  a.status = 500
  const before = a.checks
  await become(it, 'unhealthy', 'healthy')
  expect(a.checks - before).toBeGreaterThanOrEqual(2)
  expect(it.states()[0]).toMatchObject({ upstream: a.origin, detail: 'status 500' })
  expect(await it.ask(4)).toEqual(Array(4).fill(b.origin))
  a.status = 204
  await become(it, 'healthy', 'healthy')
  expect(new Set(await it.ask(4))).toEqual(new Set([a.origin, b.origin]))
})

test('the first check counts at once; an upstream that does not answer in time is unhealthy', async () => {
  const [a, b] = [await checked(), await checked()]
  a.status = 0
  const it = await world([a.origin, b.origin], { checks: [{ ...CHECK, timeout: 300, unhealthyThreshold: 100 }] })
  await become(it, 'unhealthy', 'healthy')
  expect(it.states()[0]).toMatchObject({ detail: 'no answer in time' })
})

test('all upstreams unhealthy: all of them get requests, or with a threshold of 0 nobody and the answer is 503', async () => {
  const upstream = await checked()
  upstream.status = 503
  const panics = await world([upstream.origin], { checks: [CHECK] })
  await become(panics, 'unhealthy')
  expect(await panics.ask(2)).toEqual([upstream.origin, upstream.origin])
  const refuses = await world([upstream.origin], { checks: [CHECK], panicThreshold: 0 })
  await become(refuses, 'unhealthy')
  expect(await refuses.asked()).toMatchObject({
    code: 'ERR_UPSTREAM_UNHEALTHY',
    message: `no upstream is healthy: ${upstream.origin} (status 503)`,
  })
})

test('below the panic threshold unhealthy upstreams get requests, too', async () => {
  const all = [await checked(), await checked(), await checked()]
  for (const upstream of all.slice(1)) upstream.status = 500
  const [a = '', b = '', c = ''] = all.map(({ origin }) => origin)
  const it = await world([a, b, c], { checks: [CHECK] })
  await become(it, 'healthy', 'unhealthy', 'unhealthy')
  expect(new Set(await it.ask(6))).toEqual(new Set([a, b, c]))
  const calm = await world([a, b, c], { checks: [CHECK], panicThreshold: 30 })
  await become(calm, 'healthy', 'unhealthy', 'unhealthy')
  expect(new Set(await calm.ask(6))).toEqual(new Set([a]))
})

test('one checker for an upstream in several routes and generations, which keeps what it knows and ends with the last', async () => {
  const clock = manualClock()
  const shared = upstreams(clock)
  const upstream = await checked()
  upstream.status = 500
  const to = route(upstream.origin, { balancing: { ...BALANCING, checks: [CHECK] } })
  const config = generation(to)
  const two = {
    ...config,
    config: {
      ...config.config,
      routes: [
        to,
        {
          ...to,
          action: { ...to.action, balancing: { ...to.action.balancing, limits: { upstreamMaxConnections: 7 } } },
        },
      ],
    },
  }
  const first = shared.open(two)
  await expect.poll(async () => (await clock.advanceAsync(100), shared.states()[0]?.health)).toBe('unhealthy')
  const second = shared.open(config)
  first.end()
  expect(shared.states()).toMatchObject([{ health: 'unhealthy' }])
  const before = upstream.checks
  for (let passed = 0; passed < 5; passed++) await clock.advanceAsync(100)
  await expect.poll(() => upstream.checks).toBe(before + 1)
  second.end()
  expect(shared.states()).toEqual([])
  for (let passed = 0; passed < 20; passed++) await clock.advanceAsync(1000)
  expect(upstream.checks).toBe(before + 1)
})

test.each([
  ['a connection', { send: '', receive: [] }, 'healthy'],
  ['bytes in order', { send: 'PING', receive: ['PO', 'NG'] }, 'healthy'],
  ['other bytes', { send: 'PING', receive: ['NG', 'PO'] }, 'unhealthy'],
] as const)('tcp: %s', async (_, { send, receive }, expected) => {
  const upstream = await rawUpstream(({ socket }) => socket.on('data', () => socket.end('+PONG\r\n')))
  const probe = { kind: 'tcp', send: Buffer.from(send), receive: receive.map((text) => Buffer.from(text)) } as const
  const it = await world([upstream.origin], { checks: [{ ...CHECK, probe }] })
  await it.clock.advanceAsync(0)
  await upstream.connections.next()
  await become(it, expected)
})

test('tcp: a port that refuses is unhealthy and says so', async () => {
  const it = await world(['http://127.0.0.1:1'], {
    checks: [{ ...CHECK, probe: { kind: 'tcp', send: Buffer.alloc(0), receive: [] } }],
  })
  await become(it, 'unhealthy')
  expect(it.states()[0]?.detail).toContain('ECONNREFUSED')
})

test.each([
  ['h2c', 1, 'healthy'],
  ['h2c', 2, 'unhealthy'],
  ['https', 1, 'healthy'],
  ['https', 2, 'unhealthy'],
] as const)('grpc over %s: status %i of the health service is %s', async (scheme, status, expected) => {
  const server = scheme === 'h2c' ? createHttp2Server() : createSecureServer({ key: KEY, cert: CERTIFICATE })
  const sockets = new Set<Socket>()
  const asked: string[] = []
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.on('stream', (stream, headers) => {
    asked.push(String(headers[':path']))
    stream.on('data', (piece: Buffer) => asked.push(piece.subarray(7).toString()))
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, status]))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const origin = `${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`
  const checks = [{ ...CHECK, probe: { kind: 'grpc', service: 'my.Service' } }] as const
  const it = await world([origin], { checks }, { skipVerify: false, ca: CERTIFICATE })
  await expect.poll(async () => (await it.clock.advanceAsync(10), asked)).toContain('my.Service')
  await become(it, expected)
  expect(asked).toContain('/grpc.health.v1.Health/Check')
})

test('a check of an https upstream speaks what requests speak, and trusts whom they trust', async () => {
  const server = createSecureServer({ key: KEY, cert: CERTIFICATE })
  const asked: string[] = []
  server.on('stream', (stream, headers) => {
    asked.push(`${String(headers[':method'])} ${String(headers[':path'])}`)
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => server.close())
  const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
  const trusting = await world([origin], { checks: [CHECK] }, { skipVerify: false, ca: CERTIFICATE })
  await expect.poll(async () => (await trusting.clock.advanceAsync(10), asked)).toContain('GET /healthz')
  await become(trusting, 'healthy')
  const other = await world([origin], { checks: [CHECK] })
  await become(other, 'unhealthy')
  expect(other.states()[0]?.detail).toContain('self-signed')
})

test('an endless answer to a check is not read to its end', async () => {
  const upstream = await rawUpstream(({ socket }) => {
    const more = (): void => void (socket.destroyed || !socket.write('x'.repeat(16_384)) || setImmediate(more))
    socket.on('drain', more)
    socket.once('data', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      more()
    })
  })
  const it = await world([upstream.origin], { checks: [CHECK] })
  await it.clock.advanceAsync(0)
  await (await upstream.connections.next()).closed
  expect(it.states()).toMatchObject([{ health: 'healthy' }])
})

const OUTLIER: OutlierDetection = {
  consecutive5xx: 3,
  consecutiveGatewayFailure: 0,
  baseEjectionTime: 30_000,
  maxEjectionTime: 100_000,
  maxEjectionPercent: 10,
}

/** Answers with a status that can change. */
async function answers(): Promise<RawUpstream & { status: number }> {
  const upstream = Object.assign(
    await rawUpstream(({ socket }) => {
      socket.on('data', () => socket.write(`HTTP/1.1 ${upstream.status} X\r\ncontent-length: 0\r\n\r\n`))
    }),
    { status: 200 },
  )
  return upstream
}

test('errors in a row eject an upstream, for longer each time; an answer in between starts the count anew', async () => {
  const [a, b] = [await answers(), await answers()]
  const it = await world([a.origin, b.origin], { outlier: OUTLIER })
  a.status = 500
  await it.ask(4)
  a.status = 404
  await it.ask(2)
  a.status = 500
  await it.ask(4)
  expect(it.states()[0]?.health).toBe('healthy')
  await it.ask(2)
  expect(it.states()[0]?.health).toBe('ejected')
  expect(await it.ask(3)).toEqual(Array(3).fill(b.origin))
  it.clock.advance(30_000)
  expect(new Set(await it.ask(6))).toEqual(new Set([a.origin, b.origin]))
  it.clock.advance(30_000)
  expect(it.states()[0]?.health).toBe('ejected')
  it.clock.advance(30_000)
  expect(it.states()[0]?.health).toBe('healthy')
})

test('the last upstream is never ejected', async () => {
  const [a, b] = [await answers(), await answers()]
  a.status = b.status = 503
  const it = await world([a.origin, b.origin], { outlier: { ...OUTLIER, maxEjectionPercent: 100 } })
  await it.ask(20)
  expect(it.states().filter(({ health }) => health === 'ejected')).toHaveLength(1)
})

test('gateway failures have a count of their own', async () => {
  const [a, b] = [await answers(), await answers()]
  const outlier = { ...OUTLIER, consecutive5xx: 0, consecutiveGatewayFailure: 2 }
  const it = await world([a.origin, b.origin], { outlier })
  a.status = 500
  await it.ask(10)
  expect(it.states()[0]?.health).toBe('healthy')
  a.status = 502
  await it.ask(4)
  expect(it.states()[0]?.health).toBe('ejected')
})

test('an ejection outlives a reload that leaves the upstream as it is', async () => {
  const clock = manualClock()
  const shared = upstreams(clock)
  const [a, b] = [await answers(), await answers()]
  a.status = 500
  const to = (): ReturnType<typeof route> =>
    route([a.origin, b.origin], { balancing: { ...BALANCING, outlier: OUTLIER } })
  const first = to()
  const made = shared.open(generation(first))
  const { port, ended } = await front(first, made, { clock })
  const wire = await client(port)
  for (let i = 0; i < 6; i++) {
    wire.send(GET)
    await ended.next()
  }
  const second = to()
  const next = shared.open(generation(second))
  made.end()
  const after = await front(second, next, { clock })
  const other = await client(after.port)
  for (let i = 0; i < 4; i++) {
    other.send(GET)
    expect(await after.ended.next()).toMatchObject({ upstream: b.origin })
  }
})

test('limits of a route are its own: another route of the same upstream keeps the global ones', async () => {
  const upstream = await rawUpstream()
  const clock = manualClock()
  const made = upstreams(clock).open(forwarderConfig())
  const limits = { upstreamMaxConnections: 1, upstreamMaxPending: 0 }
  const narrow = await front(route(upstream.origin, { balancing: { ...BALANCING, limits } }), made, { clock })
  const wide = await front(route(upstream.origin), made, { clock })
  for (const { port } of [narrow, wide, wide]) {
    const wire = await client(port)
    wire.send(GET)
    await upstream.connections.next()
  }
  const refused = await client(narrow.port)
  refused.send(GET)
  expect(await narrow.ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_BUSY' })
})

test('max_retries: no more retries at the same time', async () => {
  const upstream = await rawUpstream(({ socket }) => socket.on('data', () => socket.destroy()))
  const it = await world([upstream.origin], {
    retries: { attempts: 5, on: ['reset'] },
    maxRetries: 0,
  })
  expect(await it.asked()).toMatchObject({ code: 'ERR_UPSTREAM_RESET' })
  expect(upstream.connections.all).toHaveLength(1)
})
