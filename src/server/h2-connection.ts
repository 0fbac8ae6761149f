/**
 * One connection of HTTP/2 (RFC 9113): its settings, streams and windows. It gives every request to `events.request`, ends
 * a stream that is not as it should be, and the connection when nobody knows any more what the peer means.
 */
import type { Socket } from 'node:net'
import { HpackDecoder } from '../wire/hpack.ts'
import {
  CODE,
  type Code,
  DEFAULT_WINDOW,
  FLAG,
  FRAME,
  frame,
  FrameReader,
  MAX_FRAME,
  MAX_WINDOW,
  PREFACE,
  SETTING,
  settingsFrame,
  uint32,
  unpadded,
} from '../wire/h2-frames.ts'
import { FieldBlock } from './h2-block.ts'
import type { Budget } from './h2-budget.ts'
import { HeadReader, MAX_LIST, type Refused, type Request, TrailerReader } from './h2-head.ts'
import { Output } from './h2-output.ts'
import { H2Stream, STREAM_WINDOW, type StreamOwner } from './h2-stream.ts'

/** At a time. */
export const MAX_STREAMS = 100
/** Of all streams together; each octet is credited when it comes, so that no stream stops the others. */
const CONNECTION_WINDOW = 1024 * 1024
/** Streams that have ended and are remembered: what a client still sends on them is judged by how they ended. */
const MAX_REMEMBERED = 256

/** Frames of no use that each request, and each DATA frame of ours, may bring along. */
const FRAMES_OF_REQUEST = 4
const FRAMES_OF_DATA = 2

const SETTINGS = settingsFrame([
  [SETTING.maxConcurrentStreams, MAX_STREAMS],
  [SETTING.initialWindowSize, STREAM_WINDOW],
  [SETTING.maxHeaderListSize, MAX_LIST],
  [SETTING.enableConnectProtocol, 1],
])
const FIRST_CREDIT = frame(FRAME.windowUpdate, 0, 0, uint32(CONNECTION_WINDOW - DEFAULT_WINDOW))
const SETTINGS_ACK = frame(FRAME.settings, FLAG.ack, 0, '')

export interface ConnectionEvents {
  request(stream: H2Stream, request: Request): void
  refused(stream: H2Stream, refused: Refused): void
  /** The peer broke the rules. `detail` is constant. */
  broken(detail: string): void
  /** A field block has begun, and must be complete in time. */
  blockBegan(): void
  blockEnded(): void
  /** GOAWAY has been put: the connection ends when that is written. */
  over(): void
}

export interface ConnectionParts {
  readonly encrypted: boolean
  /** Frames of no use: settings, pings, window updates, priorities, empty and unknown ones. */
  readonly idleFrames: Budget
  /** Requests that were ended, or had to be, before their answer was. */
  readonly resets: Budget
}

/** Says what is wrong, or nothing. */
type Fault = readonly [code: Code, detail: string] | undefined

export class H2Connection implements StreamOwner {
  readonly output: Output
  readonly streams = new Map<number, H2Stream>()
  sendWindow = DEFAULT_WINDOW
  /** `leaving`: requests that come now are not answered. */
  state: 'preface' | 'open' | 'leaving' | 'over' = 'preface'
  private readonly reader = new FrameReader((type, flags, id, payload) => this.onFrame(type, flags, id, payload))
  private readonly decoder = new HpackDecoder()
  private readonly events: ConnectionEvents
  private readonly parts: ConnectionParts
  private readonly ended = new Map<number, 'reset' | 'ended'>()
  private prefaceBytes = 0
  private settled = false
  private firstBlock = true
  /** Of all requests that have come, and of those that are answered. */
  private lastId = 0
  private lastServed = 0
  private receiveWindow = CONNECTION_WINDOW
  private block: FieldBlock | undefined

  constructor(socket: Socket, parts: ConnectionParts, events: ConnectionEvents) {
    this.output = new Output(socket, () => parts.idleFrames.earn(FRAMES_OF_DATA))
    this.parts = parts
    this.events = events
    this.output.put(SETTINGS + FIRST_CREDIT)
  }

  isFirstBlock(): boolean {
    const first = this.firstBlock
    this.firstBlock = false
    return first
  }

  forget(stream: H2Stream, how: 'reset' | 'ended'): void {
    this.streams.delete(stream.id)
    this.remember(stream.id, how)
    if (stream.localEnded) this.parts.resets.earn(1)
    if (this.state === 'leaving' && this.streams.size === 0) this.goaway(CODE.NO_ERROR)
  }

  private remember(id: number, how: 'reset' | 'ended'): void {
    this.ended.set(id, how)
    if (this.ended.size > MAX_REMEMBERED) this.ended.delete(this.ended.keys().next().value ?? 0)
  }

  read(bytes: Buffer): void {
    if (this.isOver()) return
    let rest = bytes
    if (this.state === 'preface') {
      const expected = PREFACE.subarray(this.prefaceBytes)
      const length = Math.min(expected.length, bytes.length)
      if (!bytes.subarray(0, length).equals(expected.subarray(0, length))) {
        return this.fail([CODE.PROTOCOL_ERROR, 'no preface of HTTP/2'])
      }
      this.prefaceBytes += length
      if (length < expected.length) return
      this.state = 'open'
      rest = bytes.subarray(length)
    }
    if (this.reader.read(rest) === 'too-long') this.fail([CODE.FRAME_SIZE_ERROR, 'a frame that is too long'])
  }

  /** Every request that has come is answered; whatever comes now goes to another connection. */
  leave(): void {
    if (this.state !== 'open' && this.state !== 'preface') return
    if (this.streams.size === 0) return this.goaway(CODE.NO_ERROR)
    this.state = 'leaving'
    this.output.put(this.goawayFrame(CODE.NO_ERROR, this.lastServed))
  }

  /** Asks for another connection, and answers what still comes (RFC 9113 §6.8). */
  askToLeave(): void {
    if (this.state === 'open' || this.state === 'preface') this.output.put(this.goawayFrame(CODE.NO_ERROR, MAX_WINDOW))
  }

  /** The socket is gone. */
  lost(): void {
    this.state = 'over'
    this.endStreams()
  }

  goaway(code: Code): void {
    if (this.isOver()) return
    this.state = 'over'
    this.output.put(this.goawayFrame(code, this.lastServed))
    this.endStreams()
    this.events.over()
  }

  private endStreams(): void {
    for (const stream of this.streams.values()) stream.lost()
  }

  private goawayFrame(code: Code, lastId: number): string {
    return frame(FRAME.goaway, 0, 0, uint32(lastId) + uint32(code))
  }

  private fail([code, detail]: readonly [Code, string]): void {
    if (this.isOver()) return
    this.events.broken(detail)
    this.goaway(code)
  }

  /** TypeScript takes the state for known while a call may have changed it. */
  private isOver(): boolean {
    return this.state === 'over'
  }

  /** A stream error (RFC 9113 §5.4.2). A client that makes many of them is none. */
  private failStream(id: number, code: Code, detail: string): Fault {
    const stream = this.streams.get(id)
    if (stream) stream.reset(code)
    else {
      this.output.put(frame(FRAME.rstStream, 0, id, uint32(code)))
      this.remember(id, 'reset')
    }
    if (code !== CODE.REFUSED_STREAM) this.events.broken(detail)
    return this.spendReset()
  }

  private spendReset(): Fault {
    return this.parts.resets.spend() ? undefined : [CODE.ENHANCE_YOUR_CALM, 'too many requests that were reset']
  }

  private spendFrame(): Fault {
    return this.parts.idleFrames.spend() ? undefined : [CODE.ENHANCE_YOUR_CALM, 'too many frames of no use']
  }

  /** false: read no more. */
  private onFrame(type: number, flags: number, id: number, payload: Buffer): boolean {
    const fault = this.takeFrame(type, flags, id, payload)
    if (fault) this.fail(fault)
    return !this.isOver()
  }

  private takeFrame(type: number, flags: number, id: number, payload: Buffer): Fault {
    if (!this.settled) {
      if (type !== FRAME.settings || flags & FLAG.ack) return [CODE.PROTOCOL_ERROR, 'SETTINGS must come first']
      this.settled = true
    }
    if (this.block) {
      return type === FRAME.continuation && id === this.block.id
        ? this.takeFragment(this.block, flags, payload)
        : [CODE.PROTOCOL_ERROR, 'a frame within a field block']
    }
    switch (type) {
      case FRAME.data:
        return this.takeData(flags, id, payload)
      case FRAME.headers:
        return this.takeHeaders(flags, id, payload)
      case FRAME.priority:
        return this.takePriority(id, payload)
      case FRAME.rstStream:
        return this.takeReset(id, payload)
      case FRAME.settings:
        return this.takeSettings(flags, id, payload)
      case FRAME.pushPromise:
        return [CODE.PROTOCOL_ERROR, 'PUSH_PROMISE from a client']
      case FRAME.ping:
        return this.takePing(flags, id, payload)
      case FRAME.goaway:
        return id === 0 ? this.spendFrame() : [CODE.PROTOCOL_ERROR, 'GOAWAY on a stream']
      case FRAME.windowUpdate:
        return this.takeWindowUpdate(id, payload)
      case FRAME.continuation:
        return [CODE.PROTOCOL_ERROR, 'CONTINUATION without a field block']
      default:
        return this.spendFrame()
    }
  }

  private takeData(flags: number, id: number, payload: Buffer): Fault {
    const body = unpadded(flags, payload)
    if (id === 0 || !body) return [CODE.PROTOCOL_ERROR, 'an invalid DATA frame']
    const fault = this.countData(payload.length, body.length, (flags & FLAG.endStream) !== 0)
    if (fault) return fault
    const stream = this.streams.get(id)
    if (!stream) return this.takeLate(id)
    if (stream.remoteEnded) return this.failStream(id, CODE.STREAM_CLOSED, 'DATA behind the end of a stream')
    const error = stream.receive(body, payload.length) ?? (flags & FLAG.endStream ? stream.receiveEnd() : undefined)
    return error === undefined ? undefined : this.failStream(id, error, 'a body that is not as it was announced')
  }

  /** Every octet counts for the connection, whatever becomes of it. */
  private countData(octets: number, bodyOctets: number, end: boolean): Fault {
    this.receiveWindow -= octets
    if (this.receiveWindow < 0) return [CODE.FLOW_CONTROL_ERROR, 'more DATA than the window allows']
    if (this.receiveWindow < CONNECTION_WINDOW / 2) {
      this.output.put(frame(FRAME.windowUpdate, 0, 0, uint32(CONNECTION_WINDOW - this.receiveWindow)))
      this.receiveWindow = CONNECTION_WINDOW
    }
    if (bodyOctets === 0 && !end) return this.spendFrame()
    this.parts.idleFrames.earn(1)
    return undefined
  }

  /** DATA or a field block on a stream that is no more, or has never been. */
  private takeLate(id: number): Fault {
    if (id > this.lastId || id % 2 === 0) return [CODE.PROTOCOL_ERROR, 'a frame on an idle stream']
    // What was on its way when we reset the stream; also requests that came after GOAWAY.
    if (this.ended.get(id) === 'reset') return this.spendFrame()
    return [CODE.STREAM_CLOSED, 'a frame on a closed stream']
  }

  private takeHeaders(flags: number, id: number, payload: Buffer): Fault {
    let fragment = unpadded(flags, payload)
    if (id === 0 || !fragment) return [CODE.PROTOCOL_ERROR, 'an invalid HEADERS frame']
    let dependsOnItself = false
    if (flags & FLAG.priority) {
      if (fragment.length < 5) return [CODE.FRAME_SIZE_ERROR, 'an invalid HEADERS frame']
      dependsOnItself = (fragment.readUInt32BE(0) & 0x7fffffff) === id
      fragment = fragment.subarray(5)
    }
    const block = new FieldBlock(id, (flags & FLAG.endStream) !== 0, dependsOnItself)
    return this.takeFragment(block, flags, fragment)
  }

  private takeFragment(block: FieldBlock, flags: number, fragment: Buffer): Fault {
    if (!block.add(fragment)) return [CODE.ENHANCE_YOUR_CALM, 'a field block that is too long']
    if (flags & FLAG.endHeaders) {
      if (this.block) this.events.blockEnded()
      this.block = undefined
      return this.takeBlock(block)
    }
    if (!this.block) this.events.blockBegan()
    this.block = block
    return undefined
  }

  /** Whatever becomes of the stream, the block is decoded: the next one depends on it. */
  private takeBlock(block: FieldBlock): Fault {
    const { id } = block
    const isNew = id > this.lastId
    const sink = isNew ? new HeadReader(this.parts.encrypted) : new TrailerReader()
    if (!this.decoder.decode(block.whole(), sink)) return [CODE.COMPRESSION_ERROR, 'a field block that cannot be read']
    if (block.dependsOnItself) {
      if (isNew) this.lastId = id
      return this.failStream(id, CODE.PROTOCOL_ERROR, 'a stream that depends on itself')
    }
    if (sink instanceof HeadReader) return this.takeHead(block, sink)
    const stream = this.streams.get(id)
    if (!stream) return this.ended.has(id) ? this.takeLate(id) : [CODE.PROTOCOL_ERROR, 'a stream identifier of old']
    if (stream.remoteEnded) return this.failStream(id, CODE.STREAM_CLOSED, 'HEADERS behind the end of a stream')
    const error = block.endStream && sink.valid ? stream.receiveEnd() : CODE.PROTOCOL_ERROR
    return error === undefined ? undefined : this.failStream(id, error, 'trailers that are none')
  }

  private takeHead({ id, endStream }: FieldBlock, reader: HeadReader): Fault {
    if (id % 2 === 0) return [CODE.PROTOCOL_ERROR, 'an even stream identifier']
    this.lastId = id
    if (this.state === 'leaving' || this.streams.size >= MAX_STREAMS)
      return this.failStream(id, CODE.REFUSED_STREAM, '')
    const head = reader.head()
    if (head.kind === 'malformed') return this.failStream(id, CODE.PROTOCOL_ERROR, head.detail)
    this.lastServed = id
    // Clients send priorities and window updates with their requests.
    this.parts.idleFrames.earn(FRAMES_OF_REQUEST)
    const stream = new H2Stream(id, this, head.kind === 'request' ? head.request.length : undefined)
    this.streams.set(id, stream)
    if (endStream) {
      const error = stream.receiveEnd()
      if (error !== undefined) return this.failStream(id, error, 'a body that is not as it was announced')
    }
    if (head.kind === 'refused') this.events.refused(stream, head)
    else this.events.request(stream, head.request)
    return undefined
  }

  private takePriority(id: number, payload: Buffer): Fault {
    if (id === 0) return [CODE.PROTOCOL_ERROR, 'PRIORITY without a stream']
    if (payload.length !== 5) return this.failStream(id, CODE.FRAME_SIZE_ERROR, 'an invalid PRIORITY frame')
    if ((payload.readUInt32BE(0) & 0x7fffffff) === id) {
      return this.failStream(id, CODE.PROTOCOL_ERROR, 'a stream that depends on itself')
    }
    return this.spendFrame()
  }

  private takeReset(id: number, payload: Buffer): Fault {
    if (payload.length !== 4) return [CODE.FRAME_SIZE_ERROR, 'an invalid RST_STREAM frame']
    if (id === 0 || id > this.lastId) return [CODE.PROTOCOL_ERROR, 'RST_STREAM on an idle stream']
    const stream = this.streams.get(id)
    if (!stream) return this.spendFrame()
    stream.lost()
    return this.spendReset()
  }

  private takeSettings(flags: number, id: number, payload: Buffer): Fault {
    if (id !== 0) return [CODE.PROTOCOL_ERROR, 'SETTINGS on a stream']
    if (payload.length % 6 !== 0 || (flags & FLAG.ack && payload.length > 0)) {
      return [CODE.FRAME_SIZE_ERROR, 'an invalid SETTINGS frame']
    }
    if (flags & FLAG.ack) return this.spendFrame()
    for (let at = 0; at < payload.length; at += 6) {
      const fault = this.takeSetting(payload.readUInt16BE(at), payload.readUInt32BE(at + 2))
      if (fault) return fault
    }
    this.output.put(SETTINGS_ACK)
    return this.spendFrame()
  }

  private takeSetting(id: number, value: number): Fault {
    if (id === SETTING.enablePush && value > 1) return [CODE.PROTOCOL_ERROR, 'an invalid setting']
    if (id === SETTING.maxFrameSize && (value < MAX_FRAME || value > 0xffffff)) {
      return [CODE.PROTOCOL_ERROR, 'an invalid setting']
    }
    if (id !== SETTING.initialWindowSize) return undefined
    if (value > MAX_WINDOW) return [CODE.FLOW_CONTROL_ERROR, 'a window that is too large']
    const change = value - this.sendWindow
    this.sendWindow = value
    for (const stream of this.streams.values()) {
      stream.sendWindow += change
      if (stream.sendWindow > MAX_WINDOW) return [CODE.FLOW_CONTROL_ERROR, 'a window that is too large']
    }
    this.output.schedule()
    return undefined
  }

  private takePing(flags: number, id: number, payload: Buffer): Fault {
    if (id !== 0) return [CODE.PROTOCOL_ERROR, 'PING on a stream']
    if (payload.length !== 8) return [CODE.FRAME_SIZE_ERROR, 'an invalid PING frame']
    if (!(flags & FLAG.ack)) this.output.put(frame(FRAME.ping, FLAG.ack, 0, payload.toString('latin1')))
    return this.spendFrame()
  }

  private takeWindowUpdate(id: number, payload: Buffer): Fault {
    if (payload.length !== 4) return [CODE.FRAME_SIZE_ERROR, 'an invalid WINDOW_UPDATE frame']
    if (id > this.lastId) return [CODE.PROTOCOL_ERROR, 'WINDOW_UPDATE on an idle stream']
    const more = payload.readUInt32BE(0) & 0x7fffffff
    const target = id === 0 ? this.output : this.streams.get(id)
    if (!target) return this.spendFrame()
    if (more === 0) {
      return id === 0
        ? [CODE.PROTOCOL_ERROR, 'an empty WINDOW_UPDATE']
        : this.failStream(id, CODE.PROTOCOL_ERROR, 'an empty WINDOW_UPDATE')
    }
    return this.spendFrame() ?? this.widen(id, more)
  }

  private widen(id: number, more: number): Fault {
    const stream = this.streams.get(id)
    if (!stream) {
      this.output.window += more
      this.output.schedule()
      return this.output.window > MAX_WINDOW ? [CODE.FLOW_CONTROL_ERROR, 'a window that is too large'] : undefined
    }
    stream.sendWindow += more
    if (stream.sendWindow > MAX_WINDOW)
      return this.failStream(id, CODE.FLOW_CONTROL_ERROR, 'a window that is too large')
    this.output.schedule()
    return undefined
  }
}
