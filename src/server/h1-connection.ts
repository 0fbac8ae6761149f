/**
 * One connection of HTTP/1.1. It stands between the socket and Node's parser and hands on one request at a time: the
 * next one is not parsed, judged or forwarded before the answer to this one has been written (RFC 9112 §9.3.2), and
 * nothing is read behind a request that closes the connection.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Live } from '../config/model.ts'
import { AppError } from '../errors.ts'
import type { Exchange } from '../http/exchange.ts'
import { elapsed } from '../lib/time.ts'
import type { Monotonic, Span } from '../types.ts'
import type { Connection } from './codec.ts'
import {
  type BodyFraming,
  chunkedFraming,
  isHead,
  isSpecial,
  lengthFraming,
  mayBecomeHead,
  withoutUnknownUpgrade,
} from './h1-framing.ts'

export const MAX_HEAD_BYTES = 32 * 1024
/** What a client may send ahead before we stop reading. It is little, so that we still see most clients leave. */
const MAX_AHEAD = 64 * 1024
const END_OF_HEAD = Buffer.from('\r\n\r\n')
const NOTHING = Buffer.alloc(0)
/** Of the memory that holds a head: an idle connection must cost little. */
const MAX_REMEMBERED = 4 * 1024

export interface ConnectionEvents {
  /** The bytes are no request: answer with this status, then close. */
  refuse(status: 400 | 405 | 431, detail: string, head: Buffer): void
  /** A head has begun, and must be complete in time. */
  headBegan(): void
  headEnded(): void
}

/** What an exchange needs to know of the connection that carries it. */
export type Carrier = Omit<Connection, 'socket'>

type StuckTimeouts = Pick<Live, 'clientWriteTimeout' | 'tunnelIdleTimeout' | 'timeoutIdle'>

export class H1Connection {
  /** The one under way, or the last one. */
  exchange: (Exchange & { readonly tunnelIdle?: Span | undefined }) | undefined
  readonly carrier: Carrier
  private readonly socket: Socket
  private readonly events: ConnectionEvents
  /** Node's own listener: parses what it is given. */
  private readonly parse: (bytes: Buffer) => void
  /** `over`: whatever still arrives is dropped. */
  private state: 'head' | 'body' | 'answer' | 'over' = 'head'
  /** What has arrived and was not handed on. */
  private held: Buffer = NOTHING
  /** The last head that came alone, was well-formed and not special. Clients repeat themselves: it is not read again. */
  private remembered: Buffer = NOTHING
  private skippedEmptyLine = false
  private body: BodyFraming | undefined
  private request: IncomingMessage | undefined
  private response: ServerResponse | undefined
  private waiting = false
  private special = false
  private tunnel = false
  private progress: { written: number; writtenAt: Monotonic; moved: number; movedAt: Monotonic } | undefined

  /** Call it when Node's server has taken the connection. */
  constructor(socket: Socket, carrier: Carrier, events: ConnectionEvents) {
    const [parse, ...others] = socket.listeners('data')
    if (!parse || others.length > 0) throw new TypeError('expected one reader of a new connection')
    this.socket = socket
    this.carrier = carrier
    this.events = events
    this.parse = parse as (bytes: Buffer) => void
    socket.off('data', this.parse)
    // Node now stops reading the socket by itself and leaves the bytes to us.
    socket.on('data', this.onData)
  }

  /** Is a request under way, from its head to the last byte of its answer? */
  get busy(): boolean {
    return this.state === 'body' || (this.state === 'answer' && this.response?.destroyed === false)
  }

  /** Node has parsed the head that it was given. Does a body follow? */
  begin(request: IncomingMessage, response: ServerResponse): boolean {
    this.request = request
    this.response = response
    if (!this.special) return false
    const { 'transfer-encoding': coding, 'content-length': length = '0' } = request.headers
    this.body = coding === undefined ? lengthFraming(Number(length)) : chunkedFraming()
    return !this.body.done
  }

  /** Nothing that still arrives is a request. */
  end(): void {
    this.state = 'over'
    this.held = NOTHING
  }

  /** The connection belongs to somebody else from now on. What has arrived behind the head. */
  handOver(): Buffer {
    const { held } = this
    this.end()
    this.tunnel = true
    this.socket.off('data', this.onData)
    return held
  }

  /**
   * The body is malformed, and nobody knows where it ends: nothing more is read. False: it is too late for an answer, or
   * nothing is malformed but a head.
   */
  refuseBody(): boolean {
    const { exchange, response } = this
    if (this.state !== 'body' || !exchange?.body || !response || response.headersSent) return false
    this.end()
    response.shouldKeepAlive = false
    exchange.body.destroy(new AppError('ERR_BAD_REQUEST', 'a malformed chunk in the request body (RFC 9112 §7.1)'))
    return true
  }

  /** Ends it when no request has begun. */
  endWhenIdle(): void {
    if (this.isIdle()) this.socket.destroy()
  }

  /** Measured in bytes, so that a slow client is not taken for one that has stopped. */
  cutWhenStuck(now: Monotonic, { clientWriteTimeout, tunnelIdleTimeout, timeoutIdle }: StuckTimeouts): void {
    const { socket } = this
    // Of what waits in the stream the kernel has taken nothing yet.
    const written = socket.bytesWritten - socket.writableLength
    const moved = written + socket.bytesRead
    const before = this.progress ?? { written, writtenAt: now, moved, movedAt: now }
    const stalled = written === before.written && socket.writableLength > 0
    const progress = {
      written,
      writtenAt: stalled ? before.writtenAt : now,
      moved,
      movedAt: moved === before.moved ? before.movedAt : now,
    }
    this.progress = progress
    if (clientWriteTimeout > 0 && elapsed(now, progress.writtenAt) >= clientWriteTimeout) this.cut('client-stalled')
    const idle = this.tunnel ? (this.exchange?.tunnelIdle ?? tunnelIdleTimeout) : this.isIdle() ? timeoutIdle : 0
    if (idle > 0 && elapsed(now, progress.movedAt) >= idle) this.cut('idle')
  }

  /** Between requests, with nothing of the next one. */
  private isIdle(): boolean {
    const between = this.state === 'head' || (this.state === 'answer' && this.response?.destroyed === true)
    return between && this.held.length === 0
  }

  private cut(reason: 'client-stalled' | 'idle'): void {
    this.exchange?.abort(reason)
    this.socket.destroy()
  }

  private readonly onData = (piece: Buffer): void => {
    if (this.state === 'over') return
    const before = this.held.length
    this.held = before === 0 ? piece : Buffer.concat([this.held, piece])
    this.advance(before)
  }

  /** In a later turn of the event loop: a client that sends thousands of requests at once must not stop the others. */
  private readonly onAnswered = (): void => {
    setImmediate(serveNext, this)
  }

  serveNext(): void {
    this.waiting = false
    if (this.socket.isPaused()) this.socket.resume()
    this.advance(0)
  }

  /** `known`: how many of the held bytes were looked at before. */
  private advance(known: number): void {
    let seen = known
    for (let moved = true; moved && this.held.length > 0; seen = 0) {
      if (this.state === 'head') moved = this.takeHead(seen)
      else if (this.state === 'body') moved = this.takeBody()
      else moved = this.state === 'answer' && this.isAnswered()
    }
  }

  private takeHead(known: number): boolean {
    if (this.held[0] === 0x0d && !this.skippedEmptyLine) {
      // RFC 9112 §2.2: one empty line before a request is ignored.
      if (this.held.length === 1) {
        this.events.headBegan()
        return false
      }
      if (this.held[1] === 0x0a) {
        this.skippedEmptyLine = true
        this.held = this.held.subarray(2)
        return true
      }
    }
    const { held } = this
    if (known === 0 && held.length === this.remembered.length && held.equals(this.remembered)) {
      this.held = NOTHING
      return this.giveHead(held, false)
    }
    const end = held.indexOf(END_OF_HEAD, Math.max(0, known - END_OF_HEAD.length))
    if (end === -1) {
      if (held.length > MAX_HEAD_BYTES) this.refuse(431, 'header section too large')
      else if (!mayBecomeHead(held.toString('latin1'), known)) this.refuse(400, 'malformed request')
      else this.events.headBegan()
      return false
    }
    const length = end + END_OF_HEAD.length
    if (length > MAX_HEAD_BYTES) return this.refuse(431, 'header section too large')
    const text = held.toString('latin1', 0, length)
    if (!isHead(text)) return this.refuse(400, 'malformed request')
    if (text.startsWith('CONNECT ')) return this.refuse(405, 'method not allowed')
    this.held = held.subarray(length)
    if (!isSpecial(text)) {
      if (length === held.length && held.buffer.byteLength <= MAX_REMEMBERED) this.remembered = held
      return this.giveHead(held.subarray(0, length), false)
    }
    const cleaned = withoutUnknownUpgrade(text)
    return this.giveHead(cleaned === text ? held.subarray(0, length) : Buffer.from(cleaned, 'latin1'), true)
  }

  private giveHead(head: Buffer, special: boolean): boolean {
    this.events.headEnded()
    this.skippedEmptyLine = false
    this.special = special
    this.request = this.response = this.body = undefined
    this.state = 'answer'
    this.parse(head)
    return this.parsedHead()
  }

  private parsedHead(): boolean {
    // Refused, or handed over.
    if (this.isOver()) return false
    const { request, body } = this
    if (!request || request.complete !== (body?.done ?? true)) return this.disagree()
    if (!request.complete) this.state = 'body'
    return true
  }

  private takeBody(): boolean {
    const { held, body, request } = this
    if (!body || !request) return this.disagree()
    const taken = body.take(held)
    if (taken === undefined) return this.refuseBody() ? false : this.disagree()
    this.held = held.subarray(taken)
    this.parse(taken === held.length ? held : held.subarray(0, taken))
    if (this.isOver()) return false
    if (body.done !== request.complete) return this.disagree()
    if (body.done) this.state = 'answer'
    return true
  }

  /** TypeScript takes the state for known while a call may have changed it. */
  private isOver(): boolean {
    return this.state === 'over'
  }

  private isAnswered(): boolean {
    if (!this.response?.destroyed) {
      // Nobody needs to be told in the usual case: the next request arrives after the answer.
      if (!this.waiting) this.response?.once('close', this.onAnswered)
      this.waiting = true
      if (this.held.length > MAX_AHEAD) this.socket.pause()
      return false
    }
    if (this.socket.writable) this.state = 'head'
    else this.end()
    return true
  }

  private refuse(status: 400 | 405 | 431, detail: string): false {
    const { held } = this
    this.end()
    this.events.refuse(status, detail, held)
    return false
  }

  /** Two readers have cut the same bytes differently: the end of the connection, whatever was meant. */
  private disagree(): false {
    this.end()
    this.socket.destroy()
    return false
  }
}

function serveNext(connection: H1Connection): void {
  connection.serveNext()
}
