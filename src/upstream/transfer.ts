/**
 * One request and its answer on their way: both bodies streamed with backpressure, an abort on either side ends the
 * other. Before the answer's head every failure rejects; after it the exchange is aborted, which is the only way to say
 * that a body is not complete.
 */
import type { Dispatcher } from 'undici'
import { AppError, toAppError } from '../errors.ts'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import type { Forward, Retries } from '../config/route-model.ts'
import type { Exchange, Forwarded, RequestBody, ResponseBody } from '../http/exchange.ts'
import { headerLines, type HeaderLines, listOf, NO_LINES } from '../http/header-lines.ts'
import { endWith } from '../http/send.ts'
import type { Grant } from '../policy/verdict.ts'
import { describeLimit } from '../lib/duration.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Limit, Monotonic, Span } from '../types.ts'
import { answerProblem, isEventStream } from './answer.ts'
import { lateUpstream, upstreamFailure } from './failure.ts'
import { clientHeaders, type HeaderContext, type UpstreamHead } from './headers.ts'
import { losesBody } from './http2.ts'
import { failedWith, type Lease, type Outcome } from './lease.ts'
import {
  allowsRetry,
  type Attempt,
  backoff,
  mayGoElsewhere,
  metClosingConnection,
  retryAnswer,
  retryCondition,
} from './retry.ts'
import { clientTrailers } from './trailers.ts'

export interface TransferParts {
  readonly grant: Grant<Forward>
  readonly exchange: Exchange
  readonly lease: Lease
  /** With the query: what is asked of the upstream. */
  readonly path: string
  readonly head: UpstreamHead
  readonly context: HeaderContext
  readonly deadlines: Deadlines
  readonly clock: Clock
}

const UNLIMITED: Limit = { span: 0, key: '' }

export class Transfer implements Dispatcher.DispatchHandler {
  private readonly parts: TransferParts
  private readonly resolve: (forwarded: Forwarded) => void
  private readonly reject: (error: AppError) => void
  private readonly startedAt: Monotonic
  private readonly body: RequestBody | undefined
  /** For undici. */
  private readonly headers: string[]
  private lease: Lease
  private deadline: Deadline
  private controller: Dispatcher.DispatchController | undefined
  private out: ResponseBody | undefined
  /** `over`: resolved or rejected; whatever the upstream still says is not listened to. */
  private state: 'waiting' | 'answering' | 'answered' | 'over' = 'waiting'
  /** Dispatched, and no connection has taken it yet. */
  private connecting = false
  private outcome: Outcome = { kind: 'abandoned' }
  private heard = false
  private repeated = false
  private retries = 0
  /** Has the request on its way when this answer has been given up. */
  private instead: Lease | undefined
  /** The first piece of the answer until the turn of the event loop ends: often it is all there is. */
  private first: Buffer | undefined
  /** Is the head out, or on its way with a piece? */
  private flowing = false
  private status = 0
  /** Of the answer. */
  private lines: HeaderLines = NO_LINES
  private upstreamMs = 0
  private bytesOut = 0
  /** The time limit that ended it. */
  private limit: string | undefined

  constructor(parts: TransferParts, resolve: (forwarded: Forwarded) => void, reject: (error: AppError) => void) {
    const { grant, exchange, deadlines, clock } = parts
    this.parts = parts
    this.resolve = resolve
    this.reject = reject
    this.lease = parts.lease
    this.headers = listOf(parts.head.headers)
    if (parts.head.host !== undefined) this.headers.push('host', parts.head.host)
    this.startedAt = clock.monotonic()
    const { timeouts } = grant.route.action
    this.deadline = deadlines.start(timeouts.response.span, this.onLate)
    this.body = exchange.body
    if (this.body) {
      this.body.limit(timeouts.requestBody)
      this.body.onPiece = this.onPiece
      const length = exchange.head.headers.first('content-length')
      if (length !== undefined) this.headers.push('content-length', length)
    }
    exchange.onClosed(this.onClosed)
  }

  begin(): void {
    const { headers } = this
    const { grant, path } = this.parts
    // While its session was read, or it waited for its turn.
    if (this.body?.errored) return this.fail(toAppError(this.body.errored))
    if (this.body && this.lease.http2 && losesBody(grant.request.method)) {
      return this.fail(
        new AppError('ERR_BAD_REQUEST', 'a GET or HEAD request with a body is not passed on over HTTP/2'),
      )
    }
    this.connecting = true
    this.lease.dispatch({ method: grant.request.method, path, headers, body: this.body ?? null }, this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    this.connecting = false
    if (this.state !== 'over') return
    // The client left, or the time was up, while we waited for a connection: nothing has been sent yet.
    controller.abort(clientClosed())
    this.report(this.outcome)
  }

  /** The first byte of an answer is there: from here on nothing is repeated. */
  onResponseStarted(): void {
    this.heard = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, reason?: string): void {
    // 102 and 103 are hints that we do not pass on; 101 was never asked for and undici refuses it.
    if (status >= 100 && status < 200) return
    if (status >= 502 && this.retryInstead(controller, status)) return
    const { grant, exchange, path, head, context, deadlines, clock } = this.parts
    const { origin, url } = this.lease
    // Raw headers of HTTP/1.1 are buffers: name, value, name, value.
    const received = (controller.rawHeaders ?? []) as Buffer[]
    const lines = headerLines(received.map(this.lease.http2 ? asReceived : latin1))
    const problem = answerProblem(status, reason, lines)
    if (problem !== undefined) {
      return this.fail(new AppError('ERR_UPSTREAM_PROTOCOL', `upstream ${origin}: ${problem}`))
    }
    this.deadline.stop()
    this.upstreamMs = elapsed(clock.monotonic(), this.startedAt)
    this.status = status
    this.lines = lines
    const { headers, length, dated } = clientHeaders(lines, status, grant, context, {
      origin: url,
      path,
      host: head.host,
    })
    // Node writes a reason as Latin-1 and undici reads it as UTF-8: only ASCII survives both.
    const plain = reason && /^[\x20-\x7e]+$/.test(reason) ? reason : undefined
    this.out = exchange.respond({ status, reason: plain, headers, length, dated })
    this.state = 'answering'
    // From here on a piece in either direction is a sign of life.
    this.body?.limit(UNLIMITED)
    this.deadline = deadlines.start(grant.route.action.timeouts.responseBody.span, this.onLate)
    // Usually the body comes in the same piece and takes the head along; an event stream's may come much later.
    process.nextTick(endOfTurn, this)
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    this.bytesOut += piece.length
    if (this.flowing) return this.write(controller, piece)
    if (this.first) {
      this.writeFirst(controller)
      this.write(controller, piece)
    } else this.first = piece
  }

  /** Trailers of HTTP/1.1 are dropped: they could not be judged before the body was passed on. */
  onResponseEnd(controller?: Dispatcher.DispatchController): void {
    const { first, out } = this
    const trailers = this.lease.http2 && controller ? trailersOf(controller) : undefined
    if (trailers) out?.addTrailers(trailers)
    this.deadline.stop()
    this.state = 'answered'
    this.flowing = true
    this.first = undefined
    this.report({ kind: 'answered', status: this.status })
    if (out && first) endWith(out, first)
    else out?.end()
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    this.connecting = false
    if (this.state === 'over') return this.report(this.outcome)
    // RFC 9110 §8.6: the length of a 304 is that of the 200. undici waits for no body and then misses it.
    if (this.state === 'answering' && isBodyless(this.status) && isLengthMismatch(error)) return this.onResponseEnd()
    if (this.instead) return this.beginOn(this.instead, backoff(this.retries - 1))
    const { lease, attempt } = this
    if (!this.repeated && metClosingConnection(attempt, lease.wasStale(error))) {
      this.repeated = true
      return this.beginOn(lease, 0)
    }
    const { origin, servername } = lease
    const failure = upstreamFailure(error, { origin, servername, connected: attempt.sent })
    if (this.state !== 'waiting' || !this.tryNext(attempt, failure)) this.fail(failure)
  }

  private get attempt(): Attempt {
    const { method } = this.parts.grant.request
    return { method, hasBody: this.body !== undefined, sent: this.controller !== undefined, heard: this.heard }
  }

  /** On another upstream when nothing was sent, or as far as the route retries. */
  private tryNext(attempt: Attempt, error: AppError): boolean {
    const { lease } = this
    const retry = allowsRetry(this.retryRules, retryCondition(attempt, error.code), this.retries)
    const unsent = mayGoElsewhere(attempt, error.code)
    if (!retry && !unsent) return false
    this.report({ kind: 'failed', error, sent: attempt.sent })
    const other = unsent ? lease.next('elsewhere') : undefined
    if (other) {
      this.beginOn(other, 0)
      return true
    }
    const next = retry ? lease.next('anywhere') : undefined
    if (next) this.beginOn(next, backoff(this.retries++))
    return next !== undefined
  }

  /** Gives up an answer of 502, 503 or 504 as far as the route retries. */
  private retryInstead(controller: Dispatcher.DispatchController, status: number): boolean {
    if (!allowsRetry(this.retryRules, retryAnswer(this.attempt, status), this.retries)) return false
    this.report({ kind: 'answered', status })
    this.instead = this.lease.next('anywhere')
    if (!this.instead) return false
    this.retries++
    controller.abort(new AppError('ERR_UPSTREAM_RESET', 'given up for a retry'))
    return true
  }

  private get retryRules(): Retries {
    return this.parts.grant.route.action.balancing.retries
  }

  private beginOn(lease: Lease, wait: Span): void {
    this.reported = false
    this.lease = lease
    this.instead = undefined
    this.controller = undefined
    this.heard = false
    const begin = (): void => {
      if (this.state === 'waiting') this.begin()
    }
    if (wait > 0) this.parts.deadlines.start(wait, begin)
    // The one that failed is still inside undici.
    else queueMicrotask(begin)
  }

  /** What came with the head has been seen: the rest may take its time. */
  endTurn(): void {
    if (this.state !== 'answering' || this.flowing) return
    if (this.first && this.controller) this.writeFirst(this.controller)
    else this.out?.flushHeaders()
    this.flowing = true
  }

  private writeFirst(controller: Dispatcher.DispatchController): void {
    const { first } = this
    this.first = undefined
    this.flowing = true
    if (first) this.write(controller, first)
  }

  private write(controller: Dispatcher.DispatchController, piece: Buffer): void {
    if (this.out?.write(piece)) {
      this.deadline.touch()
      return
    }
    if (controller.paused) return
    const { grant, deadlines } = this.parts
    // A slow client stops the upstream's socket, and the upstream is not late meanwhile.
    this.deadline.stop()
    controller.pause()
    this.out?.once('drain', () => {
      const { span } = grant.route.action.timeouts.responseBody
      if (this.state === 'answering') this.deadline = deadlines.start(span, this.onLate)
      controller.resume()
    })
  }

  private readonly onPiece = (): void => {
    this.deadline.touch()
  }

  private readonly onLate = (): void => {
    const { grant, deadlines } = this.parts
    const { origin, waiting } = this.lease
    const { response, responseBody } = grant.route.action.timeouts
    if (this.state === 'waiting') {
      // The client is late, and has a limit of its own.
      if (this.body?.starving) this.deadline = deadlines.start(response.span, this.onLate)
      else this.fail(lateUpstream(origin, 'no answer', response, waiting ? 'ERR_UPSTREAM_BUSY' : undefined))
    } else if (!isEventStream(this.lines)) {
      this.limit = describeLimit(responseBody)
      this.fail(lateUpstream(origin, 'no more of the answer', responseBody))
    }
  }

  /** The client's side is closed: all of the answer has been written, or the client has gone. */
  private readonly onClosed = (): void => {
    if (this.state === 'over') return
    if (this.state === 'waiting') return this.fail(clientClosed())
    const { exchange } = this.parts
    const complete = this.state === 'answered' && this.out?.writableFinished === true
    this.end({ kind: 'abandoned' })
    if (!complete) {
      this.controller?.abort(clientClosed())
      this.body?.destroy()
    }
    const cut = exchange.aborted ?? (complete ? undefined : 'client-closed')
    const forwarded: Forwarded = {
      status: this.status,
      upstream: this.lease.origin,
      upstreamMs: this.upstreamMs,
      bytesIn: this.body?.bytes ?? 0,
      bytesOut: this.bytesOut,
    }
    this.resolve(cut === undefined ? forwarded : { ...forwarded, cut, ...(this.limit && { limit: this.limit }) })
  }

  private fail(error: AppError): void {
    const { exchange } = this.parts
    if (this.state !== 'waiting') {
      // `onClosed` follows.
      exchange.abort(error.code)
      return
    }
    this.end(failedWith(error, this.controller !== undefined))
    this.controller?.abort(error)
    this.body?.destroy()
    this.reject(error)
  }

  private end(outcome: Outcome): void {
    this.state = 'over'
    this.deadline.stop()
    // Until its connection stands or fails undici keeps the request, so it keeps its place among the others.
    if (!this.connecting || this.lease.waiting) this.report(outcome)
    else this.outcome = outcome
  }

  private reported = false
  private report(outcome: Outcome): void {
    if (this.reported) return
    this.reported = true
    this.lease.report(outcome)
  }
}

/** undici reads names and values of HTTP/2 as Latin-1 and hands them over as UTF-8. */
function asReceived(part: Buffer): string {
  return part.toString('utf8')
}

function latin1(part: Buffer): string {
  return part.toString('latin1')
}

/** Of HTTP/2 they are a map. */
function trailersOf({ rawTrailers }: Dispatcher.DispatchController): Readonly<Record<string, string>> | undefined {
  const trailers: unknown = rawTrailers
  if (typeof trailers !== 'object' || trailers === null || Array.isArray(trailers)) return undefined
  return clientTrailers(trailers as Readonly<Record<string, string | readonly string[]>>)
}

function isBodyless(status: number): boolean {
  return status === 204 || status === 304
}

function isLengthMismatch(error: Error): boolean {
  return 'code' in error && error.code === 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH'
}

function endOfTurn(transfer: Transfer): void {
  transfer.endTurn()
}

export function clientClosed(): AppError {
  return new AppError('ERR_CLIENT_CLOSED', 'the client went away before the answer began')
}
