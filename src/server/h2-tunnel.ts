import { Duplex } from 'node:stream'
import { CODE } from '../wire/h2-frames.ts'
import type { H2Stream } from '../wire/h2-stream.ts'

/** Both directions of an upgraded stream, at the pace of whoever reads. */
export class H2Tunnel extends Duplex {
  private readonly stream: H2Stream

  constructor(stream: H2Stream) {
    super()
    this.stream = stream
    this.on('error', () => {})
  }

  receive(piece: Buffer): void {
    if (!this.destroyed && this.push(piece)) this.stream.credit()
  }

  receiveEnd(): void {
    this.push(null)
  }

  override _read(): void {
    this.stream.credit()
  }

  override _write(piece: Buffer, _: BufferEncoding, done: (error?: Error | null) => void): void {
    this.stream.write(piece, done)
  }

  override _final(done: (error?: Error | null) => void): void {
    this.stream.finish(undefined, done)
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.stream.reset(CODE.CANCEL)
    done(error)
  }
}
