/** `max_connections_per_client`: one address cannot take every connection, nor make us do a handshake for each. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createClientConnections } from '../../src/server/client-connections.ts'
import { type ListenDeps, type Listener, listen, type Refusal } from '../../src/server/listen.ts'
import { listenRedirect } from '../../src/server/redirect.ts'
import { proxyV2 } from '../support/proxy-protocol.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
const TIMEOUTS = {
  timeoutRead: 10_000,
  timeoutIdle: 10_000,
  clientBodyTimeout: 10_000,
  clientBodyMinRate: 100,
  clientWriteTimeout: 10_000,
  tunnelIdleTimeout: 10_000,
}
const LIMIT = { maxConnectionsPerClient: 2, trustedProxies: [] }
const TOO_MANY = 'more connections of one client than max_connections_per_client'

let running: Listener | undefined
let refusals: Refusal[] = []
const sockets: Socket[] = []
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  const stopped = running?.stop()
  running?.destroy()
  await stopped
  refusals = []
})

async function start(options: Partial<ListenDeps> = {}): Promise<number> {
  running = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    timeouts: TIMEOUTS,
    connections: createClientConnections(LIMIT),
    clock: systemClock,
    logger: silentLogger,
    refused: (refusal) => void refusals.push(refusal),
    handle: (exchange) => {
      exchange.respond({ status: 200, headers: '' }).end('ok')
      return new Promise((resolve) => exchange.onClosed(resolve))
    },
    ...options,
  })
  return running.address.port
}

interface Opened {
  readonly socket: Socket
  /** `answered`, or that it was closed without a word. */
  readonly outcome: 'answered' | 'closed'
}

/** One that stays open. */
function open(
  port: number,
  { from = '127.0.0.1', before = Buffer.alloc(0) }: { readonly from?: string; readonly before?: Buffer } = {},
): Promise<Opened> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', localAddress: from })
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('close', () => resolve({ socket, outcome: 'closed' }))
    socket.once('data', () => resolve({ socket, outcome: 'answered' }))
    socket.write(Buffer.concat([before, Buffer.from(GET)]))
  })
}

const outcomes = async (port: number, count: number, options?: Parameters<typeof open>[1]): Promise<string[]> => {
  const found: string[] = []
  for (let i = 0; i < count; i++) found.push((await open(port, options)).outcome)
  return found
}

async function close({ socket }: Opened): Promise<void> {
  const closed = new Promise((resolve) => socket.once('close', resolve))
  socket.destroy()
  await closed
}

test('one address has so many, another its own; what closes makes room', async () => {
  const port = await start()
  const first = await open(port)
  expect(first.outcome).toBe('answered')
  expect(await outcomes(port, 3)).toEqual(['answered', 'closed', 'closed'])
  expect(await outcomes(port, 2, { from: '127.0.0.2' })).toEqual(['answered', 'answered'])
  // A flood of connections is no flood of log lines.
  expect(refusals.map(({ detail, clientIp }) => [detail, clientIp])).toEqual([[TOO_MANY, '127.0.0.1']])
  await close(first)
  await expect.poll(async () => (await open(port)).outcome).toBe('answered')
  expect(await outcomes(port, 1)).toEqual(['closed'])
})

test('hops that are trusted without saying whose they are let nobody have more', async () => {
  const live = { ...LIMIT, xffNumTrustedHops: 1 }
  const port = await start({ connections: createClientConnections(live) })
  expect(await outcomes(port, 3)).toEqual(['answered', 'answered', 'closed'])
})

test('those that only connect count, too, and what is refused leaves no count behind', async () => {
  const port = await start()
  const idle = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
  sockets.push(...idle)
  await Promise.all(idle.map((socket) => new Promise((resolve) => socket.once('connect', resolve))))
  await expect.poll(() => outcomes(port, 1)).toEqual(['closed'])
  await outcomes(port, 20)
  for (const socket of idle) socket.destroy()
  await expect.poll(async () => (await open(port)).outcome).toBe('answered')
  expect(await outcomes(port, 2)).toEqual(['answered', 'closed'])
})

test('a handshake of TLS is not begun for one too many', async () => {
  const port = await start({ tls: { certificate: { chain: CERTIFICATE, key: new Secret(KEY) }, certificates: [] } })
  const shake = (): Promise<string> =>
    new Promise((resolve) => {
      const socket = connectTls({ port, host: '127.0.0.1', ca: CERTIFICATE, servername: 'localhost' }, () =>
        resolve('secure'),
      )
      sockets.push(socket)
      socket.on('error', () => resolve('refused'))
      socket.on('close', () => resolve('refused'))
    })
  expect([await shake(), await shake(), await shake()]).toEqual(['secure', 'secure', 'refused'])
  // Not one octet of an answer.
  const raw = connect(port, '127.0.0.1')
  let octets = 0
  raw.on('data', (piece: Buffer) => (octets += piece.length)).on('error', () => {})
  await new Promise((resolve) => raw.once('close', resolve))
  expect(octets).toBe(0)
})

test('the port that redirects to https is no way around it', async () => {
  const connections = createClientConnections(LIMIT)
  const port = await start({ connections })
  const redirect = await listenRedirect(
    { host: '127.0.0.1', port: 0 },
    {
      httpsOriginOf: () => undefined,
      challenge: async () => undefined,
      connections,
      clock: systemClock,
      logger: silentLogger,
    },
  )
  onTestFinished(() => redirect.close())
  const idle = await Promise.all(
    [1, 2].map(async () => {
      const socket = connect(redirect.address.port, '127.0.0.1')
      sockets.push(socket)
      await new Promise((resolve) => socket.once('connect', resolve))
      return socket
    }),
  )
  await expect.poll(() => outcomes(port, 1)).toEqual(['closed'])
  expect(await outcomes(redirect.address.port, 2)).toEqual(['closed', 'closed'])
  for (const socket of idle) socket.destroy()
  await expect.poll(async () => (await open(redirect.address.port)).outcome).toBe('answered')
})

describe('behind proxies', () => {
  test('one that is trusted may have any number', async () => {
    const port = await start({ connections: createClientConnections({ ...LIMIT, trustedProxies: ['127.0.0.1'] }) })
    expect(await outcomes(port, 4)).toEqual(Array(4).fill('answered'))
    expect(await outcomes(port, 3, { from: '127.0.0.2' })).toEqual(['answered', 'answered', 'closed'])
  })

  test('with a PROXY header its client counts, and the balancer itself does not', async () => {
    const trustedProxies = ['127.0.0.1']
    const port = await start({
      proxyProtocol: true,
      trustedProxies,
      connections: createClientConnections({ ...LIMIT, trustedProxies }),
    })
    const of = (source: string) => ({ before: proxyV2({ source, destination: '::1' }) })
    // One customer has a /64.
    expect(await outcomes(port, 1, of('2001:db8::7'))).toEqual(['answered'])
    expect(await outcomes(port, 2, of('2001:db8::8'))).toEqual(['answered', 'closed'])
    expect(await outcomes(port, 1, of('2001:db8:0:1::7'))).toEqual(['answered'])
    const own = { before: proxyV2({ source: '203.0.113.7', destination: '192.0.2.1', command: 0 }) }
    expect(await outcomes(port, 4, own)).toEqual(Array(4).fill('answered'))
  })
})

test('a reload counts for those that come from then on, with those that are there', async () => {
  const port = await start({ connections: createClientConnections({ ...LIMIT, maxConnectionsPerClient: 0 }) })
  expect(await outcomes(port, 3)).toEqual(Array(3).fill('answered'))
  running?.prepare({ ...TIMEOUTS, certificates: [], ...LIMIT })()
  expect(await outcomes(port, 1)).toEqual(['closed'])
  running?.prepare({ ...TIMEOUTS, certificates: [], ...LIMIT, maxConnectionsPerClient: 4 })()
  expect(await outcomes(port, 2)).toEqual(['answered', 'closed'])
})
