/**
 * The codec of HTTP/1.1: one `Exchange` per request or upgrade. h1-connection.ts cuts the requests from the bytes,
 * Node's strict parser reads them, routing/target.ts judges what both let through.
 */
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Deadline } from '../lib/deadlines.ts'
import type { Reply } from '../http/exchange.ts'
import { field } from '../http/header-lines.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import type { Codec, CodecParts, Connection, Refusal, Timeouts } from './codec.ts'
import { H1Connection, MAX_HEAD_BYTES } from './h1-connection.ts'
import { looksLikeNavigation } from './h1-framing.ts'
import { endSoon, H1Exchange, H1UpgradeExchange } from './h1-exchange.ts'

const OPTIONS = {
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
}

export function createH1({ timeouts: first, deadlines, clock, run, refused }: CodecParts): Codec {
  let timeouts = first
  // It never listens: it is given connections.
  const server = createServer(OPTIONS)

  let draining = false
  const patienceOf = ({ clientBodyTimeout, clientBodyMinRate }: Timeouts): BodyPatienceParts => ({
    idle: { span: clientBodyTimeout, key: 'client_body_timeout' },
    minRate: clientBodyMinRate,
    deadlines,
    clock,
  })
  let patience = patienceOf(timeouts)
  const connections = new Map<Duplex, H1Connection>()

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
      socket.bytesRead > 0 ? refused({ status, detail, clientIp: connection?.carrier.peer ?? '', wants }) : undefined
    endSoon(socket, wireText(status, wants === 'html' ? reply : undefined), clock)
  }

  function accept({ socket, ...carrier }: Connection): void {
    server.emit('connection', socket)
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
    const connection = new H1Connection(socket, carrier, {
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
    // Node ends a connection behind its last answer, and so early that a client which still sends could lose that answer.
    socket.destroySoon = () => {
      connection.end()
      endSoon(socket, undefined, clock)
    }
  }

  const onRequest = (req: IncomingMessage, res: ServerResponse): void => {
    if (draining) res.shouldKeepAlive = false
    const connection = connections.get(req.socket)
    if (!connection) return void req.socket.destroy()
    const exchange = new H1Exchange(connection.carrier, req, res, connection.begin(req, res), patience)
    connection.exchange = exchange
    run(exchange)
  }
  server.on('request', onRequest)
  // Not answered here: "100 Continue" is said when somebody wants the body.
  server.on('checkContinue', onRequest)
  server.on('checkExpectation', (req: IncomingMessage, res: ServerResponse) => {
    const connection = connections.get(req.socket)
    connection?.begin(req, res)
    res.writeHead(417, { connection: 'close' }).end()
    refused({ status: 417, detail: 'unknown expectation', clientIp: connection?.carrier.peer ?? '', wants: 'json' })
  })
  server.on('upgrade', (req: IncomingMessage, socket: Duplex) => {
    const connection = connections.get(socket)
    if (!connection) return void socket.destroy()
    const behind = connection.handOver()
    const exchange = new H1UpgradeExchange(connection.carrier, req, socket as Socket, behind, clock)
    connection.exchange = exchange
    return run(exchange)
  })
  server.on('clientError', ({ code = '' }: NodeJS.ErrnoException, socket: Socket) => {
    // A client that ends within its body is none that waits for an answer.
    if (code.startsWith('HPE_') && code !== 'HPE_INVALID_EOF_STATE' && connections.get(socket)?.refuseBody()) return
    refuse(socket, code === 'HPE_HEADER_OVERFLOW' ? 431 : 400, code)
  })

  return {
    accept,
    reload(next) {
      timeouts = next
      patience = patienceOf(next)
    },
    drain() {
      draining = true
    },
    sweep(now) {
      for (const connection of connections.values()) connection.cutWhenStuck(now, timeouts)
    },
    endIdle() {
      for (const connection of connections.values()) connection.endWhenIdle()
    },
  }
}

/** An answer behind which the connection ends. */
function wireText(status: number, { headers, body }: Pick<Reply, 'headers' | 'body'> = NO_BODY): string {
  const head = headers.map(([name, value]) => field(name, value)).join('')
  return `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${head}connection: close\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${String(body)}`
}

const NO_BODY = { headers: [], body: '' } as const
