/** A client that does not send, does not read or says nothing more does not hold a connection for ever. */
import { connect, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { Exchange } from '../../src/http/exchange.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { type Listener, listen } from '../../src/server/listen.ts'
import { manualClock } from '../support/clock.ts'

const clock = manualClock()
const cleanups: (() => void)[] = []
afterEach(() => {
  for (const clean of cleanups.splice(0)) clean()
})

async function serving(handle: (exchange: Exchange) => void): Promise<Listener> {
  const listener = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    timeouts: {
      timeoutRead: 5000,
      timeoutIdle: 600_000,
      clientBodyTimeout: 30_000,
      clientBodyMinRate: 100,
      clientWriteTimeout: 60_000,
      tunnelIdleTimeout: 100_000,
    },
    clock,
    logger: silentLogger,
    refused: () => undefined,
    handle: (exchange) => {
      handle(exchange)
      return new Promise((resolve) => exchange.onClosed(resolve))
    },
  })
  cleanups.push(() => listener.destroy())
  return listener
}

async function client({ address }: Listener, bytes: string): Promise<Socket> {
  const socket = connect(address.port, '127.0.0.1')
  socket.on('error', () => {})
  cleanups.push(() => socket.destroy())
  await new Promise((resolve) => socket.once('connect', resolve))
  if (bytes !== '') await new Promise((resolve) => socket.write(bytes, resolve))
  return socket
}

const textOf = (socket: Socket): Promise<string> =>
  new Promise((resolve) => {
    let text = ''
    socket.on('data', (piece) => (text += piece.toString('latin1')))
    socket.once('close', () => resolve(text))
  })
const turns = async (): Promise<void> => {
  for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve))
}

test('a head that does not end is 408 after timeout_read, to the millisecond, however it drips', async () => {
  const listener = await serving(() => {})
  const socket = await client(listener, 'GET / HTTP/1.1\r\n')
  let ended = false
  const text = textOf(socket).then((all) => ((ended = true), all))
  await turns()
  clock.advance(3000)
  socket.write('X: y\r\n')
  await turns()
  clock.advance(1999)
  await turns()
  expect(ended).toBe(false)
  clock.advance(1)
  expect(await text).toMatch(/^HTTP\/1\.1 408 [^]*connection: close/)
})

test('a connection on which nothing is asked ends after timeout_read', async () => {
  const listener = await serving(() => {})
  const text = textOf(await client(listener, ''))
  await turns()
  clock.advance(5000)
  expect(await text).toMatch(/^HTTP\/1\.1 408 /)
})

test('a connection ends when nothing was asked on it for timeout_idle after an answer, and not before', async () => {
  const listener = await serving((exchange) => exchange.respond({ status: 200, headers: '' }).end('ok'))
  const socket = await client(listener, '')
  let got = ''
  socket.on('data', (piece) => (got += piece.toString('latin1')))
  for (let asked = 1; asked <= 3; asked++) {
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await expect.poll(() => got.split('200 OK').length - 1).toBe(asked)
    // A sweep takes note of the answer; less than timeout_idle follows.
    await turns()
    clock.advance(590_000)
    await turns()
    expect(socket.closed).toBe(false)
  }
  clock.advance(20_000)
  await expect.poll(() => socket.closed).toBe(true)
})

test('a client that reads nothing of its answer is cut after client_write_timeout; what it sends changes nothing', async () => {
  const exchanges: Exchange[] = []
  const listener = await serving((exchange) => {
    exchanges.push(exchange)
    const out = exchange.respond({ status: 200, headers: '' })
    const piece = Buffer.alloc(1024 * 1024)
    for (let i = 0; i < 64; i++) out.write(piece)
  })
  const socket = await client(listener, 'GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  socket.pause()
  await expect.poll(() => exchanges.length).toBe(1)
  await turns()
  for (let passed = 0; passed < 45_000; passed += 15_000) {
    clock.advance(15_000)
    socket.write('GET /')
    await turns()
  }
  expect(exchanges[0]?.aborted).toBeUndefined()
  clock.advance(60_000)
  expect(exchanges[0]?.aborted).toBe('client-stalled')
})

test('a slow client that goes on reading is not cut', async () => {
  const exchanges: Exchange[] = []
  const listener = await serving((exchange) => {
    exchanges.push(exchange)
    const out = exchange.respond({ status: 200, headers: '' })
    const piece = Buffer.alloc(256 * 1024)
    let left = 40
    const more = (): void => {
      while (left-- > 0) if (!out.write(piece)) return void out.once('drain', more)
      out.end()
    }
    more()
  })
  const socket = await client(listener, 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  let got = 0
  socket.on('data', (piece) => {
    got += piece.length
    socket.pause()
    setImmediate(() => {
      clock.advance(1000)
      socket.resume()
    })
  })
  await new Promise((resolve) => socket.once('close', resolve))
  expect(got).toBeGreaterThan(40 * 256 * 1024)
  expect(exchanges[0]?.aborted).toBeUndefined()
})

test('a tunnel is closed when neither side has sent anything for tunnel_idle_timeout, and not before', async () => {
  const exchanges: Exchange[] = []
  const listener = await serving((exchange) => {
    exchanges.push(exchange)
    const stream = exchange.upgrade('connection: Upgrade\r\nupgrade: websocket\r\n')
    stream.on('error', () => {})
    stream.on('data', (piece) => stream.write(piece))
  })
  const socket = await client(
    listener,
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n',
  )
  let got = ''
  socket.on('data', (piece) => (got += piece.toString('latin1')))
  await expect.poll(() => got).toContain('101')
  for (let i = 1; i <= 5; i++) {
    clock.advance(60_000)
    socket.write(`still here ${i}`)
    await expect.poll(() => got).toContain(`still here ${i}`)
  }
  expect(exchanges[0]?.aborted).toBeUndefined()
  clock.advance(130_000)
  expect(exchanges[0]?.aborted).toBe('idle')
  await new Promise((resolve) => (socket.destroyed ? resolve(undefined) : socket.once('close', resolve)))
})

test('a route may give a tunnel another idle timeout, or none', async () => {
  const exchanges: Exchange[] = []
  const idle = [300_000, 0]
  const listener = await serving((exchange) => {
    exchanges.push(exchange)
    exchange.upgrade('connection: Upgrade\r\nupgrade: websocket\r\n', idle.shift()).on('error', () => {})
  })
  const upgrade =
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n'
  for (let opened = 1; opened <= 2; opened++) {
    const socket = await client(listener, upgrade)
    await new Promise((resolve) => socket.once('data', resolve))
  }
  clock.advance(15_000)
  clock.advance(200_000)
  expect(exchanges.map(({ aborted }) => aborted)).toEqual([undefined, undefined])
  clock.advance(115_000)
  clock.advance(10_000_000)
  expect(exchanges.map(({ aborted }) => aborted)).toEqual(['idle', undefined])
})

test('listen rejects when its address is taken, and a later one works', async () => {
  const { address } = await serving(() => {})
  const deps = {
    timeouts: {
      timeoutRead: 0,
      timeoutIdle: 1000,
      clientBodyTimeout: 30_000,
      clientBodyMinRate: 100,
      clientWriteTimeout: 0,
      tunnelIdleTimeout: 0,
    },
    clock,
    logger: silentLogger,
    refused: () => undefined,
    handle: () => Promise.resolve(),
  }
  await expect(listen({ ...deps, listen: { host: '127.0.0.1', port: address.port } })).rejects.toMatchObject({
    code: 'ERR_LISTEN',
  })
  const later = await listen({ ...deps, listen: { host: '127.0.0.1', port: 0 } })
  await later.stop()
})
