/** A request of HTTP/2 behind the seam of exchanges. */
import type { Duplex } from 'node:stream'
import { ERRORS, type ErrorCode } from '../errors.ts'
import type { CutReason, Exchange, RequestHead, ResponseBody, ResponseHead } from '../http/exchange.ts'
import { headerLines, listOf } from '../http/header-lines.ts'
import { elapsed, epochMillis } from '../lib/time.ts'
import type { Clock, Monotonic, Span, WallTime } from '../types.ts'
import { CODE, type Code } from '../wire/h2-frames.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import { H2Answer } from './h2-answer.ts'
import { H2Body } from './h2-body.ts'
import type { Request } from './h2-head.ts'
import type { H2Stream, StreamReader } from '../wire/h2-stream.ts'
import { H2Tunnel } from './h2-tunnel.ts'
import type { Connection, Timeouts } from './codec.ts'

/** RFC 9113 §8.2.2; and what accepts an upgrade of HTTP/1.1 (RFC 8441 §5). */
const OF_HTTP1 = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'sec-websocket-accept',
])

type StuckTimeouts = Pick<Timeouts, 'clientWriteTimeout' | 'tunnelIdleTimeout'>

export class H2Exchange implements Exchange, StreamReader {
  readonly head: RequestHead
  readonly body: H2Body | undefined
  aborted: CutReason | ErrorCode | undefined
  closed = false
  private readonly clock: Clock
  private readonly stream: H2Stream
  private readonly request: Request
  private answer: H2Answer | undefined
  private tunnel: H2Tunnel | undefined
  private tunnelIdle: Span | undefined
  /** Of an upgrade: it takes what is sent before there is an answer, too. */
  private readonly tunnelToBe: H2Tunnel | undefined
  private listeners: (() => void)[] = []
  private progress: { sent: number; sentAt: Monotonic; moved: number; movedAt: Monotonic } | undefined

  constructor(
    stream: H2Stream,
    request: Request,
    { peer, encrypted, facts }: Pick<Connection, 'peer' | 'encrypted' | 'facts'>,
    patience: BodyPatienceParts,
  ) {
    const { method, target, rawHeaders, upgrade } = request
    this.clock = patience.clock
    this.stream = stream
    this.request = request
    this.head = {
      method,
      target,
      headers: headerLines(rawHeaders),
      httpVersion: '2.0',
      peer,
      encrypted,
      upgrade,
      connection: facts,
    }
    this.body = upgrade || stream.remoteEnded ? undefined : new H2Body(stream, patience, () => this.continue())
    this.tunnelToBe = upgrade ? new H2Tunnel(stream) : undefined
    stream.reader = this
  }

  receive(piece: Buffer): void {
    if (this.body) this.body.receive(piece)
    else if (!this.answer) this.tunnelToBe?.receive(piece)
  }

  receiveEnd(): Code | undefined {
    this.body?.receiveEnd()
    this.tunnel?.receiveEnd()
    // A client that leaves before it is answered wants no tunnel.
    return this.head.upgrade && !this.tunnel && !this.answer ? CODE.CANCEL : undefined
  }

  isLast(): boolean {
    return this.answer?.isLast() === true
  }

  lost(): void {
    this.body?.lost()
    this.tunnel?.destroy()
    // What of a whole answer the kernel has not taken yet is waited for.
    if (!this.stream.localEnded || this.tunnel) this.close()
  }

  onClosed(listener: () => void): void {
    if (this.closed) process.nextTick(listener)
    else this.listeners.push(listener)
  }

  respond({ status, headers, length, dated }: ResponseHead): ResponseBody {
    this.leave()
    const { stream, request, head } = this
    // RFC 8441 §5: any 2xx would be taken for an accepted WebSocket.
    const shown = head.upgrade && status >= 200 && status < 300 ? 502 : status
    const bodyless = head.method === 'HEAD' || status === 204 || status === 304
    const answer = new H2Answer(stream, {
      fields: fieldsOf({ status: shown, headers, length, dated }, this.clock.now()),
      bodyless,
      takesTrailers: request.takesTrailers,
    })
    this.answer = answer
    answer.on('finish', this.onAnswered).on('error', this.close)
    return answer
  }

  upgrade(headers: string, idle?: Span): Duplex {
    this.leave()
    const tunnel = this.tunnelToBe
    if (!tunnel) throw new TypeError('the request asks for no upgrade')
    this.stream.sendHead(fieldsOf({ status: 200, headers }, this.clock.now()), false)
    this.tunnel = tunnel
    this.tunnelIdle = idle
    if (this.stream.closed) tunnel.destroy()
    return tunnel
  }

  abort(reason: CutReason | ErrorCode): void {
    if (this.closed) return
    this.aborted = reason
    if (this.stream.closed) this.close()
    else this.stream.reset(reason in ERRORS ? CODE.INTERNAL_ERROR : CODE.CANCEL)
  }

  /** Measured in octets, so that a slow client is not taken for one that has stopped. */
  cutWhenStuck(now: Monotonic, { clientWriteTimeout, tunnelIdleTimeout }: StuckTimeouts): void {
    const { stream } = this
    const moved = stream.sent + stream.received
    const before = this.progress ?? { sent: stream.sent, sentAt: now, moved, movedAt: now }
    const stalled = stream.isWriting && stream.sent === before.sent
    this.progress = {
      sent: stream.sent,
      sentAt: stalled ? before.sentAt : now,
      moved,
      movedAt: moved === before.moved ? before.movedAt : now,
    }
    const { sentAt, movedAt } = this.progress
    if (clientWriteTimeout > 0 && elapsed(now, sentAt) >= clientWriteTimeout) this.abort('client-stalled')
    const idle = this.tunnel ? (this.tunnelIdle ?? tunnelIdleTimeout) : 0
    if (idle > 0 && elapsed(now, movedAt) >= idle) this.abort('idle')
  }

  /** Two exits would be two answers on one stream. */
  private leave(): void {
    if (this.answer || this.tunnel) throw new TypeError('an exchange has only one exit')
  }

  /** RFC 9110 §10.1.1: when somebody wants the body. */
  private continue(): void {
    if (this.request.expectsContinue && !this.answer) this.stream.sendHead([':status', '100'], false)
  }

  private readonly onAnswered = (): void => {
    // RFC 9113 §8.1: the rest of the request is not needed.
    this.stream.reset(CODE.NO_ERROR)
    this.close()
  }

  private readonly close = (): void => {
    if (this.closed) return
    this.closed = true
    const { listeners } = this
    this.listeners = []
    for (const listener of listeners) listener()
  }
}

function fieldsOf({ status, headers, length, dated }: ResponseHead, now: WallTime): string[] {
  const fields = [':status', String(status)]
  const list = listOf(headers)
  for (let i = 0; i + 1 < list.length; i += 2) {
    const name = (list[i] as string).toLowerCase()
    if (!OF_HTTP1.has(name)) fields.push(name, list[i + 1] as string)
  }
  if (length !== undefined) fields.push('content-length', String(length))
  if (dated !== true) fields.push('date', httpDate(now))
  return fields
}

let second = 0
let dateText = ''

/** RFC 9110 §5.6.7; written once a second. */
function httpDate(now: WallTime): string {
  const current = Math.floor(epochMillis(now) / 1000)
  if (current !== second) {
    second = current
    dateText = new Date(current * 1000).toUTCString()
  }
  return dateText
}
