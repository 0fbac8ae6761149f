/** Which check of an upstream's certificate failed is said, and a client certificate is shown to whom asks. */
import { once } from 'node:events'
import { createSecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { createServer, type Server, type TlsOptions } from 'node:tls'
import { expect, test } from 'vitest'
import { Secret } from '../../../src/lib/secret.ts'
import { tlsProblem } from '../../../src/upstream/tls.ts'
import { createAuthorities } from '../../support/authority.ts'
import { manualClock } from '../../support/clock.ts'
import { CERTIFICATE, EXPIRED, KEY } from './certificate.ts'
import { cleanup, client, forwarder, front, OK, rawUpstream, route } from './support.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\n\r\n'
const UPGRADE =
  'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const TRUSTED = { skipVerify: false, ca: CERTIFICATE }
const CLIENT = { chain: CERTIFICATE, key: new Secret(KEY) }

/** Answers 200 and the name of the client's certificate. */
async function tlsUpstream(options: TlsOptions = {}): Promise<string> {
  const server = createServer({ key: KEY, cert: CERTIFICATE, ...options }, (socket) => {
    const { subject } = socket.getPeerCertificate()
    const answer = OK.replace('\r\n\r\n', `\r\nx-client: ${String(subject?.CN ?? 'none')}\r\n\r\n`)
    socket.on('error', () => {})
    socket.on('data', () => socket.write(answer))
    cleanup(() => socket.destroy())
  })
  return listening(server)
}

async function listening(server: Server, host = '127.0.0.1'): Promise<string> {
  server.on('tlsClientError', () => {})
  server.listen(0, host)
  await once(server, 'listening')
  cleanup(() => new Promise((resolve) => server.close(resolve)))
  return `https://localhost:${(server.address() as AddressInfo).port}`
}

const MTLS: TlsOptions = { requestCert: true, ca: CERTIFICATE, rejectUnauthorized: true }

test.each([
  ['of an unknown authority', {}, { skipVerify: false }, /is self-signed; trust it with tls_custom_ca \(localhost, /],
  ['that has expired', { cert: EXPIRED }, { skipVerify: false, ca: EXPIRED }, /has expired \(localhost, CERT_HAS_EXP/],
  [
    'for other names',
    {},
    { ...TRUSTED, serverName: 'other.test' },
    /is for localhost, app\.internal, 127\.0\.0\.1, and not for other\.test; set tls_server_name/,
  ],
] as const)(
  'an upstream with a certificate %s gives 502, and the message says what to do',
  async (_, server, tls, message) => {
    const origin = await tlsUpstream(server)
    const { port, ended } = await front(route(origin, { tls }), forwarder())
    for (const request of [GET, UPGRADE]) {
      const wire = await client(port)
      wire.send(request)
      expect(await ended.next()).toMatchObject({
        code: 'ERR_UPSTREAM_CERTIFICATE',
        message: expect.stringMatching(message),
      })
    }
  },
)

test('an upstream that speaks plain HTTP where https is expected is named as such', async () => {
  const upstream = await rawUpstream(({ socket }) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'))
  const { port, ended } = await front(route(upstream.origin.replace('http:', 'https:')), forwarder())
  const wire = await client(port)
  wire.send(GET)
  expect(await ended.next()).toMatchObject({ message: expect.stringContaining('does not speak TLS on this port') })
})

test('an upstream that asks for a certificate gets that of the route', async () => {
  const origin = await tlsUpstream(MTLS)
  const { port } = await front(route(origin, { tls: { ...TRUSTED, client: CLIENT } }), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await wire.seen(/^HTTP\/1\.1 200[^]*x-client: localhost/)
})

test('routes with different client certificates share no connection', async () => {
  const origin = await tlsUpstream({ requestCert: true, rejectUnauthorized: false })
  const made = forwarder()
  const [shows, hides] = await Promise.all([
    front(route(origin, { tls: { ...TRUSTED, client: CLIENT } }), made),
    front(route(origin, { tls: TRUSTED }), made),
  ])
  for (const [{ port }, name] of [
    [shows, 'localhost'],
    [hides, 'none'],
  ] as const) {
    const wire = await client(port)
    wire.send(GET)
    await wire.seen(new RegExp(`x-client: ${name}`))
  }
})

/** One answer for each connection; which of them went on with a session. */
async function shortLived(maxVersion: 'TLSv1.2' | 'TLSv1.3') {
  const resumed: boolean[] = []
  const server = createServer({ key: KEY, cert: CERTIFICATE, maxVersion }, (socket) => {
    resumed.push(socket.isSessionReused())
    socket.on('error', () => {})
    socket.on('data', () => socket.end(OK))
  })
  return { origin: await listening(server), resumed }
}

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: the second handshake with an upstream is short', async (version) => {
  const { origin, resumed } = await shortLived(version)
  const { port, ended } = await front(route(origin, { tls: TRUSTED }), forwarder())
  for (let i = 0; i < 3; i++) {
    const wire = await client(port)
    wire.send(GET)
    expect(await ended.next()).toMatchObject({ status: 200 })
  }
  expect(resumed.slice(0, 2)).toEqual([false, true])
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)('%s: its certificate is looked at again after an hour', async (version) => {
  const { origin, resumed } = await shortLived(version)
  const clock = manualClock()
  const { port, ended } = await front(route(origin, { tls: { ...TRUSTED, only: 'http1' } }), forwarder(clock))
  for (const minutes of [0, 40, 40, 40, 40]) {
    clock.advance(minutes * 60_000)
    const wire = await client(port)
    wire.send(GET)
    expect(await ended.next()).toMatchObject({ status: 200 })
  }
  // Of a session that goes on a new one is made; the hour is that of the first.
  expect(resumed).toEqual([false, true, false, true, false])
})

test.each(['TLSv1.2', 'TLSv1.3'] as const)(
  '%s: an upstream with a certificate for other names is refused each time',
  async (version) => {
    const origin = await tlsUpstream({ maxVersion: version })
    const tls = { ...TRUSTED, serverName: 'other.test', only: 'http1' } as const
    const { port, ended } = await front(route(origin, { tls }), forwarder())
    for (let i = 0; i < 3; i++) {
      const wire = await client(port)
      wire.send(GET)
      expect(await ended.next()).toMatchObject({ code: 'ERR_UPSTREAM_CERTIFICATE' })
    }
  },
)

test('an upstream that negotiates anew in the middle of an exchange gets no request twice', async () => {
  const received: string[] = []
  const server = createServer({ key: KEY, cert: CERTIFICATE, maxVersion: 'TLSv1.2' }, (socket) => {
    socket.on('error', () => {})
    // Before the other: what has already come is read in the call that negotiates.
    socket.on('data', (bytes: Buffer) => received.push(bytes.toString('latin1')))
    socket.once('data', () => socket.renegotiate({}, () => socket.write(OK)))
  })
  const origin = await listening(server)
  const { port, ended } = await front(route(origin, { tls: { ...TRUSTED, only: 'http1' } }), forwarder())
  const wire = await client(port)
  wire.send('POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 4\r\n\r\nbody')
  expect(await ended.next()).toMatchObject({ status: 200 })
  expect(received.join('').match(/POST \/ |body/g)).toEqual(['POST / ', 'body'])
})

test.each([
  ['127.0.0.1', 'is the certificate’s', { status: 200 }],
  ['192.0.2.1', 'is not, whatever host we connect to', { code: 'ERR_UPSTREAM_CERTIFICATE' }],
] as const)('tls_server_name: %s %s', async (serverName, _, outcome) => {
  const origin = await tlsUpstream()
  for (const only of ['http1', undefined] as const) {
    const tls = { ...TRUSTED, serverName, ...(only && { only }) }
    const { port, ended } = await front(route(origin, { tls }), forwarder())
    for (const request of [GET, UPGRADE]) {
      const wire = await client(port)
      wire.send(request)
      if ('status' in outcome) await wire.seen(/^HTTP\/1\.1 200/)
      else expect(await ended.next()).toMatchObject(outcome)
    }
  }
})

test('an upstream that fails the handshake when a session should go on is offered none again', async () => {
  const resumed: boolean[] = []
  const secure = createServer({ key: KEY, cert: CERTIFICATE }, (socket) => {
    resumed.push(socket.isSessionReused())
    socket.on('error', () => {})
    socket.on('data', () => socket.end(OK))
  })
  const upstream = await rawUpstream(({ socket }, index) => {
    // Fatal, internal_error (RFC 8446 §6).
    if (index === 1) socket.end(Buffer.from([21, 3, 3, 0, 2, 2, 80]))
    else secure.emit('connection', socket)
  })
  const tls = { ...TRUSTED, serverName: 'localhost', only: 'http1' } as const
  const { port, ended } = await front(route(upstream.origin.replace('http:', 'https:'), { tls }), forwarder())
  const outcomes: unknown[] = []
  for (let i = 0; i < 5; i++) {
    const wire = await client(port)
    wire.send(GET)
    const outcome = await ended.next()
    outcomes.push('status' in outcome ? outcome.status : 'failed')
  }
  expect(outcomes).toEqual([200, 'failed', 200, 200, 200])
  expect(resumed).toEqual([false, false, false, false])
})

test.each([
  ['an answer', GET, 'HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf', /half/],
  [
    'a WebSocket',
    UPGRADE,
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n',
    /^HTTP\/1\.1 101 /,
  ],
])('what cannot be deciphered in the middle of %s ends it', async (_, request, answer, begin) => {
  const secure = createServer({ key: KEY, cert: CERTIFICATE }, (socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.write(answer))
  })
  const upstream = await rawUpstream(({ socket }) => secure.emit('connection', socket))
  const tls = { ...TRUSTED, serverName: 'localhost', only: 'http1' } as const
  const { port } = await front(route(upstream.origin.replace('http:', 'https:'), { tls }), forwarder())
  const wire = await client(port)
  wire.send(request)
  await wire.seen(begin)
  const { socket } = await upstream.connections.next()
  socket.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 64]), Buffer.alloc(64)]))
  await wire.closed
})

test('what cannot be deciphered in the middle of an answer of HTTP/2 ends it', async () => {
  const secure = createSecureServer({ key: KEY, cert: CERTIFICATE }, (_, res) => void res.writeHead(200).write('half'))
  secure.on('sessionError', () => {})
  const upstream = await rawUpstream(({ socket }) => secure.emit('connection', socket))
  const tls = { ...TRUSTED, serverName: 'localhost', only: 'http2' } as const
  const { port } = await front(route(upstream.origin.replace('http:', 'https:'), { tls }), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await wire.seen(/half/)
  const { socket } = await upstream.connections.next()
  socket.write(Buffer.concat([Buffer.from([23, 3, 3, 0, 64]), Buffer.alloc(64)]))
  await wire.closed
})

test('an upstream at an address of IPv6 is verified by this address', async () => {
  const authorities = createAuthorities()
  cleanup(() => authorities.remove())
  const authority = authorities.root('Test CA')
  const shown = authority.issue('app', { names: ['IP:::1'], usage: 'serverAuth' })
  const server = createServer(shown, (socket) => {
    socket.on('error', () => {})
    socket.on('data', () => socket.write(OK))
    cleanup(() => socket.destroy())
  })
  const origin = (await listening(server, '::1')).replace('localhost', '[::1]')
  const { port } = await front(route(origin, { tls: { skipVerify: false, ca: authority.cert } }), forwarder())
  const wire = await client(port)
  wire.send(GET)
  await wire.seen(/^HTTP\/1\.1 200 /)
})

test.each([
  [
    'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
    'it asks for a client certificate; set tls_client_cert and tls_client_key',
  ],
  ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'from an unknown authority'],
  ['ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', 'does not trust the authority of our client certificate'],
])('%s is told in words', (code, words) => {
  expect(tlsProblem(Object.assign(new Error('of OpenSSL'), { code }), 'app.internal')).toContain(words)
})

test('a certificate with hundreds of names does not fill the log', () => {
  const subjectaltname = Array.from({ length: 300 }, (_, i) => `DNS:a${i}.test`).join(', ')
  const error = Object.assign(new Error(), { code: 'ERR_TLS_CERT_ALTNAME_INVALID', cert: { subjectaltname } })
  expect(tlsProblem(error, 'app.internal')).toMatch(/a9\.test and 290 more, and not for app\.internal/)
})
