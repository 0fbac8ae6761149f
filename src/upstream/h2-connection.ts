import { connect, type Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Monotonic, Span } from '../types.ts'
import type { FieldBlock } from '../wire/h2-block.ts'
import { Budget } from '../wire/h2-budget.ts'
import { CODE, PREFACE, SETTING } from '../wire/h2-frames.ts'
import { type Fault, H2Peer } from '../wire/h2-peer.ts'
import { H2Stream, type StreamReader } from '../wire/h2-stream.ts'
import type { FieldSink } from '../wire/hpack.ts'
import { KEEP_ALIVE, MAX_CONNECTION_AGE, type UpstreamConnection } from './connection.ts'
import { lateUpstream, protocolFailure } from './failure.ts'
import { AnswerFields } from './h2-answer.ts'
import { ConnectionClosed, H2Call, type H2Carrier } from './h2-call.ts'
import { connectTls } from './tls-handshake.ts'

/** Of one connection at a time, whatever the upstream allows. */
export const MAX_STREAMS = 100
/** Of an upstream that floods (CVE-2021-39162 and its like); one that works never gets there. */
const IDLE_FRAMES = { amount: 1000, perSecond: 100 } as const
const RESETS = { amount: 1000, perSecond: 100 } as const
/** TCP's own; the first after a minute of silence. */
const PROBING: Span = 60_000

const NO_ALPN = 'it speaks no HTTP/2 over TLS (ALPN), which gRPC and `upstream_codec_type: http2` need'
const NO_HTTP2 = 'it does not speak HTTP/2 on this port; write http:// in `to`?'

export interface H2ConnectionParts {
  /** For people. */
  readonly origin: string
  /** `:authority` of the upstream itself. */
  readonly authority: string
  readonly target: UpstreamConnection['target']
  /** Absent: no TLS, and prior knowledge of HTTP/2 (RFC 9113 §3.3). */
  readonly tls?: ConnectionOptions
  readonly connectTimeout: Span
  readonly clock: Clock
  readonly deadlines: Deadlines
}

export interface H2ConnectionOwner {
  /** A connection can take another call, or more than before. */
  onRoom(): void
  /** It takes no more. */
  onLeft(connection: H2ClientConnection): void
  /** The upstream has not looked at it: it may go again, over any connection. */
  onRefused(call: H2Call): void
  /** Its socket is closed. */
  onClosed(connection: H2ClientConnection): void
}

/** One connection to an upstream, for many calls at a time. */
export class H2ClientConnection extends H2Peer implements H2Carrier {
  readonly scheme: 'http' | 'https'
  /** Has it served a call to its end? */
  served = false
  /** Has the upstream allowed extended CONNECT (RFC 8441 §3)? */
  takesConnect = false
  private readonly parameters: H2ConnectionParts
  private readonly owner: H2ConnectionOwner
  private readonly socket: Socket
  private readonly bornAt: Monotonic
  private readonly calls = new Map<number, H2Call>()
  private state: 'connecting' | 'open' | 'leaving' | 'closed' = 'connecting'
  private maxStreams = MAX_STREAMS
  private error: Error | undefined
  /** Until the upstream has said its settings; then of the idle time. */
  private deadline: Deadline

  /** @param socket one that stands, and on which HTTP/2 was agreed; absent: it connects. */
  constructor(parts: H2ConnectionParts, owner: H2ConnectionOwner, socket: Socket = connectTo(parts)) {
    const { tls, connectTimeout, clock, deadlines } = parts
    const budgets = {
      idleFrames: new Budget(IDLE_FRAMES.amount, IDLE_FRAMES.perSecond, clock),
      resets: new Budget(RESETS.amount, RESETS.perSecond, clock),
    }
    super(socket, budgets, PREFACE.toString('latin1'), [[SETTING.enablePush, 0]])
    this.scheme = tls ? 'https' : 'http'
    this.parameters = parts
    this.owner = owner
    this.socket = socket
    this.bornAt = clock.monotonic()
    this.deadline = deadlines.start(connectTimeout, () =>
      this.cut(lateUpstream(parts.origin, 'no connection', { span: connectTimeout, key: 'upstream_connect_timeout' })),
    )
    socket.on('secureConnect', () => {
      if ('alpnProtocol' in socket && socket.alpnProtocol !== 'h2') this.cut(protocolFailure(parts.origin, NO_ALPN))
    })
    socket.on('data', (bytes: Buffer) => this.read(bytes))
    socket.on('end', () => socket.destroy())
    socket.on('error', (error) => {
      // RFC 7301 §3.2; our preface is written while the handshake goes on, so that the error is one of writing.
      const refused = tls && error.message.includes('no application protocol')
      this.error ??= refused ? protocolFailure(parts.origin, NO_ALPN) : error
    })
    socket.on('close', () => this.onClose())
  }

  get origin(): string {
    return this.parameters.origin
  }

  get authority(): string {
    return this.parameters.authority
  }

  /** It will take calls: the upstream has not said its settings yet, or allows none so far, as another one would not either. */
  get isComing(): boolean {
    return this.state === 'connecting' || (this.state === 'open' && this.lastId === 0 && this.maxStreams === 0)
  }

  hasRoom(): boolean {
    if (this.state === 'open' && this.isOld) this.leave()
    return this.state === 'open' && this.streams.size < this.maxStreams
  }

  private get isOld(): boolean {
    return elapsed(this.parameters.clock.monotonic(), this.bornAt) >= MAX_CONNECTION_AGE
  }

  take(call: H2Call): void {
    this.deadline.stop()
    try {
      call.begin(this)
    } catch (error) {
      call.abort()
      call.fail(error instanceof Error ? error : new Error(String(error)))
    }
    this.rest()
  }

  open(fields: readonly string[], end: boolean, call: StreamReader): H2Stream {
    const id = this.lastId === 0 ? 1 : this.lastId + 2
    this.lastId = id
    const stream = new H2Stream(id, this)
    stream.reader = call
    this.streams.set(id, stream)
    if (call instanceof H2Call) this.calls.set(id, call)
    stream.sendHead(fields, end)
    return stream
  }

  override forget(stream: H2Stream, how: 'reset' | 'ended'): void {
    super.forget(stream, how)
    this.calls.delete(stream.id)
    this.served ||= stream.remoteEnded
    this.rest()
    if (this.state === 'open') this.owner.onRoom()
  }

  sendAgain(call: H2Call): boolean {
    if (!call.detach()) return false
    this.owner.onRefused(call)
    return true
  }

  /** Takes no more; closes when what is under way has ended. */
  leave(): void {
    this.state = this.state === 'closed' ? 'closed' : 'leaving'
    this.owner.onLeft(this)
    if (this.streams.size === 0) this.goaway(CODE.NO_ERROR)
  }

  /** Ends it, and what is under way with it. */
  cut(error: Error): void {
    this.error ??= error
    this.socket.destroy()
  }

  /** Closes or goes idle if nothing is under way. */
  private rest(): void {
    if (this.streams.size > 0 || this.over) return
    if (this.state === 'leaving' || this.isOld) return this.leave()
    this.deadline.stop()
    this.deadline = this.parameters.deadlines.start(KEEP_ALIVE, () => this.leave())
  }

  protected override onSetting(id: number, value: number): void {
    if (id === SETTING.enableConnectProtocol) this.takesConnect = value === 1
    if (id === SETTING.maxConcurrentStreams) this.maxStreams = Math.min(value, MAX_STREAMS)
  }

  protected override onSettled(): void {
    if (this.state === 'connecting') {
      this.state = 'open'
      this.deadline.stop()
      this.rest()
    }
    if (this.state === 'open') this.owner.onRoom()
  }

  protected onBroken(detail: string, stream?: H2Stream): void {
    if (stream) this.calls.get(stream.id)?.broken(detail)
    else this.error ??= protocolFailure(this.origin, this.state === 'connecting' ? NO_HTTP2 : detail)
  }

  protected onOver(): void {
    this.state = 'closed'
    this.owner.onLeft(this)
    this.output.whenSent(() => this.socket.destroy())
    this.deadline.stop()
    this.deadline = this.parameters.deadlines.start(KEEP_ALIVE, () => this.socket.destroy())
  }

  /** What it has not looked at may be sent again (RFC 9113 §6.8). */
  protected takeGoaway(lastId: number): void {
    if (this.state !== 'closed') this.state = 'leaving'
    this.owner.onLeft(this)
    for (const [id, call] of this.calls) {
      if (id <= lastId) continue
      if (!this.sendAgain(call)) call.fail(new ConnectionClosed(), true)
      this.streams.get(id)?.reset(CODE.CANCEL)
    }
    this.rest()
  }

  protected sinkFor(): FieldSink {
    return new AnswerFields()
  }

  protected takeFields({ id, endStream }: FieldBlock, answer: FieldSink): Fault {
    const stream = this.streams.get(id)
    if (!stream) return this.takeLate(id)
    if (stream.remoteEnded) return this.failStream(id, CODE.STREAM_CLOSED, 'HEADERS behind the end of a stream')
    const problem = answer instanceof AnswerFields ? this.calls.get(id)?.receiveFields(answer, endStream) : undefined
    if (problem !== undefined) return this.failStream(id, CODE.PROTOCOL_ERROR, problem)
    const error = endStream ? stream.receiveEnd() : undefined
    return error === undefined ? undefined : this.failStream(id, error, 'a body that is not as it was announced')
  }

  private onClose(): void {
    this.state = 'closed'
    this.deadline.stop()
    this.lost()
    this.owner.onClosed(this)
  }

  /** Why it takes no more calls. */
  get failure(): Error {
    return this.error ?? new ConnectionClosed()
  }
}

function connectTo({ target, tls, clock }: H2ConnectionParts): Socket {
  if (tls) return connectTls({ target, tls, clock }, ['h2'])
  return connect({ ...target, noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBING })
}
