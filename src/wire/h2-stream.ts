/** One stream of HTTP/2: its two windows, what it still has to send, and its end (RFC 9113 §5). */
import { CODE, type Code, FLAG, FRAME, frame, frameHead, headersFrames, uint32 } from './h2-frames.ts'
import { encodeFields } from './hpack.ts'
import type { Output, Sender, Sent } from './h2-output.ts'

/** What may come of a body before somebody reads it. */
export const STREAM_WINDOW = 128 * 1024
/** Credit is given in pieces of at least this size, so that whoever sends single octets costs no frame for each. */
const MIN_CREDIT = STREAM_WINDOW / 4

export interface StreamOwner {
  readonly output: Output
  /** What the other side allows for a new stream. */
  readonly sendWindow: number
  /** Is it the first field block of the connection? True once. */
  isFirstBlock(): boolean
  /** The stream is no more. `reset`: by us, so that something may still come. */
  forget(stream: H2Stream, how: 'reset' | 'ended'): void
}

/** Who reads what comes. */
export interface StreamReader {
  receive(piece: Buffer): void
  /** The other side has sent all. Returns a stream error when that is too soon. */
  receiveEnd(): Code | undefined
  /** Nothing goes in or out any more. @param code of the other side's RST_STREAM; undefined: ours, an orderly end, or the connection is gone. */
  lost(code?: number): void
  /** Is what is about to be sent the last of the body? Then one frame less is sent. */
  isLast(): boolean
}

export class H2Stream implements Sender {
  readonly id: number
  reader: StreamReader | undefined
  sendWindow: number
  receiveWindow = STREAM_WINDOW
  /** The other side has ended its own. */
  remoteEnded = false
  /** We have ended ours. */
  localEnded = false
  closed = false
  /** Octets of bodies. */
  received = 0
  sent = 0
  private uncredited = 0
  private pending: Buffer | string = ''
  private pendingAt = 0
  private pendingSent: Sent | undefined
  private trailers: readonly string[] | undefined
  private ending: Sent | undefined
  /** `Content-Length` of what comes. */
  private expected: number | undefined
  private readonly owner: StreamOwner

  constructor(id: number, owner: StreamOwner) {
    this.id = id
    this.owner = owner
    this.sendWindow = owner.sendWindow
  }

  /** @param length `Content-Length` of what comes. */
  expect(length: number | undefined): void {
    this.expected = length
  }

  /** @param octets with the padding. undefined: it may; else a stream error. */
  receive(piece: Buffer, octets: number): Code | undefined {
    this.receiveWindow -= octets
    if (this.receiveWindow < 0) return CODE.FLOW_CONTROL_ERROR
    this.received += piece.length
    if (this.expected !== undefined && this.received > this.expected) return CODE.PROTOCOL_ERROR
    this.uncredited += octets
    if (piece.length > 0) this.reader?.receive(piece)
    return undefined
  }

  /** undefined: that was all, else a stream error. */
  receiveEnd(): Code | undefined {
    if (this.expected !== undefined && this.received !== this.expected) return CODE.PROTOCOL_ERROR
    this.remoteEnded = true
    const error = this.reader?.receiveEnd()
    if (error !== undefined) return error
    this.leaveWhenEnded()
    return undefined
  }

  /** What has come so far was read: as much again may come. */
  credit(): void {
    if (this.uncredited < MIN_CREDIT || this.remoteEnded || this.closed) return
    this.owner.output.put(frame(FRAME.windowUpdate, 0, this.id, uint32(this.uncredited)))
    this.receiveWindow += this.uncredited
    this.uncredited = 0
  }

  /** @param end is that the whole answer? */
  sendHead(fields: readonly string[], end: boolean, sent?: Sent): void {
    if (this.closed) return sent?.(new Error('the stream is closed'))
    const { output } = this.owner
    const block = encodeFields(fields, this.owner.isFirstBlock())
    output.put(headersFrames(this.id, block, end ? FLAG.endStream : 0), sent)
    if (end) this.endLocally()
  }

  /** One piece at a time: the next one when `sent` has run. */
  write(piece: Buffer | string, sent: Sent): void {
    if (this.closed) return sent(new Error('the stream is closed'))
    this.pending = piece
    this.pendingAt = 0
    this.pendingSent = sent
    this.owner.output.add(this)
  }

  /** Behind the last piece. */
  finish(trailers: readonly string[] | undefined, sent: Sent): void {
    if (this.localEnded) return this.owner.output.whenSent(sent)
    if (this.closed) return sent(new Error('the stream is closed'))
    this.trailers = trailers
    this.ending = sent
    this.owner.output.add(this)
  }

  get hasMore(): boolean {
    return !this.closed && (this.pendingSent !== undefined || this.ending !== undefined)
  }

  /** A piece waits for the other side. */
  get isWriting(): boolean {
    return this.hasMore && this.pendingSent !== undefined
  }

  sendFrame(room: number): number | undefined {
    if (!this.hasMore) return undefined
    const { output } = this.owner
    const { pending, pendingAt, pendingSent } = this
    if (!pendingSent) {
      this.sendEnd()
      return 0
    }
    const left = pending.length - pendingAt
    const octets = Math.min(left, room, this.sendWindow)
    if (octets <= 0 && left > 0) return undefined
    const whole = octets === left
    const end = whole && this.reader?.isLast() === true
    output.put(frameHead(octets, FRAME.data, end ? FLAG.endStream : 0, this.id))
    const part =
      typeof pending === 'string'
        ? pending.slice(pendingAt, pendingAt + octets)
        : pending.subarray(pendingAt, pendingAt + octets)
    output.put(part, whole ? pendingSent : undefined)
    this.pendingAt += octets
    this.sendWindow -= octets
    this.sent += octets
    if (whole) {
      this.pending = ''
      this.pendingSent = undefined
    }
    if (end) this.endLocally()
    return octets
  }

  private sendEnd(): void {
    const { owner, trailers, ending } = this
    this.ending = undefined
    if (trailers) {
      const block = encodeFields(trailers, owner.isFirstBlock())
      owner.output.put(headersFrames(this.id, block, FLAG.endStream), ending)
    } else owner.output.put(frame(FRAME.data, FLAG.endStream, this.id, ''), ending)
    this.endLocally()
  }

  private endLocally(): void {
    this.localEnded = true
    this.leaveWhenEnded()
  }

  private leaveWhenEnded(): void {
    if (this.remoteEnded && this.localEnded) this.close('ended')
  }

  /** Ends both sides at once. */
  reset(code: Code): void {
    if (this.closed) return
    this.owner.output.put(frame(FRAME.rstStream, 0, this.id, uint32(code)))
    this.close('reset')
  }

  /** The other side has reset it, or the connection is gone. */
  lost(code?: number): void {
    this.close('ended', code)
  }

  private close(how: 'reset' | 'ended', code?: number): void {
    if (this.closed) return
    this.closed = true
    const { pendingSent, ending } = this
    this.pending = ''
    this.pendingSent = this.ending = undefined
    this.owner.forget(this, how)
    this.reader?.lost(code)
    const error = new Error('the stream is closed')
    pendingSent?.(error)
    ending?.(error)
  }
}
