import { connect } from 'node:tls'
import { expect, test } from 'vitest'
import { systemClock } from '../../../src/lib/clock.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { listen } from '../../../src/server/h1.ts'
import { CERTIFICATE, KEY } from '../upstream/certificate.ts'

const HANDSHAKE = 'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n'

test.each([
  ['of HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a.test\r\n\r\n'],
  ['to a handshake that is refused', `GET / HTTP/1.1\r\nHost: a.test\r\n${HANDSHAKE}\r\n`],
])('abort in an answer over TLS %s resets the connection: nothing says that the body is whole', async (_, request) => {
  let abort = (): void => {}
  const listener = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    certificate: { chain: CERTIFICATE, key: new Secret(KEY) },
    timeouts: {
      timeoutRead: 0,
      timeoutIdle: 0,
      clientBodyTimeout: 30_000,
      clientBodyMinRate: 100,
      clientWriteTimeout: 0,
      tunnelIdleTimeout: 0,
    },
    clock: systemClock,
    logger: silentLogger,
    refused() {},
    handle: (exchange) => {
      exchange.respond({ status: 500, headers: [] }).write('half')
      abort = () => exchange.abort('ERR_UPSTREAM_RESET')
      return new Promise((resolve) => exchange.onClosed(resolve))
    },
  })
  const socket = connect({ port: listener.address.port, host: '127.0.0.1', ca: CERTIFICATE, servername: 'localhost' })
  const ended = await new Promise<string | undefined>((resolve) => {
    socket.once('secureConnect', () => socket.write(request))
    socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code))
    socket.once('end', () => resolve('end'))
    let text = ''
    socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')).endsWith('half') && abort())
  })
  expect(ended).toBe('ECONNRESET')
  expect(listener.active()).toBe(0)
  await listener.stop()
})
