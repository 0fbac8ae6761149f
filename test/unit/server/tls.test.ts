import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { connect, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import type { Exchange } from '../../../src/http/exchange.ts'
import { type Listener, listen } from '../../../src/server/listen.ts'
import { manualClock } from '../../support/clock.ts'
import { CERTIFICATE, KEY } from '../upstream/certificate.ts'

const TIMEOUTS = {
  timeoutRead: 0,
  timeoutIdle: 0,
  clientBodyTimeout: 30_000,
  clientBodyMinRate: 100,
  clientWriteTimeout: 0,
  tunnelIdleTimeout: 0,
}
const PAIR = { chain: CERTIFICATE, key: new Secret(KEY) }
const HANDSHAKE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'

function listenTls(handle: (exchange: Exchange) => Promise<void>): Promise<Listener> {
  return listen({
    listen: { host: '127.0.0.1', port: 0 },
    tls: { certificate: PAIR, certificates: [] },
    timeouts: TIMEOUTS,
    clock: systemClock,
    logger: silentLogger,
    refused() {},
    handle,
  })
}

test.each([
  ['of HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n'],
  ['to a handshake that is refused', `GET / HTTP/1.1\r\nHost: a.test\r\n${HANDSHAKE}\r\n`],
])('abort in an answer over TLS %s resets the connection: nothing says that the body is whole', async (_, request) => {
  let abort = (): void => {}
  const listener = await listenTls((exchange) => {
    exchange.respond({ status: 500, headers: '' }).write('half')
    abort = () => exchange.abort('ERR_UPSTREAM_RESET')
    return new Promise((resolve) => exchange.onClosed(resolve))
  })
  const socket = connect({ port: listener.address.port, host: '127.0.0.1', ca: CERTIFICATE, servername: 'localhost' })
  const ended = await new Promise<string | undefined>((resolve) => {
    socket.once('secureConnect', () => socket.write(request))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.once('end', () => resolve('end'))
    let text = ''
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')).includes('half') && abort())
  })
  expect(ended).toBe('ECONNRESET')
  expect(listener.active()).toBe(0)
  await listener.stop()
})

test.each([
  ['a request', 'GET / HTTP/1.1\r\nHost: a.test\r\n\r\n'],
  ['a WebSocket', `GET / HTTP/1.1\r\nHost: a.test\r\n${HANDSHAKE}\r\n`],
])('what cannot be deciphered in the middle of %s ends the connection', async (_, request) => {
  const listener = await listenTls((exchange) => {
    if (exchange.head.upgrade) exchange.upgrade('').on('error', () => {})
    else exchange.respond({ status: 200, headers: '' }).write('half')
    return new Promise((resolve) => exchange.onClosed(resolve))
  })
  const carrier = createConnection({ port: listener.address.port, host: '127.0.0.1' })
  const socket = connect({ socket: carrier, ca: CERTIFICATE, servername: 'localhost' })
  socket.on('error', () => {}).once('secureConnect', () => socket.write(request))
  await once(socket, 'data')
  const closed = once(carrier, 'close')
  carrier.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 64]), Buffer.alloc(64)]))
  await closed
  await listener.stop()
  expect(listener.active()).toBe(0)
})

test('a certificate is chosen by server name: the operator’s, then one that was ordered, then the first', async () => {
  const other = {
    chain: readFileSync(new URL('../config/fixtures/tls.crt', import.meta.url), 'utf8'),
    key: new Secret(readFileSync(new URL('../config/fixtures/tls.key', import.meta.url), 'utf8')),
  }
  const ordered = (host: string) => (host === 'ordered.test' || host === 'localhost' ? other : undefined)
  const listener = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    tls: { certificate: PAIR, certificates: [other], ordered },
    timeouts: TIMEOUTS,
    clock: systemClock,
    logger: silentLogger,
    refused() {},
    handle: async () => {},
  })
  const shown = (servername: string) =>
    new Promise<string | undefined>((resolve, reject) => {
      const socket = connect({ port: listener.address.port, host: '127.0.0.1', servername, rejectUnauthorized: false })
      socket.once('secureConnect', () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256)
        socket.destroy()
      })
      socket.once('error', reject)
    })
  const [first, second] = [CERTIFICATE, other.chain].map((pem) => new X509Certificate(pem).fingerprint256)
  const names = [
    'localhost',
    'app.corp.example',
    'APP.corp.EXAMPLE',
    'a.b.corp.example',
    'ordered.test',
    'none.test',
    '',
  ]
  expect(await Promise.all(names.map(shown))).toEqual([first, second, second, first, second, first, first])
  listener.prepare({ ...TIMEOUTS, trustedProxies: [], certificates: [other] })()
  expect(await Promise.all(['localhost', 'none.test'].map(shown))).toEqual([second, second])
  await listener.stop()
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  'a session of %s is resumed until the keys of tickets change',
  async (version) => {
    const clock = manualClock()
    const listener = await listen({
      listen: { host: '127.0.0.1', port: 0 },
      tls: { certificate: PAIR, certificates: [] },
      timeouts: TIMEOUTS,
      clock,
      logger: silentLogger,
      refused() {},
      handle: (exchange) => {
        exchange.respond({ status: 204, headers: '' }).end()
        return new Promise((resolve) => exchange.onClosed(resolve))
      },
    })
    let session: Buffer | undefined
    const resumed = () =>
      new Promise<boolean>((resolve, reject) => {
        const socket: TLSSocket = connect({
          port: listener.address.port,
          host: '127.0.0.1',
          ca: CERTIFICATE,
          servername: 'localhost',
          maxVersion: version,
          ...(session && { session }),
        })
        socket.on('session', (next: Buffer) => (session = next))
        socket.once('error', reject)
        let reused = false
        socket.once('secureConnect', () => {
          reused = socket.isSessionReused()
          socket.write('GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n')
        })
        socket.once('close', () => resolve(reused))
        socket.resume()
      })
    expect([await resumed(), await resumed()]).toEqual([false, true])
    // By themselves, twice a day.
    clock.advance(12 * 3_600_000)
    expect([await resumed(), await resumed()]).toEqual([false, true])
    const shared = Buffer.alloc(48, 7)
    listener.setTicketKeys(shared)
    expect([await resumed(), await resumed()]).toEqual([false, true])
    // Theirs stay, whatever happens here.
    clock.advance(24 * 3_600_000)
    listener.prepare({ ...TIMEOUTS, trustedProxies: [], certificate: PAIR, certificates: [] })()
    expect(await resumed()).toBe(true)
    await listener.stop()
  },
)
