/** The upstreams that undici speaks to: HTTP/1.1 over TLS. The one door to it on the way of a request. */
import type { Socket } from 'node:net'
import type { Dispatcher, Pool } from 'undici'
import { headerLines, listOf } from '../http/header-lines.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import { undici } from '../lib/undici.ts'
import { answerProblem } from './answer.ts'
import type { AnswerHandler, UpstreamClient, UpstreamExchange, UpstreamRequest } from './client.ts'
import { KEEP_ALIVE, MAX_CONNECTION_AGE, type UpstreamConnection } from './connection.ts'
import { readBeforeFailing } from './early-answer.ts'
import { protocolFailure } from './failure.ts'
import { MAX_ANSWER_HEAD } from '../wire/answer.ts'

const NOTHING = Buffer.alloc(0)

/** undici's options; it knows `servername` and does not declare it. */
interface UndiciRequest extends Dispatcher.DispatchOptions {
  readonly servername: string
}

export class UndiciPool implements UpstreamClient {
  private readonly connection: UpstreamConnection
  private readonly pool: Pool
  /** Errors of connections that had served before. */
  private readonly stale = new WeakSet<Error>()
  /** Connections that stand and that undici does not know yet. */
  private readonly spare = new Set<Socket>()
  private readonly deadlines: Deadlines

  constructor(connection: UpstreamConnection, connections: number, deadlines: Deadlines) {
    this.connection = connection
    this.deadlines = deadlines
    this.pool = new (undici().Pool)(connection.address.url, {
      connect: (options, callback) => {
        const [spare] = this.spare
        if (spare) {
          this.spare.delete(spare)
          return queueMicrotask(() => callback(null, this.prepare(spare)))
        }
        connection.connect(options, (...[error, socket]) =>
          error ? callback(error, null) : callback(null, this.prepare(socket)),
        )
      },
      connections,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE,
      clientTtl: MAX_CONNECTION_AGE,
      maxHeaderSize: MAX_ANSWER_HEAD,
      // transfer.ts has its own: they cover waiting for a connection, and they pause with a slow client.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
  }

  dispatch({ method, path, host, headers, body, length }: UpstreamRequest, handler: AnswerHandler): void {
    const { servername, upstream } = this.connection
    const list = listOf(headers)
    if (host !== undefined) list.push('host', host)
    if (length !== undefined) list.push('content-length', String(length))
    const request: UndiciRequest = {
      method,
      path,
      headers: list,
      body: body ?? null,
      servername,
    }
    const exchange = new UndiciExchange(handler, upstream.origin, this.stale)
    // As in h1-pool.ts: by then undici has seen what an upstream has said unasked, and has closed the connection.
    setImmediate(() => this.pool.dispatch(request, exchange))
  }

  /** @param socket stands, and the upstream has chosen HTTP/1.1: the next connection that is needed, if one is soon. */
  adopt(socket: Socket): void {
    this.spare.add(socket)
    const deadline = this.deadlines.start(KEEP_ALIVE, () => this.spare.delete(socket) && socket.destroy())
    socket.once('close', () => {
      deadline.stop()
      this.spare.delete(socket)
    })
  }

  close(): Promise<void> {
    this.dropSpare()
    return this.pool.close()
  }

  destroy(): Promise<void> {
    this.dropSpare()
    return this.pool.destroy()
  }

  private dropSpare(): void {
    for (const socket of this.spare) socket.destroy()
  }

  private prepare(socket: Socket): Socket {
    // Everything that ends a connection early is raised here first. (Over TLS the handshake has been read as well, so a
    // first exchange counts as a second: the only effect is one more attempt at an idempotent request.)
    socket.prependListener('error', (failure) => socket.bytesRead > 0 && this.stale.add(failure))
    readBeforeFailing(socket, this.deadlines)
    return socket
  }
}

class UndiciExchange implements Dispatcher.DispatchHandler, UpstreamExchange {
  private readonly handler: AnswerHandler
  private readonly origin: string
  private readonly stale: WeakSet<Error>
  private controller: Dispatcher.DispatchController | undefined
  private heard = false
  private status = 0
  /** Does the handler hear nothing more? */
  private over = false
  /** The first piece of the answer until the turn of the event loop ends: often it is all there is. */
  private first: Buffer | undefined
  private flowing = false

  constructor(handler: AnswerHandler, origin: string, stale: WeakSet<Error>) {
    this.handler = handler
    this.origin = origin
    this.stale = stale
  }

  pause(): void {
    this.controller?.pause()
  }

  resume(): void {
    this.controller?.resume()
  }

  abort(): void {
    this.over = true
    this.controller?.abort(new Error('given up'))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    this.handler.onStart(this)
  }

  onResponseStarted(): void {
    this.heard = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, reason?: string): void {
    // 102 and 103 are hints; 101 was never asked for and undici refuses it.
    if (this.over || status < 200) return
    this.status = status
    // Raw headers of HTTP/1.1 are buffers: name, value, name, value.
    const received = (controller.rawHeaders ?? []) as Buffer[]
    const lines = headerLines(received.map(latin1))
    const problem = answerProblem(status, reason, lines)
    if (problem !== undefined) return this.refuse(problem)
    // undici reads it as UTF-8: only ASCII survives.
    const plain = reason && /^[\x20-\x7e]+$/.test(reason) ? reason : undefined
    this.handler.onHead({ status, reason: plain, lines })
    // Usually the body comes in the same piece and takes the head along; an event stream's may come much later.
    process.nextTick(endOfTurn, this)
  }

  onResponseData(_: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.over) return
    if (!this.flowing && !this.first) this.first = piece
    else {
      this.endTurn()
      this.handler.onPiece(piece)
    }
  }

  onResponseEnd(): void {
    if (this.over) return
    this.over = true
    this.handler.onEnd(this.first)
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    // RFC 9110 §8.6: the length of a 304 is that of the 200. undici waits for no body and then misses it.
    if ((this.status === 204 || this.status === 304) && isLengthMismatch(error)) return this.onResponseEnd()
    if (this.over) return
    this.over = true
    this.handler.onFailure({ error, stale: this.stale.has(error), heard: this.heard })
  }

  /** What came with the head has been seen: the rest may take its time. */
  endTurn(): void {
    if (this.over || this.flowing) return
    const { first } = this
    this.flowing = true
    this.first = undefined
    this.handler.onPiece(first ?? NOTHING)
  }

  private refuse(problem: string): void {
    this.abort()
    this.handler.onFailure({ error: protocolFailure(this.origin, problem), stale: false, heard: true })
  }
}

function endOfTurn(exchange: UndiciExchange): void {
  exchange.endTurn()
}

function latin1(part: Buffer): string {
  return part.toString('latin1')
}

function isLengthMismatch(error: Error): boolean {
  return 'code' in error && error.code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
}
