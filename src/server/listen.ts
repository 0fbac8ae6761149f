/**
 * The public listener: one `Exchange` per request or upgrade, and the only code that writes a response of ours.
 * Node's parser stays strict; what it lets through is judged by routing/target.ts.
 */
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { every } from '../lib/clock.ts'
import { createDeadlines, type Deadline } from '../lib/deadlines.ts'
import { canonicalAddress } from '../routing/address.ts'
import type { BadRequest, CutReason, Exchange, Finished, Forwarder, Reply } from '../http/exchange.ts'
import type { Clock } from '../types.ts'
import type { Address, Certificate, Live } from '../config/model.ts'
import { H1Connection, MAX_HEAD_BYTES } from './h1-connection.ts'

export interface ListenDeps {
  readonly listen: Address
  /** Absent: plain HTTP. */
  readonly certificate?: Certificate | undefined
  readonly timeouts: Pick<Live, 'timeoutRead' | 'timeoutIdle'>
  readonly clock: Clock
  /** Never rejects: its one catch is inside. */
  readonly handle: (exchange: Exchange) => Promise<void>
  /** Told of what was answered and never became an exchange. */
  readonly refused: (refusal: Refusal) => void
}

export type Refusal = Pick<BadRequest, 'status' | 'detail' | 'clientIp'>

export interface Listener {
  readonly address: AddressInfo
  /** Exchanges that have begun and not ended. */
  active(): number
  /** Time-outs, and the certificate of connections, from now on. */
  reload(next: Pick<Live, 'timeoutRead' | 'timeoutIdle' | 'certificate'>): void
  /** From now on every answer asks its client to connect anew, so that few connections are kept when `stop` comes. */
  drain(): void
  /** Stops accepting; idle connections end now, busy ones after their exchange. */
  stop(): Promise<void>
  /** Ends every connection at once. */
  destroy(): void
}

/** What the client still sends after our answer is read and dropped this long; then the connection ends. */
const LINGER_MS = 10_000
const IDLE_CHECK_MS = 100

export async function listen(deps: ListenDeps): Promise<Listener> {
  const { listen: where, certificate } = deps
  let { timeoutRead } = deps.timeouts
  const options = {
    maxHeaderSize: MAX_HEAD_BYTES,
    // Ours is exact; Node looks only now and then.
    headersTimeout: 0,
    // A request may be an upload of any length; a slow one is ended by the upstream's and the idle timeouts.
    requestTimeout: 0,
    keepAliveTimeout: deps.timeouts.timeoutIdle,
    insecureHTTPParser: false,
    // routing/target.ts refuses it, and unlike Node leaves a line.
    requireHostHeader: false,
    noDelay: true,
  }
  const server: Server = certificate
    ? createHttpsServer({ ...options, ...secureContext(certificate) })
    : createHttpServer(options)

  let draining = false
  let active = 0
  const deadlines = createDeadlines(deps.clock)
  const connections = new WeakMap<Duplex, H1Connection>()
  /** Node forgets a connection when it is upgraded, but waits for it when it closes. */
  const upgraded = new Set<Duplex>()
  const ended = (): void => void active--
  const run = (exchange: Exchange): void => {
    active++
    void deps.handle(exchange).then(ended)
  }
  const refuse = (socket: Socket, status: Refusal['status'], detail: string): void => {
    const connection = connections.get(socket)
    // A response is being written, or about to be: more bytes would be read as part of it.
    const busy = connection?.busy === true
    connection?.end()
    if (busy || !socket.writable) return void socket.destroy()
    // Whoever only opened a connection has asked for nothing.
    if (socket.bytesRead > 0) deps.refused({ status, detail, clientIp: addressOf(socket) })
    endSoon(
      socket,
      `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n`,
      deps.clock,
    )
  }
  server.on(certificate ? 'secureConnection' : 'connection', (socket: Socket) => {
    let deadline: Deadline | undefined
    const connection = new H1Connection(socket, {
      refuse(status, detail) {
        deadline?.stop()
        refuse(socket, status, detail)
      },
      headBegan() {
        deadline ??= deadlines.start(timeoutRead, () => refuse(socket, 408, 'the request did not come in time'))
      },
      headEnded() {
        deadline?.stop()
        deadline = undefined
      },
    })
    connections.set(socket, connection)
    // From now on; and whoever only connects must begin in time as well.
    deadline = deadlines.start(timeoutRead, () => refuse(socket, 408, 'the request did not come in time'))
    socket.once('close', () => deadline?.stop())
    // Node ends a connection behind its last answer, and so early that a client which still sends could lose that answer.
    socket.destroySoon = () => {
      connection.end()
      endSoon(socket, undefined, deps.clock)
    }
  })
  const onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    connections.get(req.socket)?.begin(req, res)
    if (draining) res.shouldKeepAlive = false
    run(httpExchange(req, res, deps))
  }
  server.on('request', onRequest)
  // Not answered here: the forwarder says "100 Continue" once the decision is taken.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    connections.get(req.socket)?.begin(req, res)
    res.writeHead(417, { connection: 'close' }).end()
    deps.refused({ status: 417, detail: 'unknown expectation', clientIp: addressOf(req.socket) })
  })
  server.on('upgrade', (req: IncomingMessage, socket: Duplex) => {
    const head = connections.get(socket)?.handOver() ?? Buffer.alloc(0)
    // Without a listener an early reset of the client would end the process.
    socket.on('error', () => socket.destroy())
    upgraded.add(socket)
    socket.once('close', () => upgraded.delete(socket))
    run(upgradeExchange(req, socket, head, deps))
  })
  server.on('clientError', ({ code = '' }: NodeJS.ErrnoException, socket: Socket) => {
    const status = code === 'HPE_HEADER_OVERFLOW' ? 431 : 400
    refuse(socket, status, code)
  })
  server.on('tlsClientError', (_error: Error, socket: Duplex) => socket.destroy())

  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(where.port, where.host, () => resolve())
  })
  return {
    address: server.address() as AddressInfo,
    stop: () =>
      new Promise((resolve) => {
        draining = true
        // A connection whose answer began before the drain is kept by its client: end it as soon as it is idle.
        const stopEnding = every(deps.clock, IDLE_CHECK_MS, () => server.closeIdleConnections())
        server.close(() => {
          stopEnding()
          resolve()
        })
      }),
    active: () => active,
    drain() {
      draining = true
    },
    reload(next) {
      timeoutRead = next.timeoutRead
      server.keepAliveTimeout = next.timeoutIdle
      if (next.certificate && 'setSecureContext' in server) {
        ;(server as HttpsServer).setSecureContext(secureContext(next.certificate))
      }
    },
    destroy() {
      server.closeAllConnections()
      for (const socket of upgraded) socket.destroy()
    },
  }
}

function secureContext({ chain, key }: Certificate) {
  return { cert: chain, key: key.reveal(), minVersion: 'TLSv1.2' } as const
}

function httpExchange(req: IncomingMessage, res: ServerResponse, deps: ListenDeps): Exchange {
  const leave = onlyOnce()
  let cutReason: CutReason | undefined
  return {
    req,
    upgrade: false,
    reply(reply) {
      leave()
      return writeReply(reply, req, res, deps.clock)
    },
    async pass(grant, forwarder) {
      leave()
      try {
        return passed(await forwarder.forward(grant, req, res), cutReason)
      } catch (error) {
        leave.undo()
        throw error
      }
    },
    cut(reason) {
      cutReason = reason
      req.socket.destroy()
    },
  }
}

function upgradeExchange(req: IncomingMessage, socket: Duplex, head: Buffer, deps: ListenDeps): Exchange {
  const leave = onlyOnce()
  let cutReason: CutReason | undefined
  return {
    req,
    upgrade: true,
    async reply(reply) {
      leave()
      return writeRawReply(reply, socket, deps.clock)
    },
    async pass(grant, forwarder) {
      leave()
      try {
        return passed(await forwarder.tunnel(grant, req, socket, head), cutReason)
      } catch (error) {
        leave.undo()
        throw error
      }
    },
    cut(reason) {
      cutReason = reason
      socket.destroy()
    },
  }
}

interface Once {
  (): void
  /** A forwarder rejects only before it wrote anything: then the exchange may still be answered with an error. */
  undo(): void
}

/** Two exits from one exchange would be two responses on one connection. */
function onlyOnce(): Once {
  let left = false
  const leave = (): void => {
    if (left) throw new TypeError('an exchange has only one exit')
    left = true
  }
  leave.undo = () => {
    left = false
  }
  return leave
}

function passed(forwarded: Awaited<ReturnType<Forwarder['forward']>>, cutReason: CutReason | undefined): Finished {
  return {
    status: forwarded.status,
    bytesOut: forwarded.bytesOut,
    forwarded: cutReason === undefined ? forwarded : { ...forwarded, cut: cutReason },
  }
}

function writeReply(reply: Reply, req: IncomingMessage, res: ServerResponse, clock: Clock): Promise<Finished> {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
  return new Promise((resolve) => {
    res.once('close', () => resolve({ status: reply.status, bytesOut: body.length }))
    if (res.destroyed || req.socket.destroyed) {
      resolve({ status: reply.status, bytesOut: 0 })
      return
    }
    const bodyless = reply.status === 204 || reply.status === 304
    res.writeHead(reply.status, flatten(reply, bodyless ? undefined : body.length))
    res.end(bodyless || req.method === 'HEAD' ? undefined : body)
    if (!req.complete) {
      const stop = clock.after(LINGER_MS, () => req.complete || req.socket.destroy())
      req.once('close', stop)
    }
  })
}

/** name, value, name, value: keeps order and repeated names (Set-Cookie). */
function flatten(reply: Reply, length: number | undefined): string[] {
  const headers = reply.headers.flatMap(([name, value]) => [name, value])
  return length === undefined ? headers : [...headers, 'content-length', String(length)]
}

function writeRawReply(reply: Reply, socket: Duplex, clock: Clock): Finished {
  const body = typeof reply.body === 'string' ? Buffer.from(reply.body) : reply.body
  const lines = reply.headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  const head = `HTTP/1.1 ${reply.status} ${STATUS_CODES[reply.status] ?? ''}\r\n${lines}content-length: ${body.length}\r\nconnection: close\r\n\r\n`
  endSoon(socket, Buffer.concat([Buffer.from(head, 'latin1'), body]), clock)
  return { status: reply.status, bytesOut: body.length }
}

function addressOf({ remoteAddress = '' }: Socket): string {
  return canonicalAddress(remoteAddress) ?? remoteAddress
}

/** Ends our side; the peer's may follow, but not for ever. Destroying at once could reset the answer away. */
function endSoon(socket: Duplex, last: Buffer | string | undefined, clock: Clock): void {
  socket.resume()
  if (last === undefined) socket.end()
  else socket.end(last)
  socket.once(
    'close',
    clock.after(LINGER_MS, () => socket.destroy()),
  )
}
