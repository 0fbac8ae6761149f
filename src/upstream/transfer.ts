/**
 * Carries one request and its answer: both bodies are streamed with backpressure, and an abort on either side ends the
 * other. A failure before the answer's head is reported, so that an error page can follow; after it the exchange is
 * aborted, which is the only way to say that a body is not complete.
 */
import { AppError, toAppError } from '../errors.ts'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import type { Forward, Retries } from '../config/route-model.ts'
import type { Exchange, Forwarded, ForwardOutcome, RequestBody, ResponseBody } from '../http/exchange.ts'
import { type HeaderLines, NO_LINES } from '../http/header-lines.ts'
import type { Grant } from '../policy/verdict.ts'
import { describeLimit } from '../lib/duration.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Limit, Monotonic, Span } from '../types.ts'
import { isStream } from './answer.ts'
import type { AnswerHandler, AnswerHead, Failure, UpstreamExchange, UpstreamRequest } from './client.ts'
import { lateUpstream, upstreamFailure } from './failure.ts'
import { clientHeaders, type HeaderContext, type UpstreamHead } from './headers.ts'
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

export class Transfer implements AnswerHandler {
  private readonly parts: TransferParts
  private readonly told: ForwardOutcome
  private readonly startedAt: Monotonic
  private readonly request: UpstreamRequest
  private readonly body: RequestBody | undefined
  private lease: Lease
  private deadline: Deadline
  /** For the whole exchange (`request_timeout`). */
  private readonly last: Deadline
  /** The request on its connection. */
  private sent: UpstreamExchange | undefined
  private out: ResponseBody | undefined
  /** `over`: the outcome has been told, and the upstream is not listened to any more. */
  private state: 'waiting' | 'answering' | 'answered' | 'over' = 'waiting'
  /** Dispatched, but no connection has taken it yet. */
  private connecting = false
  private outcome: Outcome = { kind: 'abandoned' }
  private repeated = false
  private retries = 0
  /** Has the head been sent, alone or with a first piece? */
  private flowing = false
  /** Is the upstream paused because the client is slow? */
  private stopped = false
  private status = 0
  /** Of the answer. */
  private lines: HeaderLines = NO_LINES
  private upstreamMs = 0
  private bytesOut = 0
  /** The time limit that ended it. */
  private limit: string | undefined

  constructor(parts: TransferParts, told: ForwardOutcome) {
    const { grant, exchange, path, head, deadlines, clock } = parts
    const { body } = exchange
    this.parts = parts
    this.told = told
    this.lease = parts.lease
    this.startedAt = clock.monotonic()
    const { timeouts } = grant.route.action
    this.deadline = deadlines.start(timeouts.response.span, this.onLate)
    this.last = deadlines.start(timeouts.request.span, this.onTooLong)
    this.body = body
    let length: number | undefined
    if (body) {
      body.limit(timeouts.requestBody)
      body.onPiece = this.onSign
      const announced = exchange.head.headers.first('content-length')
      if (announced !== undefined) length = Number(announced)
    }
    const { method } = grant.request
    this.request = { method, path, host: head.host, headers: head.headers, body, length }
    exchange.onClosed(this.onClosed)
  }

  begin(): void {
    // It failed while the session was read, or while the request waited for its turn.
    if (this.body?.errored) return this.fail(toAppError(this.body.errored))
    this.connecting = true
    this.lease.dispatch(this.request, this)
  }

  onStart(sent: UpstreamExchange): void {
    this.sent = sent
    this.connecting = false
    if (this.state !== 'over') return
    // The client left, or the time was up, while we waited for a connection.
    sent.abort()
    this.report(this.outcome)
  }

  onHead({ status, reason, lines }: AnswerHead): void {
    if (status >= 502 && this.retryInstead(status)) return
    const { grant, exchange, path, head, context, deadlines, clock } = this.parts
    this.deadline.stop()
    this.upstreamMs = elapsed(clock.monotonic(), this.startedAt)
    this.status = status
    this.lines = lines
    const sent = { origin: this.lease.url, path, host: head.host }
    const { headers, length, dated } = clientHeaders(lines, status, grant, context, sent)
    this.out = exchange.respond({ status, reason, headers, length, dated })
    this.state = 'answering'
    // From here on a piece in either direction restarts the time limit.
    this.body?.limit(UNLIMITED)
    this.deadline = deadlines.start(grant.route.action.timeouts.responseBody.span, this.onLate)
  }

  onPiece(piece: Buffer): boolean {
    const { out } = this
    if (!out) return true
    if (piece.length === 0) {
      if (!this.flowing) out.flushHeaders()
      this.flowing = true
      return true
    }
    this.flowing = true
    this.bytesOut += piece.length
    const more = out.write(piece)
    if (out.writableLength === 0) {
      this.deadline.touch()
      return true
    }
    if (!more) this.waitForClient(out)
    return false
  }

  /** Trailers of HTTP/1.1 are dropped: they could not be judged before the body was passed on. */
  onEnd(last: Buffer | undefined, trailers?: Readonly<Record<string, string>>): boolean {
    const { out } = this
    this.deadline.stop()
    this.state = 'answered'
    this.report({ kind: 'answered', status: this.status })
    if (trailers) out?.addTrailers(trailers)
    this.bytesOut += last?.length ?? 0
    out?.end(last)
    return out === undefined || out.writableLength === 0
  }

  onFailure({ error, stale, heard }: Failure): void {
    this.connecting = false
    if (this.state === 'over') return this.report(this.outcome)
    const { lease } = this
    const attempt = this.attempt(heard)
    if (!this.repeated && metClosingConnection(attempt, stale)) {
      this.repeated = true
      return this.beginOn(lease, 0)
    }
    const { origin, servername } = lease
    const failure = upstreamFailure(error, { origin, servername, connected: attempt.sent })
    if (this.state !== 'waiting' || !this.tryNext(attempt, failure)) this.fail(failure)
  }

  private attempt(heard: boolean): Attempt {
    return { method: this.request.method, hasBody: this.body !== undefined, sent: this.sent !== undefined, heard }
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
  private retryInstead(status: number): boolean {
    if (!allowsRetry(this.retryRules, retryAnswer(this.attempt(true), status), this.retries)) return false
    this.report({ kind: 'answered', status })
    const next = this.lease.next('anywhere')
    if (!next) return false
    this.sent?.abort()
    this.beginOn(next, backoff(this.retries++))
    return true
  }

  private get retryRules(): Retries {
    return this.parts.grant.route.action.balancing.retries
  }

  private beginOn(lease: Lease, wait: Span): void {
    this.reported = false
    this.lease = lease
    this.sent = undefined
    const begin = (): void => {
      if (this.state === 'waiting') this.begin()
    }
    if (wait > 0) this.parts.deadlines.start(wait, begin)
    // The failed exchange is still being ended further up the stack.
    else queueMicrotask(begin)
  }

  /** A slow client pauses the upstream's socket; its time limit does not run meanwhile. */
  private waitForClient(out: ResponseBody): void {
    const { grant, deadlines } = this.parts
    if (this.stopped) return
    this.stopped = true
    this.deadline.stop()
    this.sent?.pause()
    out.once('drain', () => {
      this.stopped = false
      const { span } = grant.route.action.timeouts.responseBody
      if (this.state === 'answering') this.deadline = deadlines.start(span, this.onLate)
      this.sent?.resume()
    })
  }

  private readonly onSign = (): void => {
    this.deadline.touch()
  }

  private readonly onLate = (): void => {
    const { grant, deadlines } = this.parts
    const { origin, waiting } = this.lease
    const { response, responseBody } = grant.route.action.timeouts
    if (this.state === 'waiting') {
      // It is the client that is late, and it has a limit of its own.
      if (this.body?.starving) this.deadline = deadlines.start(response.span, this.onLate)
      else this.fail(lateUpstream(origin, 'no answer', response, waiting ? 'ERR_UPSTREAM_BUSY' : undefined))
    } else if (!isStream(this.lines)) {
      this.limit = describeLimit(responseBody)
      this.fail(lateUpstream(origin, 'no more of the answer', responseBody))
    }
  }

  /** `request_timeout` is over: whoever we wait for is late. An event stream may go on. */
  private readonly onTooLong = (): void => {
    const { grant, exchange } = this.parts
    const { request } = grant.route.action.timeouts
    const limit = describeLimit(request)
    if (this.state === 'waiting') {
      this.fail(
        this.body?.starving
          ? new AppError('ERR_CLIENT_TIMEOUT', `the client sent its request too slowly; the limit is ${limit}`, {
              details: { limit },
            })
          : lateUpstream(this.lease.origin, 'no answer', request),
      )
    } else if (!isStream(this.lines)) {
      this.limit = limit
      exchange.abort('too-long')
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
      this.sent?.abort()
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
    this.told.forwarded(cut === undefined ? forwarded : { ...forwarded, cut, ...(this.limit && { limit: this.limit }) })
  }

  private fail(error: AppError): void {
    const { exchange } = this.parts
    if (this.state !== 'waiting') {
      // `onClosed` follows.
      exchange.abort(error.code)
      return
    }
    this.end(failedWith(error, this.sent !== undefined))
    this.sent?.abort()
    this.body?.destroy()
    this.told.failed(error)
  }

  private end(outcome: Outcome): void {
    this.state = 'over'
    this.deadline.stop()
    this.last.stop()
    // While its connection is being made the request keeps its place among the others, so nothing is reported yet.
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

export function clientClosed(): AppError {
  return new AppError('ERR_CLIENT_CLOSED', 'the client went away before the answer began')
}
