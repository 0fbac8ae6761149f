/** One connection of a client of HTTP/2: it gives every request to `events.request`. What both ends do is wire/h2-peer.ts. */
import type { Asked } from '../http/asked.ts'
import type { Socket } from 'node:net'
import type { FieldBlock } from '../wire/h2-block.ts'
import { CODE, type Code, MAX_WINDOW, PREFACE, SETTING } from '../wire/h2-frames.ts'
import { type Fault, H2Peer, type PeerParts } from '../wire/h2-peer.ts'
import { H2Stream } from '../wire/h2-stream.ts'
import type { FieldSink } from '../wire/hpack.ts'
import { HeadReader, type Refused, type Request, TrailerReader } from './h2-head.ts'

/** At a time. */
const MAX_STREAMS = 100
/** Clients send priorities and window updates with their requests. */
const FRAMES_OF_REQUEST = 4

export interface ConnectionEvents {
  request(stream: H2Stream, request: Request): void
  /** To be answered with this status. */
  refused(stream: H2Stream, refused: Refused): void
  /** The client broke the rules. `detail` is constant. */
  broken(detail: string, asked: Asked | undefined): void
  /** A field block has begun, and must be complete in time. */
  blockBegan(): void
  blockEnded(): void
  /** GOAWAY is queued: the connection ends when it is written. */
  over(): void
}

export class H2Connection extends H2Peer {
  private readonly encrypted: boolean
  private readonly events: ConnectionEvents
  private readonly socket: Socket
  private prefaceOctets = 0
  private lastServed = 0
  /** Are requests that come now not answered? */
  private leaving = false

  constructor(socket: Socket, encrypted: boolean, parts: PeerParts, events: ConnectionEvents) {
    super(socket, parts, '', [
      [SETTING.maxConcurrentStreams, MAX_STREAMS],
      [SETTING.enableConnectProtocol, 1],
    ])
    this.socket = socket
    this.encrypted = encrypted
    this.events = events
  }

  override read(bytes: Buffer): void {
    const expected = PREFACE.subarray(this.prefaceOctets)
    const length = Math.min(expected.length, bytes.length)
    if (!bytes.subarray(0, length).equals(expected.subarray(0, length))) {
      return this.fail([CODE.PROTOCOL_ERROR, 'no preface of HTTP/2'])
    }
    this.prefaceOctets += length
    if (length === expected.length) super.read(length === 0 ? bytes : bytes.subarray(length))
    if (this.isHeld() && !this.over) this.pause()
  }

  protected override isHeld(): boolean {
    return this.output.isFull
  }

  /** Answers without a body end as soon as they are queued: without this limit a client that reads nothing could ask for any number of them. */
  private pause(): void {
    this.socket.pause()
    this.output.whenSent((error) => {
      if (error) return
      this.socket.resume()
      this.read(this.reader.takeUnread())
    })
  }

  override forget(stream: H2Stream, how: 'reset' | 'ended'): void {
    super.forget(stream, how)
    if (this.leaving && this.streams.size === 0) this.goaway(CODE.NO_ERROR)
  }

  /** Requests that have arrived are answered; the client sends others over another connection. */
  leave(): void {
    if (this.over || this.leaving) return
    if (this.streams.size === 0) return this.goaway(CODE.NO_ERROR)
    this.leaving = true
    this.output.put(this.goawayFrame(CODE.NO_ERROR))
  }

  /** Asks for another connection, and answers what still comes (RFC 9113 §6.8). */
  askToLeave(): void {
    if (!this.over && !this.leaving) this.output.put(this.goawayFrame(CODE.NO_ERROR, MAX_WINDOW))
  }

  protected override goawayFrame(code: Code, lastId = this.lastServed): string {
    return super.goawayFrame(code, lastId)
  }

  protected onBroken(detail: string, _?: H2Stream, asked?: Asked): void {
    this.events.broken(detail, asked)
  }

  protected onOver(): void {
    this.events.over()
  }

  protected override onBlock(open: boolean): void {
    if (open) this.events.blockBegan()
    else this.events.blockEnded()
  }

  /** The client leaves when it has its answers. */
  protected takeGoaway(): void {}

  protected sinkFor({ id }: FieldBlock): FieldSink {
    return id > this.lastId ? new HeadReader(this.encrypted) : new TrailerReader()
  }

  protected takeFields(block: FieldBlock, sink: FieldSink): Fault {
    const { id } = block
    if (sink instanceof HeadReader) return this.takeHead(block, sink)
    if (block.dependsOnItself) return this.failStream(id, CODE.PROTOCOL_ERROR, 'a stream that depends on itself')
    const stream = this.streams.get(id)
    if (!stream) return this.takeLate(id)
    if (stream.remoteEnded) return this.failStream(id, CODE.STREAM_CLOSED, 'HEADERS behind the end of a stream')
    const valid = sink instanceof TrailerReader && sink.valid
    const error = block.endStream && valid ? stream.receiveEnd() : CODE.PROTOCOL_ERROR
    return error === undefined ? undefined : this.failStream(id, error, 'trailers that are none')
  }

  private takeHead({ id, endStream, dependsOnItself }: FieldBlock, reader: HeadReader): Fault {
    if (id % 2 === 0) return [CODE.PROTOCOL_ERROR, 'an even stream identifier']
    this.lastId = id
    if (dependsOnItself) return this.failStream(id, CODE.PROTOCOL_ERROR, 'a stream that depends on itself')
    if (this.leaving || this.streams.size >= MAX_STREAMS) return this.failStream(id, CODE.REFUSED_STREAM, '')
    const head = reader.head()
    if (head.kind === 'malformed') return this.failStream(id, CODE.PROTOCOL_ERROR, head.detail, head.asked)
    this.lastServed = id
    this.parts.idleFrames.earn(FRAMES_OF_REQUEST)
    const stream = new H2Stream(id, this)
    if (head.kind === 'request') stream.expect(head.request.length)
    this.streams.set(id, stream)
    if (endStream) {
      const error = head.kind === 'request' && head.request.upgrade ? CODE.CANCEL : stream.receiveEnd()
      if (error !== undefined) return this.failStream(id, error, 'a body that is not as it was announced')
    }
    if (head.kind === 'refused') this.events.refused(stream, head)
    else this.events.request(stream, head.request)
    return undefined
  }
}
