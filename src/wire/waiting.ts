const LEAST = 256
const NOTHING = Buffer.alloc(0)

/**
 * Octets that wait for a reader that is behind, put together. A DATA frame may carry a single one: kept as it comes it costs
 * an object, and keeps the 64 KiB that the socket read along with it, so that a window of 128 KiB could hold gigabytes.
 */
export class Waiting {
  length = 0
  private room = NOTHING

  add(piece: Buffer): void {
    const length = this.length + piece.length
    if (length > this.room.length) {
      const room = Buffer.allocUnsafeSlow(Math.max(LEAST, 2 * this.room.length, length))
      this.room.copy(room, 0, 0, this.length)
      this.room = room
    }
    piece.copy(this.room, this.length)
    this.length = length
  }

  /** All of it; nothing waits then. */
  take(): Buffer {
    const all = this.room.subarray(0, this.length)
    this.room = NOTHING
    this.length = 0
    return all
  }
}
