/**
 * What comes for a reader that is behind, put together. A frame may carry a single octet: kept as it comes it costs an object,
 * and keeps the 64 KiB that the socket read along with it, so that a window of 128 KiB could hold gigabytes.
 */
import type { Readable } from 'node:stream'

const LEAST = 256

export class Gathering {
  private room: Buffer = Buffer.alloc(0)
  private length = 0
  private scheduled = false
  private readonly reader: Readable
  private readonly pushed: (more: boolean) => void

  /** @param pushed runs behind each push. `more`: the reader has room for more. */
  constructor(reader: Readable, pushed: (more: boolean) => void) {
    this.reader = reader
    this.pushed = pushed
  }

  /** @param asked may it be pushed? Otherwise it waits for `release`. */
  receive(piece: Buffer, asked: boolean): void {
    if (asked && this.length === 0 && this.reader.readableLength === 0) return this.pushed(this.reader.push(piece))
    this.keep(piece)
    if (!asked || this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.release()
    })
  }

  /** Pushes what is here. */
  release(): void {
    if (this.length === 0 || this.reader.destroyed) return
    const gathered = this.room.subarray(0, this.length)
    this.room = Buffer.alloc(0)
    this.length = 0
    this.pushed(this.reader.push(gathered))
  }

  private keep(piece: Buffer): void {
    const length = this.length + piece.length
    if (length > this.room.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(LEAST, 2 * this.room.length, length))
      this.room.copy(room, 0, 0, this.length)
      this.room = room
    }
    piece.copy(this.room, this.length)
    this.length = length
  }
}
