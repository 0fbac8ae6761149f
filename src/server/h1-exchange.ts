/** HTTP/1.1 behind the seam of exchanges: a request of Node's parser and its response, or the socket of an upgrade. */
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { ErrorCode } from '../errors.ts'
import type { CutReason, Exchange, RequestBody, RequestHead, ResponseBody, ResponseHead } from '../http/exchange.ts'
import { headerLines, listOf } from '../http/header-lines.ts'
import type { Clock, Span } from '../types.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import { H1Body } from './h1-body.ts'
import type { Carrier } from './h1-connection.ts'

/** What the client still sends after our answer is read and dropped this long; then the connection ends. */
const LINGER: Span = 10_000

/** Ends our side; the client's may follow, but not for ever. Destroying at once could reset the answer away. */
export function endSoon(socket: Socket, last: string | undefined, clock: Clock): void {
  socket.resume()
  if (last === undefined) socket.end()
  else socket.end(last)
  socket.once(
    'close',
    clock.after(LINGER, () => socket.destroy()),
  )
}

function headOf(req: IncomingMessage, { peer, encrypted, facts }: Carrier, upgrade: boolean): RequestHead {
  return {
    method: req.method ?? '',
    target: req.url ?? '',
    headers: headerLines(req.rawHeaders),
    httpVersion: req.httpVersion,
    peer,
    encrypted,
    connection: facts,
    upgrade,
  }
}

function writeHead(res: ServerResponse, { status, reason, headers, length, close }: ResponseHead): void {
  const list = listOf(headers)
  if (length !== undefined) list.push('content-length', String(length))
  if (close) list.push('connection', 'close')
  if (reason === undefined) res.writeHead(status, list)
  else res.writeHead(status, reason, list)
}

/** The one exit. */
abstract class OneExit {
  readonly head: RequestHead
  aborted: CutReason | ErrorCode | undefined
  protected readonly carrier: Carrier
  protected readonly req: IncomingMessage
  protected readonly clock: Clock
  private left = false

  constructor(carrier: Carrier, req: IncomingMessage, upgrade: boolean, clock: Clock) {
    this.head = headOf(req, carrier, upgrade)
    this.carrier = carrier
    this.req = req
    this.clock = clock
  }

  /** Two exits would be two responses on one connection. */
  protected leave(): void {
    if (this.left) throw new TypeError('an exchange has only one exit')
    this.left = true
  }
}

export class H1Exchange extends OneExit implements Exchange {
  private readonly res: ServerResponse
  private readonly hasBody: boolean
  private readonly patience: BodyPatienceParts
  private stream: H1Body | undefined

  constructor(
    carrier: Carrier,
    req: IncomingMessage,
    res: ServerResponse,
    hasBody: boolean,
    patience: BodyPatienceParts,
  ) {
    super(carrier, req, false, patience.clock)
    this.res = res
    this.hasBody = hasBody
    this.patience = patience
  }

  get body(): RequestBody | undefined {
    if (this.hasBody) this.stream ??= new H1Body(this.req, this.patience, () => this.onWanted())
    return this.stream
  }

  get closed(): boolean {
    return this.res.destroyed
  }

  onClosed(listener: () => void): void {
    if (this.res.destroyed) process.nextTick(listener)
    // Said once, and `once` would wrap the listener.
    else this.res.on('close', listener)
  }

  respond(head: ResponseHead): ResponseBody {
    this.leave()
    const { res } = this
    if (this.hasBody) res.once('finish', () => this.onFinish())
    writeHead(res, head)
    return res
  }

  upgrade(): Duplex {
    throw new TypeError('the request asks for no upgrade')
  }

  abort(reason: CutReason | ErrorCode): void {
    if (this.res.destroyed) return
    this.aborted = reason
    // A body that ends with its connection (HTTP/1.0) must not look complete: reset it instead.
    if (this.head.httpVersion === '1.0') this.carrier.reset()
    else this.req.socket.destroy()
  }

  private onWanted(): void {
    const { req, res } = this
    // RFC 9110 §10.1.1: asked for by the client, answered here, when somebody wants the body. HTTP/1.0 has no 100.
    if (req.headers.expect !== undefined && req.httpVersionMinor > 0 && !res.headersSent) res.writeContinue()
  }

  private onFinish(): void {
    const { req } = this
    if (!req.complete)
      req.once(
        'close',
        this.clock.after(LINGER, () => req.complete || req.socket.destroy()),
      )
  }
}

export class H1UpgradeExchange extends OneExit implements Exchange {
  readonly body = undefined
  closed = false
  tunnelIdle: Span | undefined
  private upgraded = false
  private readonly socket: Socket
  private readonly behind: Buffer
  private readonly listeners: (() => void)[] = []

  /** @param behind what the client sent right behind its request. */
  constructor(carrier: Carrier, req: IncomingMessage, socket: Socket, behind: Buffer, clock: Clock) {
    super(carrier, req, true, clock)
    this.socket = socket
    this.behind = behind
    // Without a listener an early reset of the client would end the process.
    socket.on('error', () => socket.destroy())
    // A client that leaves before it is answered wants no tunnel, and nobody reads the rest of a refusal.
    socket.once('end', () => this.upgraded || this.closed || socket.destroy())
    socket.once('close', this.close)
  }

  onClosed(listener: () => void): void {
    if (this.closed) process.nextTick(listener)
    else this.listeners.push(listener)
  }

  respond(head: ResponseHead): ResponseBody {
    this.leave()
    const { socket } = this
    // What was sent behind the request is nobody's; unread it would hide that the client leaves.
    socket.resume()
    const res = new ServerResponse(this.req)
    // The end of the connection is the end of the answer.
    res.shouldKeepAlive = res.useChunkedEncodingByDefault = false
    res.assignSocket(socket)
    // Node's server does that for connections of its own.
    socket.on('drain', () => res.emit('drain'))
    res.once('finish', () => {
      res.detachSocket(socket)
      endSoon(socket, undefined, this.clock)
      this.close()
    })
    writeHead(res, head)
    return res
  }

  upgrade(headers: string, idle?: Span): Duplex {
    this.leave()
    this.upgraded = true
    this.tunnelIdle = idle
    const { socket } = this
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`, 'latin1')
    if (this.behind.length > 0) socket.unshift(this.behind)
    return socket
  }

  abort(reason: CutReason | ErrorCode): void {
    if (this.closed) return
    this.aborted = reason
    this.carrier.reset()
    // Below TLS, whose socket hears of it later.
    this.socket.destroy()
  }

  private readonly close = (): void => {
    if (this.closed) return
    this.closed = true
    for (const listener of this.listeners) listener()
  }
}
