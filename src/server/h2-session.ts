import type { Asked } from '../http/asked.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Deadline } from '../lib/deadlines.ts'
import { elapsed } from '../lib/time.ts'
import type { Monotonic, Span } from '../types.ts'
import { CODE } from '../wire/h2-frames.ts'
import type { BodyPatienceParts } from './body-patience.ts'
import type { CodecParts, Connection, Timeouts } from './codec.ts'
import { Budget } from '../wire/h2-budget.ts'
import { H2Connection } from './h2-connection.ts'
import { H2Exchange } from './h2-exchange.ts'
import type { Refused, Request } from './h2-head.ts'
import type { H2Stream } from '../wire/h2-stream.ts'

/** After our GOAWAY the client has this long to read what was sent, and to close. */
const LINGER: Span = 10_000
/** Streams that a client may reset: at once, and each second. Each has cost a look-up, and maybe an upstream connection. */
const RESETS = { amount: 200, perSecond: 50 } as const
const IDLE_FRAMES = { amount: 1000, perSecond: 100 } as const

/** What all connections share. Changes with the configuration. */
export interface SessionLimits {
  readonly timeouts: Timeouts
  readonly patience: BodyPatienceParts
  readonly draining: boolean
}

export interface SessionParts extends Pick<CodecParts, 'deadlines' | 'clock' | 'refused'> {
  readonly run: (exchange: Exchange) => void
  readonly limits: () => SessionLimits
}

/** One connection, its exchanges and its time limits. */
export class H2Session {
  private readonly connection: H2Connection
  private readonly carrier: Connection
  private readonly parts: SessionParts
  private readonly exchanges = new Set<H2Exchange>()
  /** For the first request, and for a field block that has begun. */
  private deadline: Deadline
  private idleSince: Monotonic
  private progress: { readonly written: number; readonly at: Monotonic }

  constructor(carrier: Connection, parts: SessionParts, closed: () => void) {
    this.carrier = carrier
    this.parts = parts
    const { socket, encrypted } = carrier
    const { clock } = parts
    this.idleSince = clock.monotonic()
    this.progress = { written: 0, at: this.idleSince }
    this.deadline = this.begin()
    this.connection = new H2Connection(
      socket,
      encrypted,
      {
        idleFrames: new Budget(IDLE_FRAMES.amount, IDLE_FRAMES.perSecond, clock),
        resets: new Budget(RESETS.amount, RESETS.perSecond, clock),
      },
      {
        request: (stream, request) => this.serve(stream, request),
        refused: (stream, refused) => this.refuse(stream, refused),
        broken: (detail, asked) => this.report(400, detail, asked),
        blockBegan: () => {
          this.deadline.stop()
          this.deadline = this.begin('the request header did not come in time; the limit is timeout_read')
        },
        blockEnded: () => this.deadline.stop(),
        over: () => this.endSoon(),
      },
    )
    socket.on('data', (bytes: Buffer) => this.connection.read(bytes))
    socket.on('error', () => socket.destroy())
    // A client that ends its side is taken for gone, as over HTTP/1.1.
    socket.once('end', () => socket.destroy())
    socket.once('close', () => {
      this.deadline.stop()
      this.connection.lost()
      closed()
    })
    if (parts.limits().draining) this.connection.askToLeave()
  }

  drain(): void {
    this.connection.askToLeave()
  }

  endWhenIdle(): void {
    this.connection.leave()
  }

  cutWhenStuck(now: Monotonic): void {
    const { timeouts } = this.parts.limits()
    const { socket } = this.carrier
    // The kernel has not taken what waits in the stream.
    const written = socket.bytesWritten - socket.writableLength
    if (written !== this.progress.written || socket.writableLength === 0) this.progress = { written, at: now }
    const { clientWriteTimeout, timeoutIdle } = timeouts
    if (clientWriteTimeout > 0 && elapsed(now, this.progress.at) >= clientWriteTimeout) {
      for (const exchange of this.exchanges) exchange.abort('client-stalled')
      socket.destroy()
      return
    }
    for (const exchange of this.exchanges) exchange.cutWhenStuck(now, timeouts)
    if (this.connection.streams.size > 0) this.idleSince = now
    else if (timeoutIdle > 0 && elapsed(now, this.idleSince) >= timeoutIdle) this.connection.goaway(CODE.NO_ERROR)
  }

  private serve(stream: H2Stream, request: Request): void {
    this.deadline.stop()
    const { carrier, parts } = this
    const exchange = new H2Exchange(stream, request, carrier, parts.limits().patience)
    this.exchanges.add(exchange)
    exchange.onClosed(() => {
      this.exchanges.delete(exchange)
      if (this.exchanges.size === 0) this.idleSince = parts.clock.monotonic()
    })
    parts.run(exchange)
  }

  private refuse(stream: H2Stream, { status, detail, asked }: Refused): void {
    this.deadline.stop()
    this.report(status, detail, asked)
    stream.sendHead([':status', String(status), 'content-length', '0'], true)
    stream.reset(CODE.NO_ERROR)
  }

  private report(status: Refused['status'] | 400 | 408, detail: string, asked?: Asked): void {
    this.parts.refused({ status, detail, clientIp: this.carrier.peer ?? '', wants: 'json', ...(asked && { asked }) })
  }

  /** A client that has asked for nothing yet, such as a browser that connects ahead, gets no answer. */
  private begin(detail?: string): Deadline {
    const { deadlines, limits } = this.parts
    return deadlines.start(limits().timeouts.timeoutRead, () => {
      if (detail !== undefined) this.report(408, detail)
      this.connection.goaway(CODE.NO_ERROR)
    })
  }

  private endSoon(): void {
    const { socket } = this.carrier
    this.deadline.stop()
    this.connection.output.whenSent(() => socket.end())
    socket.once(
      'close',
      this.parts.clock.after(LINGER, () => socket.destroy()),
    )
  }
}
