/** The answer of one exchange of HTTP/1.1 (RFC 9112): the framing is always ours, and a small answer is one write. */
import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { ResponseBody, ResponseHead } from '../http/exchange.ts'
import { field } from '../http/header-lines.ts'
import { epochMillis } from '../lib/time.ts'
import type { WallTime } from '../types.ts'
import { writeLast } from './last-writes.ts'

/**
 * Octets of a piece that go out as text together with what frames them: Node writes up to 16 KiB of Latin-1 from its
 * stack, while several buffers are gathered in a list.
 */
const SMALL = 12 * 1024
/** RFC 9112 §4. */
const NO_REASON = /[^\t\x20-\x7e\x80-\xff]/

/** The exchange that is answered. */
export interface Asked {
  readonly socket: Socket
  readonly method: string
  readonly httpVersion: '1.0' | '1.1'
  /** Does the connection close after this answer? It must when `asked`. Called once, when the head is written. */
  closes(asked: boolean): boolean
  now(): WallTime
  /** The system has taken all of it. */
  onWritten(): void
  /** It can never be complete. */
  onBroken(): void
}

export class H1Answer implements ResponseBody {
  writableFinished = false
  private readonly asked: Asked
  private readonly head: ResponseHead
  /** How the body ends. `undecided`: its length may still turn out to be known. */
  private framing: 'undecided' | 'none' | 'length' | 'chunked' | 'close'
  /** Of a body with a length. */
  private left: number
  private trailers = ''
  private begun = false
  private ended = false
  private resume: (() => void) | undefined

  /** Throws for what is no head of a final answer: nothing has been written then. */
  constructor(asked: Asked, head: ResponseHead) {
    const { status, length, reason, headers } = head
    if (!Number.isInteger(status) || status < 200 || status > 999 || (reason !== undefined && NO_REASON.test(reason))) {
      throw new TypeError('expected the status line of a final answer')
    }
    if (headers !== '' && !headers.endsWith('\r\n')) throw new TypeError('expected whole header lines')
    this.asked = asked
    this.head = head
    this.left = length ?? 0
    const isBodyless = asked.method === 'HEAD' || status === 204 || status === 304
    this.framing = isBodyless ? 'none' : length === undefined ? 'undecided' : 'length'
  }

  /** Has any of it been written? */
  get hasBegun(): boolean {
    return this.begun
  }

  get writableLength(): number {
    return this.asked.socket.writableLength
  }

  get writableNeedDrain(): boolean {
    const { socket } = this.asked
    // What the system has taken at once needs none, however much it was.
    return socket.writableNeedDrain && socket.writableLength > 0
  }

  once(_: 'drain', resume: () => void): void {
    this.resume = resume
  }

  onDrain(): void {
    const { resume } = this
    this.resume = undefined
    resume?.()
  }

  write(piece: Buffer | string, encoding?: 'latin1'): boolean {
    if (this.ended || this.asked.socket.destroyed) return false
    const octets = octetsOf(piece, encoding)
    const { length } = octets
    // An empty chunk would end the body.
    if (length === 0) return true
    const head = this.takeHead()
    if (this.framing === 'none') {
      if (head !== '') this.send(head, '', '')
    } else if (this.framing === 'chunked') this.send(`${head}${length.toString(16)}\r\n`, octets, '\r\n')
    else if (this.framing === 'length' && length > this.left) this.break()
    else {
      this.left -= length
      this.send(head, octets, '')
    }
    return !this.writableNeedDrain
  }

  end(piece: Buffer | string = '', encoding?: 'latin1'): void {
    if (this.ended) return
    const octets = octetsOf(piece, encoding)
    if (this.framing === 'undecided' && this.trailers === '') {
      this.framing = 'length'
      this.left = octets.length
    }
    this.ended = true
    if (this.framing === 'length' && octets.length !== this.left) return this.break()
    const head = this.takeHead()
    const last = `0\r\n${this.trailers}\r\n`
    if (this.framing === 'none') this.send(head, '', '', this.onFlushed)
    else if (this.framing !== 'chunked') this.send(head, octets, '', this.onFlushed)
    else if (octets.length === 0) this.send(head + last, '', '', this.onFlushed)
    else this.send(`${head}${octets.length.toString(16)}\r\n`, octets, `\r\n${last}`, this.onFlushed)
  }

  flushHeaders(): void {
    const head = this.takeHead()
    if (head !== '') this.send(head, '', '')
  }

  /** RFC 9112 §7.1.2: only behind chunks is there a place for them. */
  addTrailers(trailers: Readonly<Record<string, string>>): void {
    for (const [name, value] of Object.entries(trailers)) this.trailers += field(name, value)
  }

  /** `''` once it is on its way. */
  private takeHead(): string {
    if (this.begun) return ''
    this.begun = true
    const { asked, head, framing } = this
    if (framing === 'undecided') this.framing = asked.httpVersion === '1.1' ? 'chunked' : 'close'
    const length =
      this.framing === 'length' ? (head.length ?? this.left) : head.status === 204 ? undefined : head.length
    return headText(asked.httpVersion, head, {
      length,
      chunked: this.framing === 'chunked',
      close: asked.closes(head.close === true),
      now: asked.now(),
    })
  }

  /** @param before, after Latin-1. */
  private send(before: string, octets: Buffer | string, after: string, done?: (error?: Error | null) => void): void {
    const { socket } = this.asked
    if (typeof octets === 'string' || octets.length <= SMALL) {
      const text = before + (typeof octets === 'string' ? octets : octets.toString('latin1')) + after
      if (text === '' && socket.writableLength === 0) process.nextTick(this.onAllFlushed)
      else if (done) writeLast(socket, text, done)
      else socket.write(text, 'latin1')
    } else if (before === '' && after === '') socket.write(octets, done)
    else {
      socket.cork()
      if (before !== '') socket.write(before, 'latin1')
      socket.write(octets, after === '' ? done : undefined)
      if (after !== '') socket.write(after, 'latin1', done)
      socket.uncork()
    }
  }

  private readonly onAllFlushed = (): void => {
    if (!this.asked.socket.destroyed) this.onFlushed()
  }

  private readonly onFlushed = (error?: Error | null): void => {
    if (error) return
    this.writableFinished = true
    this.asked.onWritten()
  }

  /** More or fewer octets than the length says: what follows would be read as part of it. */
  private break(): void {
    this.ended = true
    this.asked.onBroken()
  }
}

/** A string is Latin-1 from here on, one octet a character. */
function octetsOf(piece: Buffer | string, encoding: 'latin1' | undefined): Buffer | string {
  return typeof piece === 'string' && encoding === undefined ? Buffer.from(piece) : piece
}

interface Frame {
  readonly length: number | undefined
  readonly chunked: boolean
  readonly close: boolean
  readonly now: WallTime
}

/** The head of an answer, up to its empty line. */
export function headText(version: '1.0' | '1.1', head: ResponseHead, { length, chunked, close, now }: Frame): string {
  const { status, reason = STATUS_CODES[status] ?? '', headers, dated } = head
  let text = `HTTP/${version} ${status} ${reason}\r\n${headers}`
  if (length !== undefined) text += `content-length: ${length}\r\n`
  else if (chunked) text += 'transfer-encoding: chunked\r\n'
  if (dated !== true) text += dateLine(now)
  return close ? `${text}connection: close\r\n\r\n` : `${text}\r\n`
}

let second = 0
let line = ''

/** RFC 9110 §6.6.1. The same for a second. */
function dateLine(now: WallTime): string {
  const current = Math.floor(epochMillis(now) / 1000)
  if (current !== second) {
    second = current
    line = `date: ${new Date(current * 1000).toUTCString()}\r\n`
  }
  return line
}
