/** What comes before HTTP: the PROXY header of a balancer, TLS, and everything that is neither. */
import { execFileSync } from 'node:child_process'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLogger } from '../../src/lib/log.ts'
import { Secret } from '../../src/lib/secret.ts'
import { createClientConnections, NO_LIMIT } from '../../src/server/client-connections.ts'
import { type ListenDeps, type Listener, listen, type Refusal } from '../../src/server/listen.ts'
import { manualClock } from '../support/clock.ts'
import { proxyV2 } from '../support/proxy-protocol.ts'
import { parseAnswers, sendRaw } from '../support/wire.ts'
import { CERTIFICATE, KEY } from '../unit/upstream/certificate.ts'

const GET = 'GET / HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\r\n'
const V1 = 'PROXY TCP4 203.0.113.7 192.0.2.1 56324 443\r\n'
const TLS = { tls: { certificate: { chain: CERTIFICATE, key: new Secret(KEY) }, certificates: [] } }
const BALANCER = { proxyProtocol: true, trustedProxies: ['127.0.0.1'] }
const TIMEOUTS = {
  timeoutRead: 10_000,
  timeoutIdle: 10_000,
  clientBodyTimeout: 10_000,
  clientBodyMinRate: 100,
  clientWriteTimeout: 10_000,
  tunnelIdleTimeout: 10_000,
}

let running: Listener | undefined
let refusals: Refusal[] = []
afterEach(async () => {
  const stopped = running?.stop()
  running?.destroy()
  await stopped
  running = undefined
  refusals = []
})

/** Answers each request with the address of its client. */
async function start(options: Partial<ListenDeps> = {}): Promise<number> {
  running = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    timeouts: TIMEOUTS,
    clock: systemClock,
    logger: silentLogger,
    refused: (refusal) => void refusals.push(refusal),
    handle: (exchange) => {
      const { peer, encrypted } = exchange.head
      exchange.respond({ status: 200, headers: '' }).end(`${peer} ${encrypted ? 'https' : 'http'}`)
      return new Promise((resolve) => exchange.onClosed(resolve))
    },
    ...options,
  })
  return running.address.port
}

async function bodies(port: number, bytes: string | Buffer, from?: string): Promise<readonly string[]> {
  const answers = await sendRaw(port, bytes, from === undefined ? {} : { from })
  return answers.map(({ status, body }) => `${status} ${body}`)
}

/** Sends these bytes, then TLS and the request inside it. */
function throughTls(port: number, before: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const below: Socket = connect(port, '127.0.0.1', () => {
      below.write(before)
      const secure = connectTls({ socket: below, ca: CERTIFICATE, servername: 'localhost' }, () => secure.write(GET))
      let text = ''
      secure.on('data', (piece: Buffer) => (text += piece.toString('latin1')))
      secure.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? 'error'))
      secure.on('close', () => resolve(parseAnswers(text)[0]?.body ?? ''))
    })
  })
}

describe('use_proxy_protocol', () => {
  test.each([
    ['version 1', V1, '203.0.113.7'],
    ['version 2', proxyV2({ source: '2001:db8::7', destination: '::1' }), '2001:db8::7'],
    ['LOCAL', proxyV2({ source: '203.0.113.7', destination: '192.0.2.1', command: 0 }), '127.0.0.1'],
    ['UNKNOWN', 'PROXY UNKNOWN\r\n', '127.0.0.1'],
  ])('%s: the client is who the balancer says, without and with TLS', async (_, header, client) => {
    const port = await start(BALANCER)
    const request = Buffer.concat([Buffer.from(header), Buffer.from(GET)])
    expect(await bodies(port, request)).toEqual([`200 ${client} http`])
    running?.destroy()
    await running?.stop()
    expect(await throughTls(await start({ ...BALANCER, ...TLS }), header)).toBe(`${client} https`)
  })

  test('the header may come byte by byte, with the request right behind it', async () => {
    const port = await start(BALANCER)
    const answer = new Promise<string>((resolve) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      let text = ''
      socket.on('data', (piece: Buffer) => (text += piece.toString('latin1')))
      socket.on('close', () => resolve(text))
      const send = (i: number): void =>
        void (i < V1.length ? socket.write(V1.charAt(i), () => send(i + 1)) : socket.write(GET))
      send(0)
    })
    expect(await answer).toContain('203.0.113.7 http')
  })

  test.each([
    ['a request without it', GET],
    ['a header that is none', `PROXY TCP4 203.0.113.7\r\n${GET}`],
    ['a line without an end', `PROXY UNKNOWN ${'x'.repeat(200)}`],
  ])('%s is closed without an answer, and logged', async (_, bytes) => {
    const port = await start(BALANCER)
    expect(await bodies(port, bytes)).toEqual([])
    expect(refusals).toMatchObject([{ status: 400, clientIp: '127.0.0.1' }])
    expect(refusals[0]?.detail).toContain('does not begin with a PROXY header')
  })

  test('a header of a peer that trusted_proxies does not name opens nothing', async () => {
    const port = await start({ ...BALANCER, trustedProxies: ['127.0.0.2'] })
    expect(await bodies(port, V1 + GET)).toEqual([])
    expect(await bodies(port, V1 + GET, '127.0.0.2')).toEqual(['200 203.0.113.7 http'])
    running?.prepare({ ...TIMEOUTS, certificates: [], trustedProxies: ['127.0.0.1'] })()
    expect(await bodies(port, V1 + GET, '127.0.0.2')).toEqual([])
    expect(await bodies(port, V1 + GET)).toEqual(['200 203.0.113.7 http'])
  })

  test('a second header is no request', async () => {
    const port = await start(BALANCER)
    expect((await bodies(port, V1 + V1 + GET)).map((text) => text.slice(0, 3))).toEqual(['400'])
  })

  test.each([
    ['version 1', V1],
    ['version 2', proxyV2({ source: '203.0.113.7', destination: '192.0.2.1' })],
  ])('off: %s is refused, and nothing behind it is read', async (_, header) => {
    const port = await start()
    const request = Buffer.concat([Buffer.from(header), Buffer.from(GET)])
    expect((await bodies(port, request)).map((text) => text.slice(0, 3))).toEqual(['400'])
  })
})

describe('the port of HTTPS', () => {
  test('answers plain HTTP with 400 and says so, whatever is sent', async () => {
    const port = await start(TLS)
    const [answer, ...others] = await sendRaw(port, GET + GET)
    expect(others).toEqual([])
    expect(answer).toMatchObject({ status: 400, complete: true })
    expect(answer?.body).toBe('This port speaks HTTPS: the address begins with https://\n')
    expect(refusals).toMatchObject([{ status: 400, detail: 'plain HTTP on the port of HTTPS' }])
  })

  test.each([
    ['what is neither TLS nor HTTP', '\0\0\0'],
    ['SSH', 'ssh-2.0-x\r\n'],
  ])('closes %s', async (_, bytes) => {
    expect(await bodies(await start(TLS), bytes)).toEqual([])
    expect(refusals).toMatchObject([{ detail: 'neither TLS nor HTTP' }])
  })

  test('ends what begins a handshake and goes no further, and whoever sends nothing', async () => {
    const clock = manualClock()
    const port = await start({ ...TLS, ...BALANCER, clock })
    const sockets = ['', V1, Buffer.concat([Buffer.from(V1), Buffer.from([22, 3, 1, 0, 200, 1])])].map((bytes) => {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => {})
      if (bytes.length > 0) socket.write(bytes)
      return socket
    })
    let closed = 0
    for (const socket of sockets) socket.once('close', () => closed++).resume()
    await expect
      .poll(() => {
        clock.advance(TIMEOUTS.timeoutRead)
        return closed
      })
      .toBe(sockets.length)
  })
})

test.each([
  ['plain HTTP', {}],
  ['TLS', TLS],
  ['a balancer', BALANCER],
] as const)(
  '%s: a connection that was reset before it was accepted counts for nobody, and is not logged',
  async (_, options) => {
    const port = await start({
      ...options,
      connections: createClientConnections({ ...NO_LIMIT, maxConnectionsPerClient: 1 }),
    })
    // Nothing is accepted while this waits.
    const knock = `for (let i = 0; i < 3; i++) require('net').connect(${port}, '127.0.0.1', function () { this.resetAndDestroy() })`
    execFileSync(process.execPath, ['-e', knock], { timeout: 60_000 })
    // Accepted behind them.
    await new Promise((resolve) =>
      connect(port, '127.0.0.1', function (this: Socket) {
        this.end()
      }).once('close', resolve),
    )
    expect(refusals.map(({ detail, clientIp }) => [detail, clientIp])).toEqual([])
  },
)
