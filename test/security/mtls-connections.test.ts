/**
 * downstream_mtls against clients that choose their connections: tickets of another time, connections of HTTP/2 that outlive
 * what they were checked by, names that differ, chains that say more than they prove, and headers that tell of certificates.
 */
import { execFile } from 'node:child_process'
import { connect as connectHttp2, type ClientHttp2Session } from 'node:http2'
import type { IncomingMessage } from 'node:http'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { onPath } from '../apps/installed.ts'
import { type Authority, createAuthorities, type Issued } from '../support/authority.ts'
import { createTestWorld, type World } from '../support/world.ts'
import { parseAnswers, type WireAnswer } from '../support/wire.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const authorities = createAuthorities()
let corp: Authority
let stranger: Authority
let laptop: Issued
let world: World
const sessions: ClientHttp2Session[] = []

beforeAll(async () => {
  corp = authorities.root('Corp CA')
  stranger = authorities.root('Corp CA')
  laptop = corp.issue('laptop', { names: ['DNS:laptop.corp.example'] })
  const hosts = authorities.root('Hosts CA')
  const other = hosts.issue('b', { names: ['DNS:b.localhost'] })
  world = await createTestWorld({
    config: {
      authenticate_service_url: 'https://authenticate.localhost',
      certificate: CERTIFICATE,
      certificate_key: KEY,
      certificates: [{ cert: other.cert, key: other.key }],
    },
    routes: [
      { from: 'https://open.localhost', allow_public_unauthenticated_access: true },
      { from: 'https://b.localhost', allow_public_unauthenticated_access: true },
      {
        from: 'https://named.localhost',
        policy: { allow: { or: [{ client_certificate: { san_dns: 'laptop.corp.example' } }] } },
      },
    ],
  })
})
beforeEach(() => inForce({}))
afterAll(async () => {
  for (const session of sessions) session.destroy()
  authorities.remove()
  await world.close()
})

function inForce(more: Readonly<Record<string, unknown>>): void {
  world.reload({ downstream_mtls: { ca: corp.cert, enforcement: 'policy_with_default_deny', ...more } })
}

const GET = (host: string, ...lines: readonly string[]): string =>
  [`GET / HTTP/1.1`, `Host: ${host}`, 'Connection: close', ...lines, '', ''].join('\r\n')

interface Asked {
  readonly answer: WireAnswer | undefined
  readonly reused: boolean
  readonly session: Buffer | undefined
}

/** One request on a connection of its own; no answer: the connection ended without. */
function ask(text: string, options: ConnectionOptions = {}): Promise<Asked> {
  return new Promise((resolve) => {
    let received = ''
    let session: Buffer | undefined
    let reused = false
    const socket: TLSSocket = connect(
      { port: world.port, host: '127.0.0.1', servername: 'open.localhost', rejectUnauthorized: false, ...options },
      () => {
        reused = socket.isSessionReused()
        socket.write(text)
      },
    )
    socket.on('session', (next: Buffer) => (session = next))
    socket.on('data', (piece: Buffer) => (received += piece.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve({ answer: parseAnswers(received)[0], reused, session }))
  })
}

/** Requests on one connection of HTTP/2. */
function http2(options: ConnectionOptions = {}) {
  const session = connectHttp2(`https://127.0.0.1:${world.port}`, {
    servername: 'open.localhost',
    rejectUnauthorized: false,
    ...options,
  })
  sessions.push(session)
  session.on('error', () => {})
  return {
    session,
    status: (host: string): Promise<number | undefined> =>
      new Promise((resolve) => {
        const stream = session.request({ ':authority': host, ':path': '/' })
        stream.on('response', (head) => resolve(head[':status']))
        stream.on('error', () => resolve(undefined))
        stream.on('close', () => resolve(undefined))
        stream.resume()
      }),
  }
}

describe('sessions of TLS', () => {
  test.each(['TLSv1.2', 'TLSv1.3'] as const)(
    '%s: one from before certificates were asked for brings nobody in',
    async (maxVersion) => {
      world.reload({ downstream_mtls: undefined })
      const before = await ask(GET('open.localhost'), { maxVersion })
      expect(before.answer?.status).toBe(200)
      expect(before.session).toBeDefined()
      inForce({})
      const options = { maxVersion, ...(before.session && { session: before.session }) }
      const without = await ask(GET('open.localhost'), options)
      expect(without.answer?.status).toBe(495)
      // A handshake that is resumed shows no certificate; it must not count as that of the one that is at hand.
      const { answer, reused } = await ask(GET('open.localhost'), { ...options, ...laptop })
      expect([reused, answer?.status]).toEqual([false, 200])
    },
  )

  test('one of a host opens no other', async () => {
    const first = await ask(GET('open.localhost'), laptop)
    expect(first.answer?.status).toBe(200)
    const session = first.session && { session: first.session }
    const { answer, reused } = await ask(GET('b.localhost'), { servername: 'b.localhost', ...session })
    expect([reused, answer?.status]).toEqual([false, 495])
  })
})

describe('connections of HTTP/2', () => {
  test('a certificate counts for every host that the connection stands for, and for no other', async () => {
    const { status } = http2(laptop)
    expect(await status('open.localhost')).toBe(200)
    expect(await status('named.localhost')).toBe(200)
    // Another certificate of ours stands for it.
    expect(await status('b.localhost')).toBe(421)
  })

  test('without one each host is refused, whatever name was sent', async () => {
    for (const servername of ['open.localhost', 'authenticate.localhost', 'nobody.test', '']) {
      const { status } = http2({ servername })
      expect([servername, await status('named.localhost')]).toEqual([servername, 495])
    }
  })

  test('a certificate that is revoked while a connection stands is not asked about again by it', async () => {
    inForce({ crl: corp.revoke([]) })
    const { session, status } = http2(laptop)
    expect(await status('named.localhost')).toBe(200)
    inForce({ crl: corp.revoke([laptop]) })
    // At most a 421, which says that a new connection is wanted; or the connection is closed.
    expect([421, undefined]).toContain(
      session.closed || session.destroyed ? undefined : await status('named.localhost'),
    )
    const { status: anew } = http2(laptop)
    expect(await anew('named.localhost')).toBe(495)
  })

  test('another authority: what the one before has checked counts no more', async () => {
    const { session, status } = http2(laptop)
    expect(await status('named.localhost')).toBe(200)
    inForce({ ca: stranger.cert })
    expect([421, undefined]).toContain(
      session.closed || session.destroyed ? undefined : await status('named.localhost'),
    )
    const { status: anew } = http2(laptop)
    expect(await anew('named.localhost')).toBe(495)
  })

  test('reject_connection: requests that come with the handshake are not answered', async () => {
    inForce({ enforcement: 'reject_connection' })
    const { status } = http2()
    expect(await status('open.localhost')).toBeUndefined()
    expect((await ask(GET('open.localhost'))).answer).toBeUndefined()
    expect((await ask(GET('open.localhost'), laptop)).answer?.status).toBe(200)
  })
})

describe('names that differ', () => {
  test.each([
    ['open.localhost', 'named.localhost', 495],
    ['authenticate.localhost', 'named.localhost', 495],
    ['b.localhost', 'open.localhost', 421],
    ['open.localhost', 'b.localhost', 421],
  ])('server name %s, Host %s: %i', async (servername, host, status) => {
    expect((await ask(GET(host), { servername })).answer?.status).toBe(status)
  })
})

describe('chains that say more than they prove', () => {
  test.each<[name: string, made: () => Issued]>([
    [
      'a stranger of the same name, with our authority behind it',
      () => followed(stranger.issue('x', NAMES), corp.cert),
    ],
    ['with a certificate of ours behind it', () => followed(stranger.issue('x', NAMES), laptop.cert)],
    [
      'with both, and the stranger between',
      () => followed(stranger.issue('x', NAMES), stranger.cert + laptop.cert + corp.cert),
    ],
    ['of an authority below the stranger', () => below(stranger.intermediate('Corp Sub CA'))],
  ])('%s', async (_, made) => {
    expect((await ask(GET('named.localhost'), made())).answer?.status).toBe(495)
  })
})

const NAMES = { names: ['DNS:laptop.corp.example'] }

function followed({ cert, key }: Issued, more: string): Issued {
  return { cert: cert + more, key }
}

function below(authority: Authority): Issued {
  return followed(authority.issue('x', NAMES), authority.cert + corp.cert)
}

test.each([
  'X-Forwarded-Client-Cert',
  'x_forwarded_client_cert',
  'X-Forwarded-Tls-Client-Cert',
  'X-Forwarded-Tls-Client-Cert-Info',
  'X-Forwarded-Ssl-Client-Cert',
  'Client-Cert',
  'Client-Cert-Chain',
  'X-Client-Cert',
  'X-Client-Certificate',
  'X-Client-Verify',
  'X-Client-DN',
  'X-SSL-Client-Verify',
  'X-SSL-Client-S-DN',
  'Ssl-Client-Cert',
  'SSL_CLIENT_VERIFY',
  'X-SSL-CERT',
  'SSL-Cert',
  'X-Amzn-Mtls-Clientcert',
  'X-ARR-ClientCert',
  'Cf-Client-Cert-Sha256',
  'Cf-Client-Cert-Der-Base64',
  'Cf-Cert-Verified',
])('%s of a client tells no application of a certificate', async (name) => {
  inForce({ enforcement: 'policy' })
  const { answer } = await ask(GET('open.localhost', `${name}: CN=root`, 'X-Other: 1'))
  expect(answer?.status).toBe(200)
  const { headers } = world.received.at(-1) as IncomingMessage
  expect(headers['x-other']).toBe('1')
  expect(Object.keys(headers)).not.toContain(name.toLowerCase())
})

/** Begins two handshakes from one port, to two addresses, ends the later one first, and prints the status of each answer. */
const TWO = `
import select, socket, ssl, sys
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
def opened(address, port):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.settimeout(20)
    s.bind(('127.0.0.1', port))
    s.connect((address, int(sys.argv[1])))
    return s
first = opened('127.0.0.1', 0)
second = opened('127.0.0.2', first.getsockname()[1])
def wrapped(s):
    return context.wrap_socket(s, server_hostname='open.localhost', do_handshake_on_connect=False)
first, second = wrapped(first), wrapped(second)
first.setblocking(False)
try:
    first.do_handshake()
except ssl.SSLWantReadError:
    select.select([first], [], [], 20)
first.settimeout(20)
for tls in (second, first):
    tls.do_handshake()
    tls.sendall(b'GET / HTTP/1.1\\r\\nHost: open.localhost\\r\\nConnection: close\\r\\n\\r\\n')
    print(tls.recv(12).decode())
`

const python = onPath(['python3'], 'apt-get install python3')

test.skipIf(python.bin === undefined)(
  python.name('two connections from one port of a client to two addresses are two'),
  async () => {
    const other = await world.another({ address: '0.0.0.0:0', downstream_mtls: undefined })
    const { port } = other.app.listener.address
    const printed = await promisify(execFile)('python3', ['-c', TWO, String(port)], { timeout: 60_000 })
    expect(printed.stdout.trim().split('\n')).toEqual(['HTTP/1.1 200', 'HTTP/1.1 200'])
    await other.close()
  },
)
