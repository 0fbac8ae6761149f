/** HTTP/1.1 behind the seam of exchanges. */
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { AppError, type ErrorCode } from '../errors.ts'
import type { CutReason, Exchange, RequestBody, RequestHead, ResponseBody, ResponseHead } from '../http/exchange.ts'
import type { Span, WallTime } from '../types.ts'
import type { ScannedHead } from '../wire/request-head.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import { type Asked, H1Answer } from './h1-answer.ts'
import { type BodySource, H1Body } from './h1-body.ts'

const CONTINUE = 'HTTP/1.1 100 Continue\r\n\r\n'

/** The connection, as its exchange sees it. */
export interface Carrier {
  readonly socket: Socket
  readonly patience: BodyPatienceParts
  /** Does the connection close after this answer? It must when `asked`; from then on nothing is read after the request. */
  closesBehind(asked: boolean): boolean
  now(): WallTime
  /** The reader of the body has room again, or has given up: go on with what has arrived. */
  readOn(): void
  /** The system has taken the whole answer. */
  answered(): void
  /** From now on its bytes belong to whoever reads the socket. @param head of the 101. */
  handOver(head: string): Duplex
  reset(): void
}

export class H1Exchange implements Exchange, Asked, BodySource {
  readonly head: RequestHead
  aborted: CutReason | ErrorCode | undefined
  closed = false
  tunnelIdle: Span | undefined
  private readonly carrier: Carrier
  private readonly scanned: ScannedHead
  private answer: H1Answer | undefined
  private stream: H1Body | undefined
  /** `held`: nobody has asked for the body yet. `dropped`: nobody will. */
  private reading: 'held' | 'wanted' | 'dropped' = 'held'
  private continued = false
  private upgraded = false
  private readonly listeners: (() => void)[] = []

  constructor(carrier: Carrier, scanned: ScannedHead, head: RequestHead) {
    this.carrier = carrier
    this.scanned = scanned
    this.head = head
  }

  get socket(): Socket {
    return this.carrier.socket
  }

  get method(): string {
    return this.scanned.method
  }

  get httpVersion(): '1.0' | '1.1' {
    return this.scanned.httpVersion
  }

  get hasBody(): boolean {
    return this.scanned.framing !== 0 && !this.scanned.upgrade
  }

  get body(): RequestBody | undefined {
    if (this.hasBody) this.stream ??= new H1Body(this, this.carrier.patience)
    return this.stream
  }

  /** May the connection decode what has arrived of the body? */
  get takesBody(): boolean {
    return this.reading !== 'held'
  }

  onClosed(listener: () => void): void {
    if (this.closed) process.nextTick(listener)
    else this.listeners.push(listener)
  }

  respond(head: ResponseHead): ResponseBody {
    this.leave()
    this.answer = new H1Answer(this, head)
    return this.answer
  }

  upgrade(headers: string, idle?: Span): Duplex {
    if (!this.head.upgrade && this.head.upgradeTo === undefined) throw new TypeError('the request asks for no upgrade')
    this.leave()
    this.upgraded = true
    this.tunnelIdle = idle
    return this.carrier.handOver(`HTTP/1.1 101 Switching Protocols\r\n${headers}\r\n`)
  }

  abort(reason: CutReason | ErrorCode): void {
    if (this.closed) return
    this.aborted = reason
    // A body that ends with its connection must not look complete.
    if (this.head.upgrade || this.upgraded || this.httpVersion === '1.0') this.carrier.reset()
    else this.socket.destroy()
  }

  // The answer.

  closes(asked: boolean): boolean {
    // RFC 9110 §10.1.1: a client that was not asked for its body may send it or not, so it is unknown what follows.
    return this.carrier.closesBehind(asked || (this.scanned.expectsContinue && !this.continued))
  }

  now(): WallTime {
    return this.carrier.now()
  }

  onWritten(): void {
    if (this.closed) return
    this.closed = true
    this.carrier.answered()
    this.tell()
  }

  onBroken(): void {
    this.abort('ERR_INTERNAL')
  }

  // The connection.

  onDrain(): void {
    this.answer?.onDrain()
  }

  /** A piece of the body. False: no more until `readOn`. */
  take(piece: Buffer): boolean {
    return this.reading !== 'wanted' || this.stream === undefined || this.stream.accept(piece)
  }

  onBodyEnd(): void {
    if (this.reading === 'wanted') this.stream?.finish()
  }

  /** Tells the reader of the body why it does not come. */
  failBody(error: AppError): void {
    this.stream?.destroy(error)
  }

  /** Reads and drops what is left. */
  dropBody(): void {
    this.reading = 'dropped'
  }

  /** The connection has ended. */
  onConnectionClosed(): void {
    if (this.closed) return
    this.closed = true
    this.stream?.destroy(gone())
    this.tell()
  }

  // The body.

  onWanted(): void {
    // Its beginning was dropped, or it was never asked for.
    if (this.closed || this.reading === 'dropped') return void this.stream?.destroy(gone())
    this.reading = 'wanted'
    if (this.scanned.expectsContinue && !this.answer?.hasBegun) {
      this.continued = true
      this.socket.write(CONTINUE, 'latin1')
    }
    this.carrier.readOn()
  }

  onRoom(): void {
    this.carrier.readOn()
  }

  onUnwanted(): void {
    this.reading = 'dropped'
    this.carrier.readOn()
  }

  private tell(): void {
    for (const listener of this.listeners) listener()
  }

  /** A second answer would be read as the answer to the next request. */
  private leave(): void {
    if (this.answer || this.upgraded) throw new TypeError('an exchange has only one exit')
  }
}

function gone(): AppError {
  return new AppError('ERR_CLIENT_CLOSED', 'the client went away while it was sending')
}
