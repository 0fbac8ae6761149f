/**
 * The listener for HTTP/1.1: one `Exchange` per request or upgrade. h1-connection.ts cuts the requests from the bytes,
 * Node's strict parser reads them, routing/target.ts judges what both let through.
 */
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer as createHttpsServer } from 'node:https'
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net'
import type { SecureContext } from 'node:tls'
import type { Duplex } from 'node:stream'
import { every } from '../lib/clock.ts'
import { createDeadlines, type Deadline } from '../lib/deadlines.ts'
import { canonicalAddress } from '../routing/address.ts'
import type { BadRequest, Exchange, Reply } from '../http/exchange.ts'
import type { Clock, Logger, Span } from '../types.ts'
import type { Address, Live } from '../config/model.ts'
import type { Certificate } from '../config/route-model.ts'
import { bind } from './bind.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import { H1Connection, MAX_HEAD_BYTES } from './h1-connection.ts'
import { looksLikeNavigation } from './h1-framing.ts'
import { endSoon, H1Exchange, H1UpgradeExchange } from './h1-exchange.ts'

export type Timeouts = Pick<
  Live,
  'timeoutRead' | 'timeoutIdle' | 'clientBodyTimeout' | 'clientBodyMinRate' | 'clientWriteTimeout' | 'tunnelIdleTimeout'
>

export interface ListenDeps {
  readonly listen: Address
  /** Plain HTTP without it and without `contextOf`. */
  readonly certificate?: Certificate | undefined
  /** Certificates by server name (RFC 6066 §3), before `certificate`. Absent: that one alone. */
  readonly contextOf?: ((host: string) => SecureContext | undefined) | undefined
  readonly timeouts: Timeouts
  readonly clock: Clock
  readonly logger: Pick<Logger, 'error'>
  /** Never rejects: its one catch is inside. */
  readonly handle: (exchange: Exchange) => Promise<void>
  /** Told of what never became an exchange. Gives the answer for a person; programs get the status alone. */
  readonly refused: (refusal: Refusal) => Reply | undefined
}

export type Refusal = Pick<BadRequest, 'status' | 'detail' | 'clientIp' | 'wants'>

export interface Listener {
  readonly address: AddressInfo
  /** Exchanges that have begun and not ended. */
  active(): number
  /** Time-outs, and the certificate of connections, from now on. */
  reload(next: Timeouts & Pick<Live, 'certificate'>): void
  /** From now on every answer asks its client to connect anew, so that few connections are kept when `stop` comes. */
  drain(): void
  /** Stops accepting; idle connections end now, busy ones after their exchange. */
  stop(): Promise<void>
  /** Ends every connection at once. */
  destroy(): void
}

const IDLE_CHECK: Span = 100
/** Looks at a connection within the shortest time-out. */
const SWEEPS = 4

export async function listen(deps: ListenDeps): Promise<Listener> {
  const { listen: where, certificate, contextOf, clock } = deps
  let { timeouts } = deps
  const options = {
    maxHeaderSize: MAX_HEAD_BYTES,
    // Ours is exact; Node looks only now and then.
    headersTimeout: 0,
    // A request may be an upload of any length; body-patience.ts ends the slow ones.
    requestTimeout: 0,
    // The sweep ends idle connections: a timer for each answer costs a tenth of a small one.
    keepAliveTimeout: 0,
    insecureHTTPParser: false,
    // routing/target.ts refuses it, and unlike Node leaves a line.
    requireHostHeader: false,
    noDelay: true,
  }
  const isTls = certificate !== undefined || contextOf !== undefined
  const server = isTls
    ? createHttpsServer({
        ...options,
        ...secureContext(certificate),
        ...(contextOf && { SNICallback: byName(contextOf) }),
      })
    : createHttpServer(options)

  let draining = false
  let active = 0
  const deadlines = createDeadlines(clock)
  const patienceOf = ({ clientBodyTimeout, clientBodyMinRate }: Timeouts): BodyPatienceParts => ({
    idle: { span: clientBodyTimeout, key: 'client_body_timeout' },
    minRate: clientBodyMinRate,
    deadlines,
    clock,
  })
  let patience = patienceOf(timeouts)
  const connections = new Map<Duplex, H1Connection>()
  /** Below TLS, by the client's address and port. */
  const sockets = new Map<string, Socket>()
  const ended = (): void => void active--
  const run = (exchange: Exchange): void => {
    active++
    void deps.handle(exchange).then(ended)
  }

  /** For what never became a request: no facts, a constant answer. `detail`: constant too, such as the parser's code. */
  function refuse(socket: Socket, status: Refusal['status'], detail: string, sent?: Buffer): void {
    const connection = connections.get(socket)
    // A response is being written, or about to be: more bytes would be read as part of it.
    const busy = connection?.busy === true
    connection?.end()
    if (busy || !socket.writable) return void socket.destroy()
    // Whoever only opened a connection has asked for nothing.
    const wants = sent && looksLikeNavigation(sent.toString('latin1')) ? 'html' : 'json'
    const reply =
      socket.bytesRead > 0 ? deps.refused({ status, detail, clientIp: addressOf(socket), wants }) : undefined
    endSoon(socket, wireText(status, wants === 'html' ? reply : undefined), clock)
  }

  function accept(socket: Socket): void {
    let deadline: Deadline | undefined
    const begin = (): void => {
      deadline ??= deadlines.start(timeouts.timeoutRead, () =>
        refuse(socket, 408, 'the request header did not come in time; the limit is timeout_read'),
      )
    }
    const end = (): void => {
      deadline?.stop()
      deadline = undefined
    }
    const connection = new H1Connection(socket, {
      headBegan: begin,
      headEnded: end,
      refuse(status, detail, head) {
        end()
        refuse(socket, status, detail, head)
      },
    })
    connections.set(socket, connection)
    // Whoever only connects must begin in time as well.
    begin()
    socket.once('close', () => {
      end()
      connections.delete(socket)
    })
    // TLS cannot be reset, and a connection that ends in order makes a cut answer look whole: reset what carries it.
    const below = sockets.get(peerOf(socket))
    if (below && below !== socket) {
      socket.resetAndDestroy = () => {
        below.resetAndDestroy()
        return socket
      }
    }
    // Node ends a connection behind its last answer, and so early that a client which still sends could lose that answer.
    socket.destroySoon = () => {
      connection.end()
      endSoon(socket, undefined, clock)
    }
  }

  const onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    if (draining) res.shouldKeepAlive = false
    const connection = connections.get(req.socket)
    const exchange = new H1Exchange(req, res, connection?.begin(req, res) === true, patience)
    if (connection) connection.exchange = exchange
    run(exchange)
  }
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket)
    sockets.set(peer, socket)
    socket.once('close', () => sockets.get(peer) === socket && sockets.delete(peer))
  })
  server.on(isTls ? 'secureConnection' : 'connection', accept)
  server.on('request', onRequest)
  // Not answered here: "100 Continue" is said when somebody wants the body.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    connections.get(req.socket)?.begin(req, res)
    res.writeHead(417, { connection: 'close' }).end()
    deps.refused({ status: 417, detail: 'unknown expectation', clientIp: addressOf(req.socket), wants: 'json' })
  })
  server.on('upgrade', (req: IncomingMessage, socket: Duplex) => {
    const connection = connections.get(socket)
    const exchange = new H1UpgradeExchange(req, socket as Socket, connection?.handOver() ?? Buffer.alloc(0), clock)
    if (connection) connection.exchange = exchange
    run(exchange)
  })
  server.on('clientError', ({ code = '' }: NodeJS.ErrnoException, socket: Socket) => {
    // A client that ends within its body is none that waits for an answer.
    if (code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE' && connections.get(socket)?.refuseBody()) return
    refuse(socket, code === 'HPE_HEADER_OVERFLOW' ? 431 : 400, code)
  })
  server.on('tlsClientError', (_error: Error, socket: Duplex) => socket.destroy())

  await bind(server, where, 'address')
  // A connection that cannot be accepted (no more file descriptors) is no reason to end.
  server.on('error', (error) => deps.logger.error({ cause: error.message }, 'the listener reports an error'))
  let stopSweeping = sweep()

  /** Cuts clients that read nothing, idle connections, and tunnels in which nothing is said. */
  function sweep(): () => void {
    const shortest = Math.min(
      ...[timeouts.clientWriteTimeout, timeouts.tunnelIdleTimeout, timeouts.timeoutIdle].filter((span) => span > 0),
    )
    if (!Number.isFinite(shortest)) return () => {}
    return every(clock, Math.ceil(shortest / SWEEPS), () => {
      const now = clock.monotonic()
      for (const connection of connections.values()) connection.cutWhenStuck(now, timeouts)
    })
  }

  return {
    address: server.address() as AddressInfo,
    stop: () =>
      new Promise((resolve) => {
        draining = true
        const endIdle = (): void => {
          for (const connection of connections.values()) connection.endWhenIdle()
        }
        // A connection whose answer began before the drain is kept by its client: end it as soon as it is idle.
        const stopEnding = every(clock, IDLE_CHECK, endIdle)
        // Not the method of node:http, which also ends connections whose answer is not wholly written.
        NetServer.prototype.close.call(server, () => {
          stopEnding()
          stopSweeping()
          deadlines.close()
          resolve()
        })
        endIdle()
      }),
    active: () => active,
    drain() {
      draining = true
    },
    reload(next) {
      if (next.certificate && 'setSecureContext' in server) {
        server.setSecureContext(secureContext(next.certificate))
      }
      timeouts = next
      patience = patienceOf(next)
      stopSweeping()
      stopSweeping = sweep()
    },
    destroy() {
      for (const socket of sockets.values()) socket.destroy()
    },
  }
}

function secureContext(certificate: Certificate | undefined) {
  const pair = certificate && { cert: certificate.chain, key: certificate.key.reveal() }
  return { ...pair, minVersion: 'TLSv1.2' } as const
}

/** Without a context for the name `certificate` is shown; without that, too, the handshake fails. */
function byName(contextOf: (host: string) => SecureContext | undefined) {
  return (name: string, answer: (error: null, context?: SecureContext) => void): void =>
    answer(null, contextOf(name.toLowerCase()))
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}

function addressOf({ remoteAddress = '' }: Socket): string {
  return canonicalAddress(remoteAddress) ?? remoteAddress
}

/** An answer behind which the connection ends. */
function wireText(status: number, { headers, body }: Pick<Reply, 'headers' | 'body'> = NO_BODY): string {
  const fields = [...headers.filter(([name]) => name !== 'connection'), ['connection', 'close'] as const]
  const head = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${String(body)}`
}

const NO_BODY = { headers: [], body: '' } as const
