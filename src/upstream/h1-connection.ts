import { connect, type NetConnectOpts, Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Monotonic, Span } from '../types.ts'
import { KEEP_ALIVE, MAX_CONNECTION_AGE, type UpstreamConnection } from './connection.ts'
import { readBeforeFailing } from './early-answer.ts'
import { lateUpstream } from './failure.ts'
import type { H1Carrier, H1Exchange } from './h1-exchange.ts'
import { READ } from './h1-heads.ts'
import { connectTls } from './tls-handshake.ts'

/** How much earlier than a server that says when it closes: what it says may be on its way meanwhile. */
const MARGIN: Span = 1000
/** TCP's own; the first after a minute of silence. */
const PROBING: Span = 60_000
const NOTHING = Buffer.alloc(0)

export interface H1ConnectionParts {
  /** For people. */
  readonly origin: string
  /** `Host` of the upstream itself. */
  readonly authority: string
  readonly target: UpstreamConnection['target']
  /** Absent: no TLS. */
  readonly tls?: ConnectionOptions
  readonly connectTimeout: Span
  readonly clock: Clock
  readonly deadlines: Deadlines
}

/** Where a connection goes when it is free, and when it is closed. */
export interface H1ConnectionOwner {
  /** It may serve again. */
  onFree(connection: H1Connection): void
  /** Its socket is closed. `stale`: it had served, and the next request got no byte of an answer. */
  onClosed(connection: H1Connection, stale: boolean): void
}

/**
 * One connection to an upstream, one exchange at a time (pipelining would let one answer hold up others, and is where
 * answers get mixed up). What comes without TLS is read into one buffer again and again: a new one for each read costs more
 * than everything that is done with the bytes. Only a piece that the client has not taken yet keeps its buffer.
 */
export class H1Connection implements H1Carrier {
  private readonly parts: H1ConnectionParts
  private readonly owner: H1ConnectionOwner
  private readonly socket: Socket
  private readonly bornAt: Monotonic
  private exchange: H1Exchange | undefined
  private buffer = NOTHING
  private served = false
  private error: Error | undefined
  /** Of the connection attempt, then of the idle time. */
  private deadline: Deadline

  /** @param begun the exchange to connect for, which begins when the connection stands; or a socket that stands, and is free. */
  constructor(parts: H1ConnectionParts, owner: H1ConnectionOwner, begun: H1Exchange | Socket) {
    this.parts = parts
    this.owner = owner
    const { connectTimeout, deadlines, clock } = parts
    this.bornAt = clock.monotonic()
    if (begun instanceof Socket) {
      this.socket = begun.on('data', this.onPiece)
      this.deadline = deadlines.start(KEEP_ALIVE, this.onIdle)
    } else {
      this.exchange = begun
      this.socket = parts.tls ? this.connectSecurely(parts.tls) : this.connectPlainly()
      this.deadline = deadlines.start(connectTimeout, this.onLate)
    }
    this.socket
      .on('drain', this.onDrain)
      .on('end', this.onEnd)
      .on('error', (error) => (this.error ??= error))
      .on('close', this.onClose)
    readBeforeFailing(this.socket, deadlines)
  }

  get origin(): string {
    return this.parts.origin
  }

  get authority(): string {
    return this.parts.authority
  }

  get closed(): boolean {
    return this.socket.destroyed
  }

  /** Idle until now: the next exchange begins at once. */
  take(exchange: H1Exchange): void {
    this.deadline.stop()
    this.exchange = exchange
    this.begin(exchange)
  }

  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  release(keepAlive?: number): void {
    const { clock, deadlines } = this.parts
    const idle = keepAlive === undefined ? KEEP_ALIVE : Math.min(KEEP_ALIVE, keepAlive * 1000 - MARGIN)
    if (idle <= 0 || elapsed(clock.monotonic(), this.bornAt) >= MAX_CONNECTION_AGE) return this.giveUp()
    this.exchange = undefined
    this.served = true
    // Of a client that was too slow nothing is left for the next exchange.
    if (this.socket.isPaused()) this.socket.resume()
    this.deadline = deadlines.start(idle, this.onIdle)
    this.owner.onFree(this)
  }

  giveUp(): void {
    this.exchange = undefined
    this.socket.destroy()
  }

  /** Ends it, and what is under way with it. */
  cut(error: Error): void {
    this.error ??= error
    this.socket.destroy()
  }

  private connectPlainly(): Socket {
    this.buffer = Buffer.allocUnsafeSlow(READ)
    const options: NetConnectOpts = {
      ...this.parts.target,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: PROBING,
      onread: { buffer: () => this.buffer, callback: this.onRead },
    }
    return connect(options).on('connect', this.onConnect)
  }

  private connectSecurely(tls: ConnectionOptions): Socket {
    const { target, clock } = this.parts
    // Once: an upstream may shake hands again in the middle of an exchange (RFC 5246 §7.4.1.1).
    return connectTls({ target, tls, clock }, ['http/1.1'])
      .once('secureConnect', this.onConnect)
      .on('data', this.onPiece)
  }

  private begin(exchange: H1Exchange): void {
    try {
      exchange.begin(this, this.socket)
    } catch (error) {
      exchange.fail(asError(error))
    }
  }

  private readonly onConnect = (): void => {
    this.deadline.stop()
    if (this.exchange) this.begin(this.exchange)
  }

  private readonly onRead = (length: number): true => {
    const { buffer } = this
    const used = this.onPiece(length === buffer.length ? buffer : buffer.subarray(0, length))
    // While it is paused nothing is read; a handler that resumes has used what it had.
    if (!used && !this.socket.isPaused()) this.buffer = Buffer.allocUnsafeSlow(READ)
    return true
  }

  /** True: the bytes have been used. */
  private readonly onPiece = (bytes: Buffer): boolean => {
    const { exchange } = this
    if (!exchange) {
      // Nobody asked: whatever it is, it must not be taken for the next answer.
      this.socket.destroy()
      return true
    }
    try {
      return exchange.read(bytes)
    } catch (error) {
      exchange.fail(asError(error))
      return true
    }
  }

  private readonly onDrain = (): void => {
    this.exchange?.onDrain()
  }

  private readonly onEnd = (): void => {
    this.exchange?.onEnd()
    this.socket.destroy()
  }

  private readonly onIdle = (): void => {
    this.socket.destroy()
  }

  private readonly onLate = (): void => {
    const { origin, connectTimeout } = this.parts
    this.cut(lateUpstream(origin, 'no connection', { span: connectTimeout, key: 'upstream_connect_timeout' }))
  }

  private readonly onClose = (): void => {
    const { exchange, error = new ConnectionClosed() } = this
    this.deadline.stop()
    this.exchange = undefined
    this.owner.onClosed(this, this.served && exchange?.heard === false)
    exchange?.onClosed(error, this.served)
  }
}

/** The other end hung up without an error. */
class ConnectionClosed extends Error {
  readonly code = 'ECONNRESET'

  constructor() {
    super('other side closed')
  }
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown))
}
