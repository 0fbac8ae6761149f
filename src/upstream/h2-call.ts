import { AppError } from '../errors.ts'
import { headerLines, listOf } from '../http/header-lines.ts'
import { CODE, type Code } from '../wire/h2-frames.ts'
import type { H2Stream, StreamReader } from '../wire/h2-stream.ts'
import { Waiting } from '../wire/waiting.ts'
import { MAX_HINTS, TOO_MANY_HINTS } from './answer.ts'
import type { AnswerHandler, UpstreamExchange, UpstreamRequest } from './client.ts'
import { needsHttp1, protocolFailure } from './failure.ts'
import type { AnswerFields } from './h2-answer.ts'
import { clientTrailers } from './trailers.ts'

const NOTHING = Buffer.alloc(0)
/** Octets of a body that are kept until its answer begins, in case that the upstream has not looked at the request. */
const MAX_KEPT = 64 * 1024
const CODES = new Map<number, string>(Object.entries(CODE).map(([name, code]) => [code, name]))

/** The connection of a call, as the call sees it. */
export interface H2Carrier {
  /** For people. */
  readonly origin: string
  /** `:authority` of the upstream itself. */
  readonly authority: string
  readonly scheme: 'http' | 'https'
  /** Had it served a request before this one? */
  readonly served: boolean
  /** Does it take extended CONNECT (RFC 8441)? */
  readonly takesConnect: boolean
  /** Why it takes no more calls. */
  readonly failure: Error
  open(fields: readonly string[], end: boolean, reader: StreamReader): H2Stream
  /** The upstream has not looked at it. False: it cannot go again. */
  sendAgain(call: H2Call): boolean
}

/** One request and its answer, on a stream of their own. */
export class H2Call implements UpstreamExchange, StreamReader {
  private readonly request: UpstreamRequest
  private readonly handler: AnswerHandler
  private carrier: H2Carrier | undefined
  private stream: H2Stream | undefined
  private heard = false
  /** Does the handler hear nothing more? */
  private over = false
  private headed = false
  private hints = 0
  private paused = false
  /** What came together with the head. */
  private held: Buffer[] = []
  /** What came while it was paused. */
  private readonly waiting = new Waiting()
  private ended = false
  private trailers: Readonly<Record<string, string>> | undefined
  /** Has the turn of the event loop in which the head came ended? */
  private flowing = false
  private uploaded = false
  /** What has gone of the body; undefined: too much, or the answer has begun, or it goes again already. */
  private kept: Waiting | undefined = new Waiting()
  /** What goes again before the rest of the body. */
  private again: Buffer | undefined

  constructor(request: UpstreamRequest, handler: AnswerHandler) {
    this.request = request
    this.handler = handler
  }

  /** The connection stands: sends the request. */
  begin(carrier: H2Carrier): void {
    const { method, path, host, headers, body, length, protocol } = this.request
    if (protocol && !carrier.takesConnect) return this.fail(needsHttp1(carrier.origin, 'no WebSockets (RFC 8441)'))
    this.carrier = carrier
    if (!this.again) this.handler.onStart(this)
    // It may have been aborted just now.
    if (this.over) return
    const fields = [':method', method, ':scheme', carrier.scheme]
    if (protocol) fields.push(':protocol', protocol)
    fields.push(':authority', host ?? carrier.authority, ':path', path)
    const list = listOf(headers)
    for (let i = 0; i + 1 < list.length; i += 2) fields.push((list[i] as string).toLowerCase(), list[i + 1] as string)
    if (length !== undefined) fields.push('content-length', String(length))
    // gRPC servers ask for it (RFC 9110 §10.1.4).
    fields.push('te', 'trailers')
    this.stream = carrier.open(fields, body === undefined, this)
    if (!body) return
    if (this.again) return this.uploadAgain(this.again)
    body.on('data', this.onPiece).on('end', this.onEnd).on('error', this.onBodyFailed).on('close', this.onBodyClosed)
    if (body.destroyed) process.nextTick(this.onBodyClosed)
  }

  /** There will be no connection for it, or none any more. */
  fail(error: Error, stale = false): void {
    this.stopUpload()
    if (this.over) return
    this.over = true
    this.handler.onFailure({ error, stale, heard: this.heard })
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.drain()
  }

  abort(): void {
    this.over = true
    this.held = []
    this.waiting.take()
    this.stopUpload()
    this.stream?.reset(CODE.CANCEL)
  }

  // What comes

  /** A whole field block. What is wrong with it, if anything. */
  receiveFields(answer: AnswerFields, end: boolean): string | undefined {
    this.heard = true
    this.kept = undefined
    if (answer.problem !== undefined) return answer.problem
    if (this.headed) {
      if (!end || answer.status !== undefined) return 'trailers that are none'
      this.trailers = clientTrailers(answer.trailers())
      return undefined
    }
    const { status } = answer
    if (status === undefined) return 'an answer without :status'
    if (status < 200) {
      if (end || status === 101) return 'an informational answer that is the end of it'
      return ++this.hints > MAX_HINTS ? TOO_MANY_HINTS : undefined
    }
    const bodyless = this.request.method === 'HEAD' || status === 204 || status === 304
    if (end && !bodyless && (answer.length ?? 0) > 0) return 'a body that is not as it was announced'
    this.headed = true
    this.stream?.expect(bodyless ? 0 : answer.length)
    if (!this.over) this.handler.onHead({ status, reason: undefined, lines: headerLines(answer.fields) })
    process.nextTick(endOfTurn, this)
    return undefined
  }

  receive(piece: Buffer): void {
    if (this.over) return
    if (!this.headed) {
      this.broken('DATA before the head of its answer')
      this.stream?.reset(CODE.PROTOCOL_ERROR)
      return
    }
    if (this.paused) return this.waiting.add(piece)
    this.held.push(piece)
    this.drain()
  }

  receiveEnd(): Code | undefined {
    // An empty DATA frame before any head.
    if (!this.headed) return CODE.PROTOCOL_ERROR
    this.ended = true
    this.drain()
    return undefined
  }

  /** Lets go of its connection, which the upstream says it did not look at, so that it may go once more. False: it may not. */
  detach(): boolean {
    if (this.over || !this.kept) return false
    this.request.body?.pause()
    this.again = this.kept.take()
    this.kept = undefined
    if (this.stream) this.stream.reader = undefined
    this.stream = undefined
    return true
  }

  lost(code?: number): void {
    if (this.over || this.ended) return
    const { carrier } = this
    // RFC 9113 §8.7: it has done nothing with it.
    if (!carrier || (code === CODE.REFUSED_STREAM && carrier.sendAgain(this))) return
    const { origin, served, failure } = carrier
    if (code === undefined) return this.fail(failure, served)
    const name = CODES.get(code) ?? `error ${code}`
    const error = new AppError('ERR_UPSTREAM_RESET', `upstream ${origin}: it reset the stream (${name})`, {
      details: { upstream: origin },
    })
    this.fail(error, code === CODE.REFUSED_STREAM)
  }

  /** It broke a rule on this stream. */
  broken(detail: string): void {
    this.fail(protocolFailure(this.carrier?.origin ?? '', detail))
  }

  isLast(): boolean {
    return false
  }

  /** What came with the head has been seen: the rest may take its time. */
  endTurn(): void {
    if (this.over || this.flowing) return
    this.flowing = true
    if (this.held.length === 0) this.handler.onPiece(NOTHING)
    this.drain()
  }

  /** Hands on what may be handed on. A small answer waits for its end: it is one write then. */
  private drain(): void {
    if (!this.paused && this.waiting.length > 0) this.held.push(this.waiting.take())
    while (!this.over && !this.paused && this.held.length > 0) {
      if (this.held.length === 1) {
        if (this.ended) return this.finish(this.held.pop())
        if (!this.flowing) return
      }
      this.flowing = true
      this.handler.onPiece(this.held.shift() as Buffer)
      if (this.held.length === 0) this.stream?.credit()
    }
    if (this.ended && this.held.length === 0 && !this.paused) this.finish(undefined)
  }

  private finish(last: Buffer | undefined): void {
    if (this.over) return
    this.over = true
    this.stopUpload()
    // The rest of the request is not needed (RFC 9113 §8.1).
    if (this.stream?.localEnded === false) this.stream.reset(CODE.NO_ERROR)
    this.handler.onEnd(last, this.trailers)
  }

  // What goes

  private readonly onPiece = (piece: Buffer): void => {
    this.request.body?.pause()
    if (this.kept && this.kept.length + piece.length <= MAX_KEPT) this.kept.add(piece)
    else this.kept = undefined
    this.upload(piece)
  }

  private readonly onEnd = (): void => {
    this.uploaded = true
    this.stream?.finish(undefined, () => {})
  }

  private upload(piece: Buffer): void {
    const { stream } = this
    stream?.write(piece, (error) => {
      // Not when it has been given back meanwhile: the next piece would go nowhere, or over the one that goes again.
      if (!error && stream === this.stream) this.request.body?.resume()
    })
  }

  private uploadAgain(sent: Buffer): void {
    if (sent.length > 0) this.upload(sent)
    else this.request.body?.resume()
    if (this.uploaded) this.onEnd()
  }

  private readonly onBodyFailed = (error: Error): void => {
    // Never an orderly end: half of a request would be taken for all of it.
    this.stream?.reset(CODE.CANCEL)
    this.fail(error)
  }

  private readonly onBodyClosed = (): void => {
    if (this.uploaded) return
    this.onBodyFailed(this.request.body?.errored ?? new AppError('ERR_CLIENT_CLOSED', 'the request ended too early'))
  }

  private stopUpload(): void {
    const { body } = this.request
    if (!body) return
    body
      .off('data', this.onPiece)
      .off('end', this.onEnd)
      .off('error', this.onBodyFailed)
      .off('close', this.onBodyClosed)
    if (!this.uploaded) body.destroy()
  }
}

function endOfTurn(call: H2Call): void {
  call.endTurn()
}

/** The other end hung up, or said that it does not serve this one. */
export class ConnectionClosed extends Error {
  readonly code = 'ECONNRESET'

  constructor() {
    super('other side closed')
  }
}
