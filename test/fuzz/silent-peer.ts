import { Duplex } from 'node:stream'

/** A connection in memory, whose other end takes all that is written and says what is pushed. */
export class SilentPeer extends Duplex {
  constructor() {
    super()
    this.on('error', () => {})
  }

  override _read(): void {}

  override _write(_piece: Buffer, _encoding: BufferEncoding, done: () => void): void {
    done()
  }
}
