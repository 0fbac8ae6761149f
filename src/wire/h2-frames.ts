/** Frames of HTTP/2 (RFC 9113 §4, §6). Pure: what they mean is h2-peer.ts. */

export const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'latin1')

export const FRAME = {
  data: 0x0,
  headers: 0x1,
  priority: 0x2,
  rstStream: 0x3,
  settings: 0x4,
  pushPromise: 0x5,
  ping: 0x6,
  goaway: 0x7,
  windowUpdate: 0x8,
  continuation: 0x9,
} as const

export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const

export const SETTING = {
  headerTableSize: 0x1,
  enablePush: 0x2,
  maxConcurrentStreams: 0x3,
  initialWindowSize: 0x4,
  maxFrameSize: 0x5,
  maxHeaderListSize: 0x6,
  /** RFC 8441 §3. */
  enableConnectProtocol: 0x8,
} as const

/** RFC 9113 §7. */
export const CODE = {
  NO_ERROR: 0x0,
  PROTOCOL_ERROR: 0x1,
  INTERNAL_ERROR: 0x2,
  FLOW_CONTROL_ERROR: 0x3,
  STREAM_CLOSED: 0x5,
  FRAME_SIZE_ERROR: 0x6,
  REFUSED_STREAM: 0x7,
  CANCEL: 0x8,
  COMPRESSION_ERROR: 0x9,
  ENHANCE_YOUR_CALM: 0xb,
} as const
export type Code = (typeof CODE)[keyof typeof CODE]

/** The longest payload until a peer allows more; we never do (RFC 9113 §4.2). */
export const MAX_FRAME = 16_384
/** RFC 9113 §6.9.2. */
export const DEFAULT_WINDOW = 65_535
export const MAX_WINDOW = 2 ** 31 - 1

const HEAD = 9
const NOTHING = Buffer.alloc(0)

/** `too-long`: a payload above MAX_FRAME. `stopped`: the sink wants no more. */
export type ReadOutcome = 'more' | 'too-long' | 'stopped'

/**
 * Cuts bytes into frames. A DATA frame is passed on as it comes, as several with the same meaning: only the last of them
 * ends the stream. Every other frame is whole. No payload is copied that lies in one piece.
 */
export class FrameReader {
  private readonly head = Buffer.alloc(HEAD)
  private headBytes = 0
  private type = 0
  private flags = 0
  private stream = 0
  /** Of the payload. */
  private left = 0
  private inPayload = false
  private partial: Buffer | undefined
  /** What was left when the sink stopped. */
  private unread: Buffer = NOTHING
  /** false: read no more. */
  private readonly onFrame: (type: number, flags: number, stream: number, payload: Buffer) => boolean

  constructor(onFrame: (type: number, flags: number, stream: number, payload: Buffer) => boolean) {
    this.onFrame = onFrame
  }

  read(bytes: Buffer): ReadOutcome {
    let at = 0
    while (at < bytes.length || (this.inPayload && this.left === 0)) {
      if (!this.inPayload) {
        at = this.takeHead(bytes, at)
        if (!this.inPayload) return 'more'
        if (this.left > MAX_FRAME) return 'too-long'
      }
      const end = Math.min(at + this.left, bytes.length)
      if (!this.takePayload(bytes.subarray(at, end))) {
        this.unread = bytes.subarray(end)
        return 'stopped'
      }
      at = end
    }
    return 'more'
  }

  /** Once. */
  takeUnread(): Buffer {
    const { unread } = this
    this.unread = NOTHING
    return unread
  }

  private takeHead(bytes: Buffer, at: number): number {
    if (this.headBytes === 0 && bytes.length - at >= HEAD) {
      this.begin(bytes, at)
      return at + HEAD
    }
    const copied = bytes.copy(this.head, this.headBytes, at)
    this.headBytes += copied
    if (this.headBytes === HEAD) this.begin(this.head, 0)
    return at + copied
  }

  private begin(bytes: Buffer, at: number): void {
    this.left = bytes.readUIntBE(at, 3)
    this.type = bytes[at + 3] as number
    this.flags = bytes[at + 4] as number
    this.stream = bytes.readUInt32BE(at + 5) & 0x7fffffff
    this.headBytes = 0
    this.inPayload = true
  }

  private takePayload(piece: Buffer): boolean {
    const { type, flags, stream } = this
    this.left -= piece.length
    if (this.left > 0 && type === FRAME.data && !(flags & FLAG.padded)) {
      return piece.length === 0 || this.onFrame(type, flags & ~FLAG.endStream, stream, piece)
    }
    if (this.left > 0 || this.partial) {
      this.partial ??= Buffer.allocUnsafe(piece.length + this.left)
      const { partial } = this
      piece.copy(partial, partial.length - this.left - piece.length)
      if (this.left > 0) return true
      this.partial = undefined
      return this.end(partial)
    }
    return this.end(piece)
  }

  private end(payload: Buffer): boolean {
    this.inPayload = false
    return this.onFrame(this.type, this.flags, this.stream, payload)
  }
}

/** Frames that we send are text, an octet a character. */
export function frame(type: number, flags: number, stream: number, payload: string): string {
  return frameHead(payload.length, type, flags, stream) + payload
}

export function frameHead(length: number, type: number, flags: number, stream: number): string {
  return String.fromCharCode(length >>> 16, (length >>> 8) & 0xff, length & 0xff, type, flags) + uint32(stream)
}

export function uint32(value: number): string {
  return String.fromCharCode(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff)
}

/** A field block in one HEADERS frame and as many CONTINUATION frames as it takes. */
export function headersFrames(stream: number, block: string, flags: number): string {
  if (block.length <= MAX_FRAME) return frame(FRAME.headers, flags | FLAG.endHeaders, stream, block)
  let frames = frame(FRAME.headers, flags, stream, block.slice(0, MAX_FRAME))
  for (let at = MAX_FRAME; at < block.length; at += MAX_FRAME) {
    const last = at + MAX_FRAME >= block.length
    frames += frame(FRAME.continuation, last ? FLAG.endHeaders : 0, stream, block.slice(at, at + MAX_FRAME))
  }
  return frames
}

export function settingsFrame(settings: readonly (readonly [id: number, value: number])[]): string {
  const payload = settings.map(([id, value]) => String.fromCharCode(id >>> 8, id & 0xff) + uint32(value))
  return frame(FRAME.settings, 0, 0, payload.join(''))
}

/** The payload without its padding; undefined: there is more padding than payload (RFC 9113 §6.1). */
export function unpadded(flags: number, payload: Buffer): Buffer | undefined {
  if (!(flags & FLAG.padded)) return payload
  const end = payload.length - (payload[0] ?? 0)
  return payload.length > 0 && end >= 1 ? payload.subarray(1, end) : undefined
}
