/**
 * One connection of HTTP/1.1: cuts requests from its bytes (src/wire) and hands them on one at a time. The next one is not
 * looked at before the answer to this one has been written (RFC 9112 §9.3.2), and nothing is read after a request that
 * closes the connection.
 */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { AppError } from '../errors.ts'
import type { Deadline } from '../lib/deadlines.ts'
import { elapsed } from '../lib/time.ts'
import type { Monotonic, WallTime } from '../types.ts'
import { ChunkedDecoder } from '../wire/chunked.ts'
import { endOfHead } from '../wire/field-lines.ts'
import { mayBecomeHead, type ScannedHead, scanHead } from '../wire/request-head.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import type { CodecParts, Connection, Refusal, Timeouts } from './codec.ts'
import { type Carrier, H1Exchange } from './h1-exchange.ts'
import { endSoon, LINGER } from './linger.ts'

const MAX_HEAD_BYTES = 32 * 1024
/** What a client may send ahead before we stop reading: enough that we usually still notice when it leaves. */
const MAX_AHEAD = 64 * 1024
const NOTHING = Buffer.alloc(0)
const CR = 0x0d
const LF = 0x0a

/** What all connections of a listener share, as it is now. */
export interface H1Context extends Pick<CodecParts, 'clock' | 'deadlines' | 'run'> {
  readonly timeouts: Timeouts
  readonly patience: BodyPatienceParts
  readonly draining: boolean
  /** The answer to bytes that are no request; `begin` is all of them, or their beginning. `''`: none. */
  readonly refusal: (connection: Connection, status: Refusal['status'], detail: string, begin: Buffer) => string
  readonly closed: (connection: H1Connection) => void
}

export class H1Connection implements Carrier {
  readonly socket: Socket
  private readonly connection: Connection
  private readonly context: H1Context
  /** `over`: what still arrives is dropped. */
  private state: 'head' | 'body' | 'answer' | 'tunnel' | 'over' = 'head'
  /** The exchange under way; undefined between requests. */
  private exchange: H1Exchange | undefined
  /** Bytes that have arrived and were not used yet. */
  private held: Buffer = NOTHING
  private skippedEmptyLine = false
  /** What is left of the body: octets, or the decoder of its chunks. */
  private body: number | ChunkedDecoder = 0
  /** The reader of the body has no room. */
  private full = false
  private last = false
  private deadline: Deadline | undefined
  private progress: { written: number; writtenAt: Monotonic; moved: number; movedAt: Monotonic } | undefined

  constructor(connection: Connection, context: H1Context) {
    const { socket } = connection
    this.socket = socket
    this.connection = connection
    this.context = context
    socket.on('data', this.onData).on('end', this.onEnd).on('drain', this.onDrain)
    socket.once('close', this.onClose)
    // `close` follows and is enough. Node does not destroy a TLS socket whose records cannot be deciphered.
    socket.on('error', () => socket.destroy())
    // A client that only connects must begin in time as well.
    this.awaitHead()
  }

  get patience(): BodyPatienceParts {
    return this.context.patience
  }

  now(): WallTime {
    return this.context.clock.now()
  }

  reset(): void {
    this.connection.reset()
  }

  /** Ends the connection if no request has begun. */
  endWhenIdle(): void {
    if (this.isIdle()) this.socket.destroy()
  }

  /** Measured in bytes, so that a slow client is not taken for one that has stopped. */
  cutWhenStuck(now: Monotonic): void {
    const { socket } = this
    const { clientWriteTimeout, tunnelIdleTimeout, timeoutIdle } = this.context.timeouts
    // The kernel has not taken what waits in the stream.
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
    const isTunnel = this.state === 'tunnel'
    const idle = isTunnel ? (this.exchange?.tunnelIdle ?? tunnelIdleTimeout) : this.isIdle() ? timeoutIdle : 0
    if (idle > 0 && elapsed(now, progress.movedAt) >= idle) this.cut('idle')
  }

  // What the exchange asks for.

  closesBehind(asked: boolean): boolean {
    this.last ||= asked || this.context.draining
    return this.last
  }

  readOn(): void {
    this.full = false
    this.advance(0)
  }

  answered(): void {
    if (this.last) return this.linger()
    if (this.state === 'answer') return this.next()
    // The rest of the request may take a while, but not for ever.
    this.deadline = this.context.deadlines.start(LINGER, () => this.socket.destroy())
    this.exchange?.dropBody()
    this.readOn()
  }

  handOver(head: string): Duplex {
    const { socket, held } = this
    this.state = 'tunnel'
    this.held = NOTHING
    socket.off('data', this.onData).off('end', this.onEnd).off('drain', this.onDrain)
    // Without a `readable` listener it would drop what arrives before the next reader listens.
    socket.on('readable', ignore).off('readable', ignore)
    socket.write(head, 'latin1')
    if (held.length > 0) socket.unshift(held)
    return socket
  }

  // The socket.

  private readonly onData = (piece: Buffer): void => {
    if (this.state === 'over') return
    const before = this.held.length
    this.held = before === 0 ? piece : Buffer.concat([this.held, piece])
    this.advance(before)
  }

  private readonly onEnd = (): void => {
    // A client that ends its side while it waits for an answer has left.
    if (this.exchange?.closed === false) return void this.socket.destroy()
    this.end()
    this.socket.end()
  }

  private readonly onDrain = (): void => {
    this.exchange?.onDrain()
  }

  private readonly onClose = (): void => {
    this.end()
    this.exchange?.onConnectionClosed()
    this.context.closed(this)
  }

  // Requests.

  /** `known`: how many of the held bytes were looked at before. */
  private advance(known: number): void {
    let seen = known
    for (let moved = true; moved && this.held.length > 0; seen = 0) {
      if (this.state === 'head') moved = this.takeHead(seen)
      else if (this.state === 'body' && !this.full && this.exchange?.takesBody) moved = this.takeBody(this.exchange)
      else moved = false
    }
    this.flow()
  }

  private flow(): void {
    const { socket } = this
    const stop = this.full || this.held.length > MAX_AHEAD
    if (this.state === 'tunnel' || stop === socket.isPaused()) return
    if (stop) socket.pause()
    else socket.resume()
  }

  private takeHead(known: number): boolean {
    if (this.held[0] === CR && !this.skippedEmptyLine) {
      // RFC 9112 §2.2: one empty line before a request is ignored.
      if (this.held.length === 1) return this.awaitHead()
      if (this.held[1] === LF) {
        this.skippedEmptyLine = true
        this.held = this.held.subarray(2)
        return true
      }
    }
    const { held } = this
    const end = endOfHead(held, 0, known)
    if (end > MAX_HEAD_BYTES || (end === -1 && held.length > MAX_HEAD_BYTES)) {
      return this.refuse(431, 'header section too large')
    }
    if (end === -1) return mayBecomeHead(held, known) ? this.awaitHead() : this.refuse(400, 'malformed request')
    const head = scanHead(held, 0, end)
    if ('problem' in head) return this.refuse(head.status, head.problem)
    this.held = end === held.length ? NOTHING : held.subarray(end)
    this.begin(head)
    return true
  }

  private begin(scanned: ScannedHead): void {
    const { method, target, httpVersion, headers, framing, upgrade, upgradeTo, close } = scanned
    const { peer, encrypted, facts } = this.connection
    this.deadline?.stop()
    this.deadline = undefined
    this.skippedEmptyLine = false
    this.full = false
    // What follows is perhaps of the other protocol, and no request, whether the upgrade is refused or fails.
    this.last = close || upgrade || upgradeTo !== undefined
    this.body = framing === 'chunked' ? new ChunkedDecoder() : framing
    const head = { method, target, headers, httpVersion, peer, encrypted, upgrade, upgradeTo, connection: facts }
    const exchange = new H1Exchange(this, scanned, head)
    this.exchange = exchange
    this.state = exchange.hasBody ? 'body' : 'answer'
    this.context.run(exchange)
  }

  private takeBody(exchange: H1Exchange): boolean {
    const { held, body } = this
    let piece: Buffer
    let rest: number
    let done: boolean
    if (typeof body === 'number') {
      rest = Math.min(body, held.length)
      piece = rest === held.length ? held : held.subarray(0, rest)
      this.body = body - rest
      done = body === rest
    } else {
      const to = body.decode(held, 0, held.length)
      if (to === -1) return this.refuseBody(exchange)
      piece = held.subarray(body.start, to)
      rest = body.end
      done = body.done
    }
    this.held = rest === held.length ? NOTHING : held.subarray(rest)
    if (done) this.state = 'answer'
    this.full = piece.length > 0 && !exchange.take(piece) && !done
    // `take` may have ended the connection.
    if (done && !this.isOver()) {
      exchange.onBodyEnd()
      if (exchange.closed) this.next()
    }
    return true
  }

  /** The end of the body is unknown, so nothing more is read. */
  private refuseBody(exchange: H1Exchange): false {
    this.end()
    this.last = true
    exchange.failBody(new AppError('ERR_BAD_REQUEST', 'a malformed chunk in the request body (RFC 9112 §7.1)'))
    if (exchange.closed) this.linger()
    return false
  }

  /** The request and its answer are complete. */
  private next(): void {
    this.deadline?.stop()
    this.deadline = undefined
    // An idle connection must cost little.
    this.exchange = undefined
    // In a later turn of the event loop, so that a client that sends thousands of requests at once does not stop the others.
    if (this.held.length > 0) setImmediate(serveNext, this)
    else this.serveNext()
  }

  serveNext(): void {
    if (this.state !== 'answer') return
    this.state = 'head'
    this.readOn()
  }

  private refuse(status: Refusal['status'], detail: string): false {
    const { held, socket } = this
    this.end()
    if (!socket.writable) socket.destroy()
    else this.linger(this.context.refusal(this.connection, status, detail, held))
    return false
  }

  /** A head has begun, and must be complete in time. */
  private awaitHead(): false {
    this.deadline ??= this.context.deadlines.start(this.context.timeouts.timeoutRead, () =>
      this.refuse(408, 'the request header did not come in time; the limit is timeout_read'),
    )
    return false
  }

  // The end.

  private linger(last = ''): void {
    this.end()
    endSoon(this.socket, last, this.context.deadlines)
  }

  /** What still arrives is not read as a request. */
  private end(): void {
    this.deadline?.stop()
    this.deadline = undefined
    this.state = 'over'
    this.held = NOTHING
  }

  /** A function, because TypeScript does not see that a call may have changed the state. */
  private isOver(): boolean {
    return this.state === 'over'
  }

  /** Between requests, and nothing of the next one has arrived. */
  private isIdle(): boolean {
    return this.state === 'head' && this.held.length === 0
  }

  private cut(reason: 'client-stalled' | 'idle'): void {
    this.exchange?.abort(reason)
    this.socket.destroy()
  }
}

function serveNext(connection: H1Connection): void {
  connection.serveNext()
}

function ignore(): void {}
