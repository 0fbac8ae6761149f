/** The codec of HTTP/1.1 by itself, on real sockets: what its contract and the attacks of test/security do not say. */
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { Exchange, ResponseHead } from '../../../src/http/exchange.ts'
import { createDeadlines } from '../../../src/lib/deadlines.ts'
import type { Codec } from '../../../src/server/codec.ts'
import { createH1 } from '../../../src/server/h1.ts'
import { type ManualClock, manualClock } from '../../support/clock.ts'
import { parseAnswers } from '../../support/wire.ts'

const cleanups: (() => void)[] = []
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean()
})

interface Served {
  readonly codec: Codec
  readonly clock: ManualClock
  readonly port: number
  readonly exchanges: Exchange[]
  /** What was handed to the system, write by write. */
  readonly writes: string[]
}

async function serving(handle: (exchange: Exchange) => void = () => {}): Promise<Served> {
  const clock = manualClock()
  const exchanges: Exchange[] = []
  const writes: string[] = []
  const codec = createH1({
    timeouts: {
      timeoutRead: 5000,
      timeoutIdle: 60_000,
      clientBodyTimeout: 30_000,
      clientBodyMinRate: 100,
      clientWriteTimeout: 60_000,
      tunnelIdleTimeout: 60_000,
    },
    deadlines: createDeadlines(clock),
    clock,
    run(exchange) {
      exchanges.push(exchange)
      handle(exchange)
    },
    refused: () => undefined,
  })
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    cleanups.push(() => socket.destroy())
    const write = socket.write.bind(socket) as (...args: readonly unknown[]) => boolean
    socket.write = (...args: readonly unknown[]) => {
      writes.push(String(args[0]))
      return write(...args)
    }
    codec.accept({
      socket,
      peer: '127.0.0.1',
      encrypted: false,
      protocol: 'http/1.1',
      facts: undefined,
      reset: () => void socket.resetAndDestroy(),
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  cleanups.push(() => server.close())
  return { codec, clock, port: (server.address() as AddressInfo).port, exchanges, writes }
}

interface Client {
  readonly socket: Socket
  readonly text: () => string
  readonly closed: Promise<string>
}

function client({ port }: Served, bytes: string): Client {
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'))
  cleanups.push(() => socket.destroy())
  let text = ''
  socket.on('data', (piece) => (text += piece.toString('latin1')))
  socket.on('error', () => {})
  return { socket, text: () => text, closed: new Promise((resolve) => socket.once('close', () => resolve(text))) }
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const turns = async (): Promise<void> => {
  for (let i = 0; i < 30; i++) await new Promise((resolve) => setImmediate(resolve))
}

describe('an answer', () => {
  test.each<[what: string, head: Partial<ResponseHead>, body: string, expected: string]>([
    ['with a length', { length: 2 }, 'ok', 'content-length: 2\r\ndate: X\r\n\r\nok'],
    ['whose length shows', {}, 'ok', 'content-length: 2\r\ndate: X\r\n\r\nok'],
    ['that is empty', {}, '', 'content-length: 0\r\ndate: X\r\n\r\n'],
    [
      'with lines',
      { headers: 'A: b\r\nset-cookie: c\r\n' },
      '',
      'A: b\r\nset-cookie: c\r\ncontent-length: 0\r\ndate: X\r\n\r\n',
    ],
    ['with a date', { headers: 'date: then\r\n', dated: true }, '', 'date: then\r\ncontent-length: 0\r\n\r\n'],
    ['that is the last', { close: true }, '', 'content-length: 0\r\ndate: X\r\nconnection: close\r\n\r\n'],
  ])('%s is one write', async (_, head, body, expected) => {
    const served = await serving((exchange) => exchange.respond({ status: 200, headers: '', ...head }).end(body))
    const { text } = client(served, GET)
    await expect.poll(() => text().replace(/date: \w+,[^\r]*/, 'date: X')).toBe(`HTTP/1.1 200 OK\r\n${expected}`)
    expect(served.writes).toHaveLength(1)
  })

  test('whose length does not show is chunked, each piece one write, and has its trailers behind it', async () => {
    const served = await serving((exchange) => {
      const out = exchange.respond({ status: 200, headers: '', dated: true })
      out.flushHeaders()
      out.write('one')
      out.write('')
      out.write(Buffer.from('two'))
      out.addTrailers({ 'x-sum': '1' })
      out.end('three')
    })
    const { text } = client(served, GET)
    const pieces = [
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n',
      '3\r\none\r\n',
      '3\r\ntwo\r\n',
      '5\r\nthree\r\n0\r\nx-sum: 1\r\n\r\n',
    ]
    await expect.poll(text).toBe(pieces.join(''))
    expect(served.writes).toEqual(pieces)
  })

  test('of more than a little goes out byte for byte in each framing', async () => {
    const body = Buffer.alloc(300_000, 'abc\xff\0', 'latin1')
    const served = await serving((exchange) => {
      const length = exchange.head.target === '/length' ? { length: body.length } : {}
      const out = exchange.respond({ status: 200, headers: '', ...length })
      out.write(body.subarray(0, 200_000))
      out.end(body.subarray(200_000))
    })
    for (const target of ['/length', '/chunked']) {
      const { text } = client(served, GET.replace('/', target))
      await expect.poll(() => parseAnswers(text())[0]?.complete, { timeout: 10_000 }).toBe(true)
      expect(parseAnswers(text())[0]?.body === body.toString('latin1')).toBe(true)
    }
  })

  test('to HTTP/1.0 is in HTTP/1.0 and ends with the connection, whatever the client wishes', async () => {
    const served = await serving((exchange) => {
      const out = exchange.respond({ status: 200, headers: '', dated: true })
      out.write('one')
      out.end('two')
    })
    const { closed } = client(served, `GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${GET}`)
    await expect.poll(() => served.exchanges.length).toBe(1)
    expect(served.writes.join('')).toBe('HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nonetwo')
    served.clock.advance(10_000)
    expect(await closed).toBe('HTTP/1.0 200 OK\r\nconnection: close\r\n\r\nonetwo')
    expect(served.exchanges).toHaveLength(1)
  })

  test.each<[what: string, write: (out: ReturnType<Exchange['respond']>) => void]>([
    ['more', (out) => out.write('123456')],
    ['more, piece by piece', (out) => [out.write('123'), out.write('456')]],
    ['more at its end', (out) => out.end('123456')],
    ['fewer', (out) => [out.write('123'), out.end()]],
    ['none', (out) => out.end()],
  ])('of %s octets than its length ends the connection, and looks cut', async (_, write) => {
    const served = await serving((exchange) => write(exchange.respond({ status: 200, headers: '', length: 5 })))
    const text = await client(served, GET + GET).closed
    expect(served.exchanges.map(({ aborted, closed }) => [aborted, closed])).toEqual([['ERR_INTERNAL', true]])
    expect(parseAnswers(text).every(({ complete }) => !complete)).toBe(true)
  })

  test.each<[what: string, head: Partial<ResponseHead>]>([
    ['a status of 101', { status: 101 }],
    ['no status', { status: 99 }],
    ['a reason with a line break', { reason: 'OK\r\nX: y' }],
    ['half a line', { headers: 'x: y' }],
  ])('with %s is none', async (_, head) => {
    const thrown: unknown[] = []
    const served = await serving((exchange) => {
      try {
        exchange.respond({ status: 200, headers: '', ...head }).end()
      } catch (error) {
        thrown.push(error)
        // It has not left: another answer may go out instead.
        exchange.respond({ status: 500, headers: '', close: true }).end()
      }
    })
    const { socket, text } = client(served, GET)
    await new Promise((resolve) => socket.once('end', resolve))
    expect(text()).toMatch(/^HTTP\/1\.1 500 Internal Server Error\r\n/)
    expect(thrown).toEqual([expect.any(TypeError)])
  })

  test('says that the connection ends once the listener drains', async () => {
    const served = await serving((exchange) => exchange.respond({ status: 200, headers: '' }).end())
    const { socket, text, closed } = client(served, GET)
    await expect.poll(text).toContain('\r\n\r\n')
    expect(text()).not.toContain('connection')
    served.codec.drain()
    socket.write(GET)
    await expect.poll(text).toContain('connection: close')
    socket.end()
    await closed
  })
})

describe('behind an answer', () => {
  test('to a request whose body nobody wanted its rest is dropped, and the next request is served', async () => {
    const served = await serving((exchange) => exchange.respond({ status: 403, headers: '' }).end())
    const { socket, text } = client(served, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nGET')
    await expect.poll(text).toContain('403')
    socket.write(`${' / HTTP/1.1'.padEnd(100_000 - 3)}${GET}`)
    await expect.poll(() => served.exchanges.map(({ head }) => head.method)).toEqual(['POST', 'GET'])
  })

  test('its rest may take ten seconds', async () => {
    const served = await serving((exchange) => exchange.respond({ status: 403, headers: '' }).end())
    const { socket, text, closed } = client(served, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc')
    await expect.poll(text).toContain('403')
    await turns()
    served.clock.advance(9999)
    await turns()
    expect(socket.closed).toBe(false)
    served.clock.advance(1)
    await closed
  })

  test('its body is an error for whoever reads it only now', async () => {
    const read: Promise<unknown>[] = []
    const served = await serving((exchange) => {
      exchange.onClosed(() => {
        read.push(exchange.body?.toArray() ?? Promise.resolve())
        read[0]?.catch(() => {})
      })
      exchange.respond({ status: 403, headers: '' }).end()
    })
    client(served, 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab')
    await expect.poll(() => read.length).toBe(1)
    await expect(read[0]).rejects.toMatchObject({ code: 'ERR_CLIENT_CLOSED' })
  })

  test('that came without "100 Continue" nothing is read: the client may send its body or not', async () => {
    const served = await serving((exchange) => exchange.respond({ status: 401, headers: '' }).end())
    const expects = 'POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n'
    const { socket, text, closed } = client(served, expects)
    await expect.poll(text).toMatch(/^HTTP\/1\.1 401 [^]*connection: close\r\n\r\n$/)
    socket.write(GET)
    socket.end()
    await closed
    expect(served.exchanges).toHaveLength(1)
  })

  test('a malformed chunk that nobody wanted ends the connection, and takes nothing of the answer away', async () => {
    const served = await serving((exchange) => exchange.respond({ status: 403, headers: '' }).end('no'))
    const chunked = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
    const { socket, text } = client(served, `${chunked}x\r\n${GET}`)
    const ended = new Promise((resolve) => socket.once('end', resolve))
    await ended
    expect(parseAnswers(text())).toMatchObject([{ status: 403, body: 'no', complete: true }])
    expect(served.exchanges).toHaveLength(1)
  })
})

test('a client that ends its side gets nothing more, and what it sent ahead is not served', async () => {
  const served = await serving((exchange) => {
    if (exchange.head.target !== '/slow') exchange.respond({ status: 200, headers: '' }).end()
  })
  const ahead = client(served, GET.repeat(500))
  ahead.socket.end()
  await ahead.closed
  // Each is served in a turn of its own, and the end comes before the last of them.
  expect(served.exchanges.length).toBeLessThan(500)
  const before = served.exchanges.length
  const waits = client(served, GET.replace('/', '/slow'))
  await expect.poll(() => served.exchanges.length).toBe(before + 1)
  waits.socket.end()
  expect(await waits.closed).toBe('')
  expect(served.exchanges.at(-1)?.closed).toBe(true)
})

test('a head that comes octet by octet is read once it is whole, and no more than 32 KiB of one are kept', async () => {
  const served = await serving((exchange) => exchange.respond({ status: 200, headers: '' }).end())
  const { socket, text } = client(served, '')
  socket.setNoDelay(true)
  for (const octet of GET) {
    socket.write(octet)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await expect.poll(text).toContain('200 OK')
  for (const end of ['', '\r\n\r\n']) {
    const long = client(served, `GET / HTTP/1.1\r\nHost: a\r\nX: ${'x'.repeat(33_000)}${end}`)
    await expect.poll(long.text).toMatch(/^HTTP\/1\.1 431 /)
  }
  expect(served.exchanges).toHaveLength(1)
})

test('a client that sends on while it waits is read no further than 64 KiB and a piece', async () => {
  const served = await serving()
  const { socket } = client(served, GET)
  await expect.poll(() => served.exchanges.length).toBe(1)
  socket.write(Buffer.alloc(32 * 1024 * 1024, GET))
  await turns()
  // What it has not written is still here.
  expect(socket.writableLength).toBeGreaterThan(16 * 1024 * 1024)
  served.exchanges[0]?.respond({ status: 200, headers: '' }).end()
  await expect.poll(() => served.exchanges.length).toBe(2)
})
