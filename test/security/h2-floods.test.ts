/**
 * Clients of HTTP/2 that make a server work for nothing (E06, E07). Each is told to calm down, the memory that it takes is
 * bounded, and whoever else is there is served meanwhile. CVE-2023-44487 (rapid reset), CVE-2025-8671 (MadeYouReset),
 * CVE-2024-27316, CVE-2024-27983 (CONTINUATION), CVE-2019-9512 (PING), -9515 (SETTINGS), -9518 (empty frames), -9511, -9517
 * (small windows), CVE-2026-21714 (WINDOW_UPDATE), CVE-2016-6581 (HPACK bomb).
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { silentLogger } from '../../src/lib/log.ts'
import { sendReply } from '../support/send-reply.ts'
import type { Exchange } from '../../src/http/exchange.ts'
import { type Listener, listen } from '../../src/server/listen.ts'
import { manualClock } from '../support/clock.ts'
import {
  ACK,
  block,
  CANCEL,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  type Fields,
  FLOW_CONTROL_ERROR,
  frame,
  get,
  h2Wire,
  type H2Wire,
  HEADERS,
  headers,
  PADDED,
  PING,
  PRIORITY,
  REFUSED_STREAM,
  RST_STREAM,
  SETTINGS,
  uint32,
  WINDOW_UPDATE,
} from '../support/h2-wire.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const clock = manualClock()
let listener: Listener
let running = 0
let begun = 0
/** Path → what is done instead of an answer. */
let hold: ((exchange: Exchange) => void) | undefined
const details: string[] = []

beforeAll(async () => {
  listener = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    codecType: 'http2',
    timeouts: {
      timeoutRead: 10_000,
      timeoutIdle: 60_000,
      clientBodyTimeout: 60_000,
      clientBodyMinRate: 0,
      clientWriteTimeout: 30_000,
      tunnelIdleTimeout: 0,
    },
    clock,
    logger: silentLogger,
    refused: ({ detail }) => void details.push(detail),
    async handle(exchange) {
      begun++
      running++
      const closed = new Promise<void>((resolve) => exchange.onClosed(resolve))
      if (exchange.head.target !== '/unread') exchange.body?.resume()
      if (exchange.head.target === '/public') await sendReply(exchange, { status: 200, headers: [], body: 'ok' })
      else hold?.(exchange)
      await closed
      running--
    },
  })
})
afterAll(async () => {
  const stopped = listener.stop()
  listener.destroy()
  await stopped
})

/** Nobody else has noticed. */
async function expectUnharmed(): Promise<void> {
  const other = await h2Wire(listener.address.port)
  other.send(headers(1, get()))
  expect(await other.answer(1)).toMatchObject({ status: 200, body: 'ok', complete: true })
  other.socket.destroy()
  await expect.poll(() => running).toBe(0)
}

async function flooding(prepare: (wire: H2Wire) => void = () => {}): Promise<H2Wire> {
  const wire = await h2Wire(listener.address.port)
  prepare(wire)
  return wire
}

/** The flood is cut, whatever part of it had been read by then. */
async function expectCalm(wire: H2Wire, flood: Buffer): Promise<void> {
  wire.send(flood)
  expect(await wire.goaway).toBe(ENHANCE_YOUR_CALM)
  wire.socket.destroy()
  await expectUnharmed()
}

const many = (count: number, make: (i: number) => Buffer): Buffer =>
  Buffer.concat(Array.from({ length: count }, (_, i) => make(i)))
const open = (id: number): Buffer => headers(id, get('/hold'), END_HEADERS)
const rst = (id: number): Buffer => frame(RST_STREAM, 0, id, uint32(CANCEL))

test('rapid reset: a hundred thousand requests that are cancelled at once', async () => {
  begun = 0
  const flood = many(100_000, (i) => Buffer.concat([headers(2 * i + 1, get('/hold')), rst(2 * i + 1)]))
  await expectCalm(await flooding(), flood)
  expect(begun).toBeLessThan(210)
})

test.each<[name: string, provoke: (id: number) => Buffer]>([
  ['an empty WINDOW_UPDATE', (id) => frame(WINDOW_UPDATE, 0, id, uint32(0))],
  ['a window beyond its limit', (id) => frame(WINDOW_UPDATE, 0, id, uint32(2 ** 31 - 1))],
  ['DATA behind the end', (id) => frame(DATA, 0, id, 'x')],
  ['HEADERS behind the end', (id) => headers(id, [['x', 'y']])],
  ['a PRIORITY of another length', (id) => frame(PRIORITY, 0, id, '123')],
  ['a stream that depends on itself', (id) => frame(PRIORITY, 0, id, Buffer.concat([uint32(id), Buffer.from([0])]))],
])('MadeYouReset: requests that the server has to reset, by %s', async (_, provoke) => {
  begun = 0
  const flood = many(1000, (i) => Buffer.concat([headers(2 * i + 1, get('/hold')), provoke(2 * i + 1)]))
  await expectCalm(await flooding(), flood)
  expect(begun).toBeLessThan(210)
})

test.each<[name: string, ask: (id: number, fields: Fields) => Buffer]>([
  ['at once', (id, fields) => headers(id, fields)],
  ['a frame later', (id, fields) => Buffer.concat([headers(id, fields, END_HEADERS), frame(DATA, END_STREAM, id)])],
])('MadeYouReset: tunnels that the client ends %s', async (_, ask) => {
  begun = 0
  const fields: Fields = [[':method', 'CONNECT'], [':protocol', 'websocket'], ...get('/hold').slice(1)]
  await expectCalm(
    await flooding(),
    many(1000, (i) => ask(2 * i + 1, fields)),
  )
  expect(begun).toBeLessThan(210)
})

test('malformed requests without end are no way around it', async () => {
  begun = 0
  const flood = many(1000, (i) => headers(2 * i + 1, [...get(), ['Upper', 'x']]))
  await expectCalm(await flooding(), flood)
  // The control request.
  expect(begun).toBe(1)
})

test('more streams than allowed are refused, and never begin; who goes on is cut', async () => {
  begun = 0
  const wire = await flooding()
  wire.send(many(110, (i) => open(2 * i + 1)))
  expect((await wire.answer(219)).reset).toBe(REFUSED_STREAM)
  expect(begun).toBe(100)
  await expectCalm(
    wire,
    many(1000, (i) => open(2 * i + 221)),
  )
  expect(begun - 1).toBe(100)
})

test.each<[name: string, one: Buffer]>([
  ['SETTINGS', frame(SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255]))],
  ['acknowledgements of SETTINGS', frame(SETTINGS, ACK, 0)],
  ['PING', frame(PING, 0, 0, '12345678')],
  ['answers to no PING', frame(PING, ACK, 0, '12345678')],
  ['PRIORITY', frame(PRIORITY, 0, 1, '\0\0\0\0\x10')],
  ['WINDOW_UPDATE of the connection', frame(WINDOW_UPDATE, 0, 0, uint32(1))],
  ['WINDOW_UPDATE of a stream', frame(WINDOW_UPDATE, 0, 1, uint32(1))],
  ['empty DATA', frame(DATA, 0, 1)],
  ['DATA of padding alone', frame(DATA, PADDED, 1, '\x03\0\0\0')],
  ['frames of unknown types', frame(0xbe, 0, 1, 'x'.repeat(100))],
])('a flood of %s is cut', async (_, one) => {
  const wire = await flooding((one_) => one_.send(open(1)))
  await expectCalm(
    wire,
    many(20_000, () => one),
  )
})

describe('on a stream that we have reset', () => {
  const STREAM_WINDOW = 128 * 1024
  /** Answered before its body has come, and so reset. */
  async function reset(): Promise<H2Wire> {
    const wire = await flooding()
    wire.send(headers(1, get('/public'), END_HEADERS))
    await wire.frame(({ type, stream }) => type === RST_STREAM && stream === 1)
    return wire
  }

  test('as much DATA may come as its window allowed, and not one octet more', async () => {
    const wire = await reset()
    wire.send(
      many(STREAM_WINDOW / 8192, () => frame(DATA, 0, 1, Buffer.alloc(8192))),
      headers(3, get('/public')),
    )
    expect((await wire.answer(3)).status).toBe(200)
    wire.send(frame(DATA, 0, 1, 'x'))
    expect(await wire.goaway).toBe(FLOW_CONTROL_ERROR)
    wire.socket.destroy()
    await expectUnharmed()
  })

  test.each<[name: string, one: Buffer]>([
    ['empty ends', frame(DATA, END_STREAM, 1)],
    ['trailers', headers(1, [['x', 'y']])],
    ['pings that DATA should pay for', Buffer.concat([frame(DATA, 0, 1, 'x'), frame(PING, 0, 0, '12345678')])],
  ])('a flood of %s is cut', async (_, one) => {
    await expectCalm(
      await reset(),
      many(5000, () => one),
    )
  })
})

test('a client that works may ping as much as gRPC does', async () => {
  const STREAMS = 20
  const ROUNDS = 30
  const wire = await flooding()
  const exchanges: Exchange[] = []
  hold = (exchange) => exchanges.push(exchange)
  wire.send(many(STREAMS, (i) => open(2 * i + 1)))
  await expect.poll(() => exchanges.length).toBe(STREAMS)
  const bodies = exchanges.map((exchange) => exchange.respond({ status: 200, headers: '' }))
  for (let round = 1; round <= ROUNDS; round++) {
    for (const body of bodies) body.write('x')
    await wire.frame(() => wire.frames.filter(({ type }) => type === DATA).length === round * STREAMS)
    wire.send(
      many(STREAMS, (i) =>
        Buffer.concat([frame(PING, 0, 0, '12345678'), frame(WINDOW_UPDATE, 0, 2 * i + 1, uint32(1))]),
      ),
    )
  }
  for (const body of bodies) body.end()
  for (let i = 0; i < STREAMS; i++) expect((await wire.answer(2 * i + 1)).complete).toBe(true)
  wire.socket.destroy()
})

test.each<[name: string, part: Buffer]>([
  ['empty ones', Buffer.alloc(0)],
  ['full ones', block([['x-a', 'y'.repeat(16_000)]])],
])('CONTINUATION without end: %s', async (_, part) => {
  begun = 0
  const wire = await flooding()
  wire.send(frame(HEADERS, END_STREAM, 1, block(get('/hold'))))
  await expectCalm(
    wire,
    many(5000, () => frame(CONTINUATION, 0, 1, part)),
  )
  expect(begun - 1).toBe(0)
})

test('a field block that does not end is not waited for', async () => {
  const wire = await flooding()
  wire.send(frame(HEADERS, END_STREAM, 1, block(get('/hold'))), frame(PING, 0, 0, '12345678').subarray(0, 0))
  await expect.poll(() => (clock.advance(5000), details.at(-1))).toMatch('timeout_read')
  await wire.closed
})

test('HPACK bomb: a small block that says much is 431, costs no memory, and the connection goes on', async () => {
  const wire = await flooding()
  const large = 'z'.repeat(4000)
  const keep = Buffer.concat([Buffer.from([0x40, 1, 0x78, 127, 0xa1, 0x1e]), Buffer.from(large)])
  const bomb = Buffer.concat([block(get('/hold')), keep, Buffer.alloc(16_000 - 4200, 0xbe)])
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < 50; i++) wire.send(frame(HEADERS, END_HEADERS | END_STREAM, 2 * i + 1, bomb))
  for (let i = 0; i < 50; i++) expect((await wire.answer(2 * i + 1)).status).toBe(431)
  // Decoded it would be 2 GB.
  expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 << 20)
  wire.send(headers(101, get()))
  expect((await wire.answer(101)).status).toBe(200)
  wire.socket.destroy()
})

test('trailers that say much are an error of their stream alone', async () => {
  const wire = await flooding()
  const keep = Buffer.concat([Buffer.from([0x40, 1, 0x78, 127, 0xa1, 0x1e]), Buffer.from('z'.repeat(4000))])
  wire.send(open(1), frame(HEADERS, END_HEADERS | END_STREAM, 1, Buffer.concat([keep, Buffer.alloc(12_000, 0xbe)])))
  expect((await wire.answer(1)).reset).toBe(1)
  wire.send(headers(3, get()))
  expect((await wire.answer(3)).status).toBe(200)
  wire.socket.destroy()
})

test('windows of one octet: the answer comes as slowly as the client reads, and no stream waits for another', async () => {
  const wire = await h2Wire(listener.address.port, { settings: Buffer.from([0, 4, 0, 0, 0, 1]) })
  wire.send(headers(1, get()), headers(3, get()))
  await wire.frame(({ type, stream, payload }) => type === DATA && stream === 1 && payload.toString() === 'o')
  wire.send(frame(WINDOW_UPDATE, 0, 3, uint32(1)))
  expect((await wire.answer(3)).body).toBe('ok')
  // Nothing more for stream 1: it is ended when it has read nothing for client_write_timeout.
  await expect
    .poll(() => (clock.advance(5000), wire.frames.some(({ type, stream }) => type === RST_STREAM && stream === 1)))
    .toBe(true)
  wire.socket.destroy()
})

test('a client that reads nothing at all is cut off', async () => {
  const wire = await flooding()
  let out: Exchange | undefined
  hold = (exchange) => (out = exchange)
  wire.send(frame(WINDOW_UPDATE, 0, 0, uint32(1 << 30)), open(1), frame(WINDOW_UPDATE, 0, 1, uint32(1 << 30)))
  await expect.poll(() => out).toBeDefined()
  wire.socket.pause()
  const body = out?.respond({ status: 200, headers: '' })
  const write = (): void => {
    while (body?.write(Buffer.alloc(1 << 20)) === true);
    if (out?.closed === false) body?.once('drain', write)
  }
  write()
  await expect.poll(() => (clock.advance(5000), out?.aborted)).toBe('client-stalled')
  wire.socket.destroy()
})

test.each<[of: string, fields: Fields]>([
  ['a body', get('/unread')],
  ['a tunnel', [[':method', 'CONNECT'], [':protocol', 'websocket'], ...get('/unread').slice(1)]],
])(
  'octets of %s that come one by one, before anybody reads them, cost little more than themselves',
  async (_, fields) => {
    const wire = await flooding()
    const exchanges: Exchange[] = []
    hold = (exchange) => void exchanges.push(exchange)
    const streams = 8
    const octets = 128 << 10
    const before = memory()
    for (let id = 1; id < 2 * streams; id += 2) {
      wire.send(headers(id, fields, END_HEADERS), Buffer.alloc(10 * octets, frame(DATA, 0, id, 'x')))
    }
    wire.send(frame(PING, 0, 0, 'all read'))
    await wire.frame(({ type, flags }) => type === PING && flags === ACK)
    // As objects they were 15 MB for each stream.
    expect(memory() - before).toBeLessThan(30 << 20)
    expect(exchanges).toHaveLength(streams)
    for (const exchange of exchanges) {
      let read = 0
      const body = exchange.body ?? exchange.upgrade('')
      body.on('data', (piece: Buffer) => (read += piece.length))
      await expect.poll(() => read).toBe(octets)
    }
    wire.socket.destroy()
  },
)

/** Octets that are held. */
function memory(): number {
  collectGarbage()
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}

test('heads that nobody reads are not made without end', async () => {
  const wire = await flooding()
  const count = 5000
  const from = begun
  hold = (exchange) => void exchange.respond({ status: 302, headers: `x-large: ${'x'.repeat(8000)}\r\n` }).end()
  wire.socket.pause()
  wire.send(many(count, (i) => headers(2 * i + 1, get('/hold'))))
  const other = await h2Wire(listener.address.port)
  let id = -1
  // As many turns as it takes until nothing more is begun.
  for (let still = 0, before = 0; still < 50; before = begun) {
    other.send(headers((id += 2), get()))
    expect((await other.answer(id)).status).toBe(200)
    still = begun - before === 1 ? still + 1 : 0
  }
  expect(begun - from - (id + 1) / 2).toBeLessThan(count / 2)
  // Nothing is lost for a client that reads late.
  wire.socket.resume()
  expect((await wire.answer(2 * count - 1)).status).toBe(302)
  expect(begun - from - (id + 1) / 2).toBe(count)
  wire.socket.destroy()
  other.socket.destroy()
})

test('connections on which nothing is asked end', async () => {
  const wire = await flooding()
  await wire.frame(({ type, flags }) => type === SETTINGS && flags === ACK)
  await expect.poll(() => (clock.advance(5000), wire.socket.closed)).toBe(true)
  const used = await flooding()
  used.send(headers(1, get()))
  await used.answer(1)
  await expect.poll(() => (clock.advance(5000), used.socket.closed)).toBe(true)
})
