/** WebSockets over a stream of HTTP/2 (RFC 8441): an extended CONNECT, whose body and answer are the two directions. */
import { type Duplex, PassThrough } from 'node:stream'
import type { AppError } from '../errors.ts'
import type { Forwarded, ResponseBody } from '../http/exchange.ts'
import { linesOf, listOf } from '../http/header-lines.ts'
import type { Deadline } from '../lib/deadlines.ts'
import { describeLimit } from '../lib/duration.ts'
import { elapsed } from '../lib/time.ts'
import type { Monotonic } from '../types.ts'
import type { AnswerHandler, AnswerHead, Failure, UpstreamExchange, UpstreamRequest } from './client.ts'
import { lateUpstream, upstreamFailure } from './failure.ts'
import { clientHeaders } from './headers.ts'
import { failedWith, type Outcome, type StreamSettings } from './lease.ts'
import { originHint } from './origin-hint.ts'
import { mayGoElsewhere } from './retry.ts'
import { clientClosed } from './transfer.ts'
import { acceptOf, handshakeLimit, LINGER, type TunnelParts, WEBSOCKET } from './tunnel-parts.ts'

/** Of the handshake of HTTP/1.1 (RFC 8441 §5). */
const OF_HTTP1 = new Set(['sec-websocket-key', 'sec-websocket-accept', 'connection', 'upgrade'])

interface Ends {
  resolve(forwarded: Forwarded | Promise<Forwarded>): void
  reject(error: AppError): void
  elsewhere(): Promise<Forwarded> | undefined
}

/** As `openTunnel`. @param elsewhere the same on another upstream of the route; undefined: there is none. */
export function openStreamTunnel(
  parts: TunnelParts,
  { dispatch }: StreamSettings,
  elsewhere: Ends['elsewhere'],
): Promise<Forwarded> {
  return new Promise((resolve, reject) => new StreamTunnel(parts, { resolve, reject, elsewhere }).begin(dispatch))
}

class StreamTunnel implements AnswerHandler {
  private readonly parts: TunnelParts
  private readonly ends: Ends
  private readonly startedAt: Monotonic
  /** What the client says. */
  private readonly body = new PassThrough()
  private deadline: Deadline
  private lifetime: Deadline | undefined
  /** The time limit that ended it, however busy it was. */
  private tooLong: string | undefined
  private sent: UpstreamExchange | undefined
  private client: Duplex | undefined
  /** Of an upstream that refuses. */
  private out: ResponseBody | undefined
  private state: 'waiting' | 'answered' | 'over' = 'waiting'
  private status = 0
  private hint: string | undefined
  private upstreamMs = 0
  private bytesIn = 0
  private bytesOut = 0

  constructor(parts: TunnelParts, ends: Ends) {
    const { grant, exchange, lease, deadlines, clock, tunnels } = parts
    this.parts = parts
    this.ends = ends
    this.startedAt = clock.monotonic()
    const limit = handshakeLimit(grant)
    this.deadline = deadlines.start(limit.span, () =>
      this.fail(lateUpstream(lease.origin, 'no answer to the handshake', limit)),
    )
    tunnels.add(this.shutDown)
    this.body.on('error', () => {})
    exchange.onClosed(this.onClosed)
  }

  begin(dispatch: StreamSettings['dispatch']): void {
    const { path, head } = this.parts
    const request: UpstreamRequest = {
      method: 'CONNECT',
      protocol: WEBSOCKET,
      path,
      host: head.host,
      headers: withoutHandshake(head.headers),
      body: this.body,
      length: undefined,
    }
    dispatch(request, this)
  }

  onStart(sent: UpstreamExchange): void {
    this.sent = sent
    if (this.state === 'over') sent.abort()
  }

  onHead({ status, lines }: AnswerHead): void {
    const { grant, exchange, lease, path, head, context, deadlines, clock } = this.parts
    const accepted = status >= 200 && status < 300
    this.state = 'answered'
    this.deadline.stop()
    this.upstreamMs = elapsed(clock.monotonic(), this.startedAt)
    this.status = accepted ? 101 : status
    const sent = { origin: lease.url, path, host: head.host }
    const { headers, length, dated } = clientHeaders(lines, this.status, grant, context, sent)
    if (accepted) {
      const handshake = ['connection', 'Upgrade', 'upgrade', WEBSOCKET, 'sec-websocket-accept', acceptOf(head)]
      const { tunnel, tunnelLifetime } = grant.route.action.timeouts
      this.join(exchange.upgrade(linesOf(handshake) + withoutHandshake(headers), tunnel))
      this.lifetime = deadlines.start(tunnelLifetime.span, () => {
        this.tooLong = describeLimit(tunnelLifetime)
        this.body.end()
        this.endClient(undefined)
      })
      return
    }
    // Not accepted: the upstream's own refusal, passed on with its body.
    if (status === 403) this.hint = originHint(grant.request, head.host, lease.url)
    this.out = exchange.respond({ status, reason: undefined, headers, length, dated, close: true })
    this.startIdle()
  }

  onPiece(piece: Buffer): boolean {
    const to = this.client ?? this.out
    if (!to || this.tooLong !== undefined) return true
    if (piece.length === 0) {
      this.out?.flushHeaders()
      return true
    }
    if (this.out) this.deadline.touch()
    this.bytesOut += piece.length
    if (!to.write(piece)) {
      this.sent?.pause()
      to.once('drain', () => this.sent?.resume())
    }
    return false
  }

  onEnd(last: Buffer | undefined): boolean {
    this.bytesOut += last?.length ?? 0
    this.sent = undefined
    if (this.client) this.endClient(last)
    else this.out?.end(last)
    return false
  }

  onFailure({ error }: Failure): void {
    const { exchange, lease } = this.parts
    const connected = this.sent !== undefined
    this.sent = undefined
    if (this.state === 'waiting') {
      const { origin, servername } = lease
      this.fail(upstreamFailure(error, { origin, servername, connected }))
    } else if (this.client) this.endClient(undefined)
    // A body that was cut must not look complete.
    else exchange.abort('ERR_UPSTREAM_RESET')
  }

  /** While a slow client stops it the upstream is not late. */
  private startIdle(): void {
    const { grant, exchange, deadlines } = this.parts
    const late = (): void => (this.out?.writableNeedDrain ? this.startIdle() : exchange.abort('ERR_UPSTREAM_TIMEOUT'))
    this.deadline = deadlines.start(grant.route.action.timeouts.responseBody.span, late)
  }

  /** Bytes go both ways, at the pace of the slower side. */
  private join(client: Duplex): void {
    const { body } = this
    this.client = client
    client.on('error', () => {})
    client.on('data', (piece: Buffer) => {
      this.bytesIn += piece.length
      if (!body.writableEnded && !body.write(piece)) client.pause()
    })
    body.on('drain', () => client.resume())
    client.once('end', () => {
      body.end()
      this.linger()
    })
  }

  /** It takes what is on its way; neither side outlives the other. */
  private endClient(last: Buffer | undefined): void {
    const { client } = this
    if (!client || client.destroyed || client.writableEnded) return
    this.linger()
    client.end(last, () => client.destroy())
  }

  private linger(): void {
    this.deadline.stop()
    this.deadline = this.parts.deadlines.start(LINGER, () => this.client?.destroy())
  }

  private readonly shutDown = (): void => {
    this.parts.exchange.abort('shutdown')
  }

  private readonly onClosed = (): void => {
    if (this.state === 'over') return
    if (this.state === 'waiting') return this.fail(clientClosed())
    const { exchange, lease } = this.parts
    const { status, upstreamMs, bytesIn, bytesOut, hint } = this
    this.leave({ kind: 'answered', status })
    const cut = this.tooLong === undefined ? exchange.aborted : 'too-long'
    this.ends.resolve({
      status,
      upstream: lease.origin,
      upstreamMs,
      bytesIn,
      bytesOut,
      ...(cut === undefined ? {} : { cut }),
      ...(this.tooLong === undefined ? {} : { limit: this.tooLong }),
      ...(hint === undefined ? {} : { hint }),
    })
  }

  private fail(error: AppError): void {
    if (this.state !== 'waiting') return
    const sent = this.sent !== undefined
    this.leave(failedWith(error, sent))
    const elsewhere = mayGoElsewhere({ sent }, error.code) ? this.ends.elsewhere() : undefined
    if (elsewhere) this.ends.resolve(elsewhere)
    else this.ends.reject(error)
  }

  private leave(outcome: Outcome): void {
    this.state = 'over'
    this.deadline.stop()
    this.lifetime?.stop()
    this.parts.tunnels.delete(this.shutDown)
    this.sent?.abort()
    this.body.destroy()
    this.parts.lease.report(outcome)
  }
}

/** A second `Sec-WebSocket-Accept` would end it in every browser (RFC 6455 §4.1). */
function withoutHandshake(lines: string): string {
  const list = listOf(lines)
  return linesOf(list.filter((_, i) => !OF_HTTP1.has((list[i - (i % 2)] as string).toLowerCase())))
}
