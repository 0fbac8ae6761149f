/** How a request reaches an upstream and what comes back, whoever carries it (open-client.ts). Types only. */
import type { Readable } from 'node:stream'
import type { HeaderLines } from '../http/header-lines.ts'

/** Connections to one upstream. */
export interface UpstreamClient {
  /** Sends it over a free connection, or over a new one. */
  dispatch(request: UpstreamRequest, handler: AnswerHandler): void
  /** Takes no more; resolves when what was under way has ended and every connection is closed. */
  close(): Promise<void>
  /** The same, and cuts what is under way. */
  destroy(): Promise<void>
}

export interface UpstreamRequest {
  readonly method: string
  /** With the query. */
  readonly path: string
  /** undefined: the upstream's own. */
  readonly host: string | undefined
  /** Lines (http/header-lines.ts), all tidy, without Host and framing. */
  readonly headers: string
  readonly body: Readable | undefined
  /** Bytes of the body; undefined: nobody knows. */
  readonly length: number | undefined
  /** With CONNECT: what the stream becomes (RFC 8441), over HTTP/2 alone. */
  readonly protocol?: 'websocket'
}

/** Hears what becomes of one request: `onStart`, `onHead`, `onPiece`s and `onEnd` in this order; after `onFailure` nothing. */
export interface AnswerHandler {
  /** A connection takes it. So far nothing has been sent. */
  onStart(exchange: UpstreamExchange): void
  /** Of the final answer: 1xx are hints that nobody gets. */
  onHead(head: AnswerHead): void
  /** Empty: nothing more for now. True: its bytes have been used. False: they are needed until `resume` or, without a pause, for good. */
  onPiece(piece: Buffer): boolean
  /** The answer is whole; `last`: a piece that came together with its end. What it returns is as of `onPiece`. */
  onEnd(last: Buffer | undefined, trailers?: Readonly<Record<string, string>>): boolean
  onFailure(failure: Failure): void
}

export interface AnswerHead {
  readonly status: number
  /** HTTP/2 has none. */
  readonly reason: string | undefined
  readonly lines: HeaderLines
}

/** A request on its connection, until its answer has ended: afterwards it has no power over the connection. */
export interface UpstreamExchange {
  /** Reads no more of the answer until `resume`. */
  pause(): void
  resume(): void
  /** Gives it up, with its connection when something was sent. The handler hears nothing more. */
  abort(): void
}

export interface Failure {
  readonly error: Error
  /** Had the connection served another exchange before? Then the upstream may simply have closed it. */
  readonly stale: boolean
  /** Had a byte of an answer come? */
  readonly heard: boolean
}
