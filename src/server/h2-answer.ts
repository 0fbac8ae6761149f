import { Writable } from 'node:stream'
import type { ResponseBody } from '../http/exchange.ts'
import { CODE } from '../wire/h2-frames.ts'
import type { H2Stream } from '../wire/h2-stream.ts'

type Done = (error?: Error | null) => void

export interface AnswerParts {
  /** With `:status`. */
  readonly fields: readonly string[]
  /** What is written is dropped. */
  readonly bodyless: boolean
  readonly takesTrailers: boolean
}

/** The answer on its way. A piece counts as written when the kernel has it. */
export class H2Answer extends Writable implements ResponseBody {
  private readonly stream: H2Stream
  private readonly parts: AnswerParts
  private headSent = false
  private trailers: readonly string[] | undefined
  /** Of the piece under way, as `writableLength` counts it. */
  private underWay = 0

  constructor(stream: H2Stream, parts: AnswerParts) {
    super({ decodeStrings: false })
    this.stream = stream
    this.parts = parts
    // The exchange tells.
    this.on('error', () => {})
  }

  flushHeaders(): void {
    this.sendHead(false)
  }

  addTrailers(trailers: Readonly<Record<string, string>>): void {
    if (this.parts.takesTrailers && !this.parts.bodyless) this.trailers = Object.entries(trailers).flat()
  }

  /** Is the piece under way the last one? */
  isLast(): boolean {
    return this.writableEnded && this.writableLength === this.underWay && this.trailers === undefined
  }

  private sendHead(end: boolean, done?: Done): void {
    if (this.headSent) return
    this.headSent = true
    this.stream.sendHead(this.parts.fields, end, done)
  }

  override _write(piece: Buffer | string, encoding: BufferEncoding, done: Done): void {
    this.send(octetsOf(piece, encoding), piece.length, done)
  }

  /** Pieces that waited for one that was under way: small ones would be a frame each. */
  override _writev(pieces: { chunk: Buffer | string; encoding: BufferEncoding }[], done: Done): void {
    const all = Buffer.concat(
      pieces.map(({ chunk, encoding }) => (typeof chunk === 'string' ? Buffer.from(chunk, encoding) : chunk)),
    )
    this.send(
      all,
      pieces.reduce((sum, { chunk }) => sum + chunk.length, 0),
      done,
    )
  }

  private send(octets: Buffer | string, counted: number, done: Done): void {
    if (this.parts.bodyless || octets.length === 0) return done()
    this.sendHead(false)
    this.underWay = counted
    this.stream.write(octets, done)
  }

  override _final(done: Done): void {
    if (!this.headSent && this.trailers === undefined) this.sendHead(true, done)
    else {
      this.sendHead(false)
      this.stream.finish(this.trailers, done)
    }
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    if (!this.stream.localEnded) this.stream.reset(CODE.INTERNAL_ERROR)
    done(error)
  }
}

/** In text an octet is a character. */
function octetsOf(piece: Buffer | string, encoding: BufferEncoding): Buffer | string {
  return typeof piece === 'string' && encoding !== 'latin1' ? Buffer.from(piece, encoding) : piece
}
