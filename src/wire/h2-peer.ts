/**
 * Either end of a connection of HTTP/2 (RFC 9113): settings, windows, streams, and what the other side may do. A stream that
 * is not as it should be ends; the connection does when nobody knows any more what the other side means.
 */
import type { Asked } from '../http/asked.ts'
import type { Socket } from 'node:net'
import { FieldBlock } from './h2-block.ts'
import type { Budget } from './h2-budget.ts'
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
  SETTING,
  settingsFrame,
  uint32,
  unpadded,
} from './h2-frames.ts'
import { Output } from './h2-output.ts'
import { type H2Stream, STREAM_WINDOW, type StreamOwner } from './h2-stream.ts'
import { type FieldSink, HpackDecoder } from './hpack.ts'

/** Octets of a header list, with what each field costs beside its text (RFC 9113 §6.5.2). */
export const MAX_LIST = 32 * 1024
/** Of all streams together; each octet is credited when it comes, so that no stream stops the others. */
const CONNECTION_WINDOW = 1024 * 1024
/** Streams that have ended and are remembered: what still comes on them is judged by how they ended. */
const MAX_REMEMBERED = 256
/** Frames of no use that each DATA frame of ours may bring along. */
const FRAMES_OF_DATA = 2

const FIRST_CREDIT = frame(FRAME.windowUpdate, 0, 0, uint32(CONNECTION_WINDOW - DEFAULT_WINDOW))
const SETTINGS_ACK = frame(FRAME.settings, FLAG.ack, 0, '')

export interface PeerParts {
  /** Frames of no use: settings, pings, window updates, priorities, empty and unknown ones. */
  readonly idleFrames: Budget
  /** Streams that were ended, or had to be, before their time. */
  readonly resets: Budget
}

/** Says what is wrong, or nothing. */
export type Fault = readonly [code: Code, detail: string] | undefined

export abstract class H2Peer implements StreamOwner {
  readonly output: Output
  readonly streams = new Map<number, H2Stream>()
  sendWindow = DEFAULT_WINDOW
  protected readonly parts: PeerParts
  /** The last stream that the client has begun. */
  protected lastId = 0
  protected over = false
  protected readonly reader = new FrameReader((type, flags, id, payload) => this.onFrame(type, flags, id, payload))
  private readonly decoder = new HpackDecoder()
  /** Of those that we have reset, how many octets may still come: what their windows allowed when we did. */
  private readonly ended = new Map<number, number | 'ended'>()
  private settled = false
  private firstBlock = true
  private receiveWindow = CONNECTION_WINDOW
  private block: FieldBlock | undefined

  /** @param preface what comes before the settings. */
  constructor(socket: Socket, parts: PeerParts, preface: string, settings: Parameters<typeof settingsFrame>[0]) {
    this.parts = parts
    this.output = new Output(socket, () => parts.idleFrames.earn(FRAMES_OF_DATA))
    const common = [
      [SETTING.initialWindowSize, STREAM_WINDOW],
      [SETTING.maxHeaderListSize, MAX_LIST],
    ] as const
    this.output.put(preface + settingsFrame([...common, ...settings]) + FIRST_CREDIT)
  }

  /** The other side broke the rules. `detail` is constant. `stream`: absent when the connection ends, or none was made; then `asked` may be what it was about. */
  protected abstract onBroken(detail: string, stream?: H2Stream, asked?: Asked): void
  /** Where its fields go; the stream is looked for when they have been read. */
  protected abstract sinkFor(block: FieldBlock): FieldSink
  protected abstract takeFields(block: FieldBlock, sink: FieldSink): Fault
  protected abstract takeGoaway(lastId: number, code: number): void
  /** GOAWAY has been put: the connection ends when that is written. */
  protected abstract onOver(): void
  protected onSetting(_id: number, _value: number): void {}
  protected onSettled(): void {}
  protected onBlock(_open: boolean): void {}
  /** Shall the next frame wait? */
  protected isHeld(): boolean {
    return false
  }

  isFirstBlock(): boolean {
    const first = this.firstBlock
    this.firstBlock = false
    return first
  }

  forget(stream: H2Stream, how: 'reset' | 'ended'): void {
    this.streams.delete(stream.id)
    this.remember(stream.id, how === 'reset' ? stream.receiveWindow : how)
    if (stream.localEnded && stream.remoteEnded) this.parts.resets.earn(1)
  }

  private remember(id: number, how: number | 'ended'): void {
    this.ended.set(id, how)
    if (this.ended.size > MAX_REMEMBERED) this.ended.delete(this.ended.keys().next().value ?? 0)
  }

  read(bytes: Buffer): void {
    if (!this.over && this.reader.read(bytes) === 'too-long') {
      this.fail([CODE.FRAME_SIZE_ERROR, this.settled ? 'a frame that is too long' : 'it does not speak HTTP/2'])
    }
  }

  /** The socket is gone. */
  lost(): void {
    this.over = true
    this.endStreams()
  }

  goaway(code: Code): void {
    if (this.over) return
    this.over = true
    this.output.put(this.goawayFrame(code))
    this.endStreams()
    this.onOver()
  }

  protected goawayFrame(code: Code, lastId = 0): string {
    return frame(FRAME.goaway, 0, 0, uint32(lastId) + uint32(code))
  }

  private endStreams(): void {
    for (const stream of this.streams.values()) stream.lost()
  }

  protected fail([code, detail]: readonly [Code, string]): void {
    if (this.over) return
    this.onBroken(detail)
    this.goaway(code)
  }

  /** A stream error (RFC 9113 §5.4.2). Whoever makes many of them is none to work for. */
  protected failStream(id: number, code: Code, detail: string, asked?: Asked): Fault {
    const stream = this.streams.get(id)
    if (code !== CODE.REFUSED_STREAM) this.onBroken(detail, stream, asked)
    if (stream) stream.reset(code)
    else {
      this.output.put(frame(FRAME.rstStream, 0, id, uint32(code)))
      this.remember(id, STREAM_WINDOW)
    }
    return this.spendReset()
  }

  private spendReset(): Fault {
    return this.parts.resets.spend() ? undefined : [CODE.ENHANCE_YOUR_CALM, 'too many streams that were reset']
  }

  private spendFrame(): Fault {
    return this.parts.idleFrames.spend() ? undefined : [CODE.ENHANCE_YOUR_CALM, 'too many frames of no use']
  }

  /** false: read no more. */
  private onFrame(type: number, flags: number, id: number, payload: Buffer): boolean {
    const fault = this.takeFrame(type, flags, id, payload)
    if (fault) this.fail(fault)
    return !this.over && !this.isHeld()
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
        return [CODE.PROTOCOL_ERROR, 'PUSH_PROMISE, which nobody allowed']
      case FRAME.ping:
        return this.takePing(flags, id, payload)
      case FRAME.goaway:
        return this.takeGoawayFrame(id, payload)
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
    const isIdle = body.length === 0 && (flags & FLAG.endStream) === 0
    const fault = this.countData(payload.length) ?? (isIdle ? this.spendFrame() : undefined)
    if (fault) return fault
    const stream = this.streams.get(id)
    if (!stream) return this.takeLate(id, payload.length)
    if (stream.remoteEnded) return this.failStream(id, CODE.STREAM_CLOSED, 'DATA behind the end of a stream')
    // Whoever reads nothing of what it has asked for earns nothing: that would lie here without end.
    if (!isIdle && !this.output.isFull) this.parts.idleFrames.earn(1)
    const error = stream.receive(body, payload.length) ?? (flags & FLAG.endStream ? stream.receiveEnd() : undefined)
    return error === undefined ? undefined : this.failStream(id, error, 'a body that is not as it was announced')
  }

  /** Every octet counts for the connection, whatever becomes of it. */
  private countData(octets: number): Fault {
    this.receiveWindow -= octets
    if (this.receiveWindow < 0) return [CODE.FLOW_CONTROL_ERROR, 'more DATA than the window allows']
    if (this.receiveWindow < CONNECTION_WINDOW / 2) {
      this.output.put(frame(FRAME.windowUpdate, 0, 0, uint32(CONNECTION_WINDOW - this.receiveWindow)))
      this.receiveWindow = CONNECTION_WINDOW
    }
    return undefined
  }

  /**
   * DATA or a field block on a stream that is no more, or has never been. What was on its way when we reset the stream is
   * no fault: of DATA, as much as its window allowed, which earns nothing.
   */
  protected takeLate(id: number, octets = 0): Fault {
    if (id > this.lastId || id % 2 === 0) return [CODE.PROTOCOL_ERROR, 'a frame on an idle stream']
    const how = this.ended.get(id)
    if (how === undefined) return [CODE.PROTOCOL_ERROR, 'a frame on a stream of old']
    if (how === 'ended') return [CODE.STREAM_CLOSED, 'a frame on a closed stream']
    if (octets === 0) return this.spendFrame()
    if (octets > how) return [CODE.FLOW_CONTROL_ERROR, 'more DATA than the window allows']
    this.ended.set(id, how - octets)
    return undefined
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
      if (this.block) this.onBlock(false)
      this.block = undefined
      return this.takeBlock(block)
    }
    if (!this.block) this.onBlock(true)
    this.block = block
    return undefined
  }

  /** Whatever becomes of the stream, the block is decoded: the next one depends on it. */
  private takeBlock(block: FieldBlock): Fault {
    const sink = this.sinkFor(block)
    if (!this.decoder.decode(block.whole(), sink)) return [CODE.COMPRESSION_ERROR, 'a field block that cannot be read']
    return this.takeFields(block, sink)
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
    stream.lost(payload.readUInt32BE(0))
    return this.spendReset()
  }

  private takeGoawayFrame(id: number, payload: Buffer): Fault {
    if (id !== 0) return [CODE.PROTOCOL_ERROR, 'GOAWAY on a stream']
    if (payload.length < 8) return [CODE.FRAME_SIZE_ERROR, 'an invalid GOAWAY frame']
    this.takeGoaway(payload.readUInt32BE(0) & 0x7fffffff, payload.readUInt32BE(4))
    return this.spendFrame()
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
    this.onSettled()
    return this.spendFrame()
  }

  private takeSetting(id: number, value: number): Fault {
    if (id === SETTING.enablePush && value > 1) return [CODE.PROTOCOL_ERROR, 'an invalid setting']
    if (id === SETTING.maxFrameSize && (value < MAX_FRAME || value > 0xffffff)) {
      return [CODE.PROTOCOL_ERROR, 'an invalid setting']
    }
    this.onSetting(id, value)
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
