import { Duplex } from 'node:stream'
import { CODE } from '../wire/h2-frames.ts'
import { Gathering } from './h2-gathering.ts'
import type { H2Stream } from '../wire/h2-stream.ts'

/** Both directions of an upgraded stream, at the pace of whoever reads. */
export class H2Tunnel extends Duplex {
  private readonly stream: H2Stream
  private asked = false
  private readonly gathering = new Gathering(this, (more) => {
    this.asked = more
    if (more) this.stream.credit()
  })

  constructor(stream: H2Stream) {
    super()
    this.stream = stream
    this.on('error', () => {})
  }

  receive(piece: Buffer): void {
    if (!this.destroyed) this.gathering.receive(piece, this.asked)
  }

  receiveEnd(): void {
    this.gathering.release()
    this.push(null)
  }

  override _read(): void {
    this.asked = true
    this.stream.credit()
    this.gathering.release()
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
