import type { Socket } from 'node:net'
import type { ScannedAnswer } from '../wire/answer.ts'
import { ChunkedDecoder } from '../wire/chunked.ts'
import type { AnswerHandler, UpstreamExchange, UpstreamRequest } from './client.ts'
import { protocolFailure } from './failure.ts'
import { H1Heads } from './h1-heads.ts'
import { H1Upload } from './h1-upload.ts'

/** Methods whose request says that it has no body (RFC 9110 §8.6). */
const EXPECT_BODY: ReadonlySet<string> = new Set(['POST', 'PUT', 'PATCH'])

const NOTHING = Buffer.alloc(0)

/** Octets that are still to come, chunks, or all up to the end of the connection. */
type Rest = number | ChunkedDecoder | 'until-close'

/** The connection of an exchange, as the exchange sees it. */
export interface H1Carrier {
  /** For people. */
  readonly origin: string
  /** `Host` of the upstream itself. */
  readonly authority: string
  pause(): void
  resume(): void
  /** The exchange has ended; the connection may serve another. @param keepAlive seconds for which the server keeps it, if it said so. */
  release(keepAlive?: number): void
  /** The exchange has ended, and the connection with it. */
  giveUp(): void
}

/** One request over a connection, and its answer. It uses the connection until it has ended, and never afterwards. */
export class H1Exchange implements UpstreamExchange {
  /** Has a byte of an answer come? */
  heard = false
  private readonly request: UpstreamRequest
  private readonly handler: AnswerHandler
  private connection: H1Carrier | undefined
  private sent = false
  /** Does the handler hear nothing more? */
  private over = false
  private upload: H1Upload | undefined
  private readonly heads = new H1Heads()
  private answer: ScannedAnswer | undefined
  private rest: Rest = 0

  constructor(request: UpstreamRequest, handler: AnswerHandler) {
    this.request = request
    this.handler = handler
  }

  /** The connection stands: sends the request. */
  begin(connection: H1Carrier, socket: Socket): void {
    this.connection = connection
    this.handler.onStart(this)
    // It may have been aborted just now.
    if (!this.connection) return
    const { body, length } = this.request
    this.sent = true
    socket.write(headOf(this.request, connection.authority), 'latin1')
    if (body) this.upload = new H1Upload(socket, body, length, (error) => this.fail(error))
  }

  pause(): void {
    this.connection?.pause()
  }

  resume(): void {
    this.connection?.resume()
  }

  abort(): void {
    this.over = true
    const connection = this.leave()
    if (this.sent) connection?.giveUp()
    else connection?.release()
  }

  /** The connection takes more of the request again. */
  onDrain(): void {
    this.upload?.resume()
  }

  /** The upstream has ended its side: the end of some answers. */
  onEnd(): void {
    if (!this.answer || this.rest !== 'until-close') return
    this.leave()?.giveUp()
    this.handler.onEnd(undefined)
  }

  /** The connection could not be made, or is closed. */
  onClosed(error: Error, stale: boolean): void {
    this.tell(error, stale)
  }

  /** Something of the exchange failed, not its connection. */
  fail(error: Error): void {
    this.leave()?.giveUp()
    this.tell(error, false)
  }

  private tell(error: Error, stale: boolean): void {
    this.leave()
    if (this.over) return
    this.over = true
    this.handler.onFailure({ error, stale, heard: this.heard })
  }

  /** More of the answer. True: its bytes have been used. */
  read(bytes: Buffer): boolean {
    this.heard = true
    if (this.answer) return this.readRest(bytes, 0, bytes.length)
    const found = this.heads.read(bytes)
    if (found === undefined) return true
    if (typeof found === 'string') return this.refuse(found)
    if (found.head.status === 101) return this.refuse('it switches protocols unasked')
    const used = this.readAnswer(found.head, found.bytes, found.end, found.to)
    return used || found.bytes !== bytes
  }

  private readAnswer(answer: ScannedAnswer, bytes: Buffer, at: number, to: number): boolean {
    const { status, reason, lines, framing } = answer
    this.answer = answer
    const bodyless = this.request.method === 'HEAD' || status === 204 || status === 304
    this.rest = bodyless ? 0 : framing === 'chunked' ? new ChunkedDecoder() : framing
    this.handler.onHead({ status, reason, lines })
    return !this.connection || this.readRest(bytes, at, to)
  }

  private readRest(bytes: Buffer, from: number, to: number): boolean {
    const { rest } = this
    if (rest === 'until-close') return this.pass(bytes, from, to)
    if (typeof rest === 'number') {
      const end = Math.min(to, from + rest)
      this.rest = rest - (end - from)
      return this.rest > 0 ? this.pass(bytes, from, end) : this.finish(bytes, from, end, to - end)
    }
    const end = rest.decode(bytes, from, to)
    if (end === -1) return this.cut('a malformed chunk')
    return rest.done ? this.finish(bytes, rest.start, end, to - rest.end) : this.pass(bytes, rest.start, end)
  }

  private pass(bytes: Buffer, from: number, to: number): boolean {
    return this.handler.onPiece(cut(bytes, from, to))
  }

  /** @param behind bytes that nobody asked for. */
  private finish(bytes: Buffer, from: number, to: number, behind: number): boolean {
    const { persistent, keepAlive, status, framing } = this.answer ?? {}
    // RFC 9110 §8.6: who announces a body behind a 204 may send one, and it would be taken for the next answer.
    const announced = status === 204 && framing !== 0 && framing !== 'until-close'
    const unread = this.upload !== undefined && !this.upload.done
    const connection = this.leave()
    // An upstream that says more than an answer, or has not read the request, is not asked again (RFC 9112 §9.3).
    if (persistent && behind === 0 && !unread && !announced) connection?.release(keepAlive)
    else connection?.giveUp()
    return this.handler.onEnd(from === to ? undefined : cut(bytes, from, to))
  }

  /** Flushes the head first, which may not have been sent yet, so that the client sees an answer that was cut. */
  private cut(problem: string): true {
    this.handler.onPiece(NOTHING)
    return this.refuse(problem)
  }

  private refuse(problem: string): true {
    if (this.connection) this.fail(protocolFailure(this.connection.origin, problem))
    return true
  }

  private leave(): H1Carrier | undefined {
    const { connection } = this
    this.connection = undefined
    this.upload?.stop()
    return connection
  }
}

/** RFC 9112 §3, §6: in the order of names that servers of any age expect, and framed by us alone. */
function headOf({ method, path, host, headers, body, length }: UpstreamRequest, authority: string): string {
  let framing = ''
  if (body) framing = length === undefined ? 'transfer-encoding: chunked\r\n' : `content-length: ${length}\r\n`
  else if (EXPECT_BODY.has(method)) framing = 'content-length: 0\r\n'
  return `${method} ${path} HTTP/1.1\r\nhost: ${host ?? authority}\r\nconnection: keep-alive\r\n${headers}${framing}\r\n`
}

function cut(bytes: Buffer, from: number, to: number): Buffer {
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
}
