import type { TLSSocket } from 'node:tls'
import { AppError } from '../errors.ts'
import { elapsed } from '../lib/time.ts'
import type { Monotonic } from '../types.ts'
import type { AnswerHandler, UpstreamClient, UpstreamRequest } from './client.ts'
import { MAX_CONNECTION_AGE } from './connection.ts'
import { shakeHands, type TlsHandshakeParts } from './tls-handshake.ts'

const GRPC = /^content-type: application\/grpc(?:[+;][^\r]*)?\r$/im

/** Speaks HTTP/1.1 over connections of its own, and over one that stands. */
interface Http1 extends UpstreamClient {
  adopt(socket: TLSSocket): void
}

/** The same of HTTP/2. */
interface Http2 extends UpstreamClient {
  adopt(socket: TLSSocket): void
  /** Is there a connection that takes another request, or will? */
  readonly hasRoom: boolean
}

interface Waiting {
  readonly request: UpstreamRequest
  readonly handler: AnswerHandler
}

export interface TlsClientParts {
  readonly http1: Http1
  readonly http2: Http2
  /** undefined: nothing but gRPC has HTTP/2. */
  readonly handshake: TlsHandshakeParts | undefined
}

/**
 * An upstream over TLS: HTTP/2 when it offers that in a handshake (ALPN), else HTTP/1.1. What it chose is asked again with
 * each connection of HTTP/2, and once in a connection's age of HTTP/1.1. gRPC has HTTP/2, which it needs.
 */
export class TlsClient implements UpstreamClient {
  private readonly parts: TlsClientParts
  private readonly waiting: Waiting[] = []
  private endHandshake: ((error: Error) => void) | undefined
  /** When it was found to speak HTTP/1.1 alone. */
  private http1Since: Monotonic | undefined
  private readonly settled: (() => void)[] = []

  constructor(parts: TlsClientParts) {
    this.parts = parts
  }

  dispatch(request: UpstreamRequest, handler: AnswerHandler): void {
    const { http1, http2, handshake } = this.parts
    const isGrpc = request.method === 'POST' && GRPC.test(request.headers)
    if (isGrpc) return http2.dispatch(request, handler)
    if (!handshake) return http1.dispatch(request, handler)
    if (http2.hasRoom) return http2.dispatch(request, handler)
    if (this.speaksHttp1(handshake)) return http1.dispatch(request, handler)
    this.waiting.push({ request, handler })
    this.endHandshake ??= shakeHands(handshake, (result) => this.onHandshake(result))
  }

  async close(): Promise<void> {
    if (this.endHandshake) await new Promise<void>((resolve) => this.settled.push(resolve))
    await Promise.all([this.parts.http1.close(), this.parts.http2.close()])
  }

  async destroy(): Promise<void> {
    this.endHandshake?.(new AppError('ERR_UPSTREAM_RESET', 'the connections to an upstream are being closed'))
    await Promise.all([this.parts.http1.destroy(), this.parts.http2.destroy()])
  }

  /** While one request asks again, the others go on as before. */
  private speaksHttp1({ clock }: TlsHandshakeParts): boolean {
    const since = this.http1Since
    if (since === undefined) return false
    return this.endHandshake !== undefined || elapsed(clock.monotonic(), since) < MAX_CONNECTION_AGE
  }

  private onHandshake(result: TLSSocket | Error): void {
    const { http1, http2, handshake } = this.parts
    this.endHandshake = undefined
    const waiting = this.waiting.splice(0)
    if (result instanceof Error) {
      for (const { handler } of waiting) handler.onFailure({ error: result, stale: false, heard: false })
    } else {
      const chosen = result.alpnProtocol === 'h2' ? http2 : http1
      this.http1Since = chosen === http1 ? handshake?.clock.monotonic() : undefined
      chosen.adopt(result)
      for (const { request, handler } of waiting) chosen.dispatch(request, handler)
    }
    for (const resolve of this.settled.splice(0)) resolve()
  }
}
