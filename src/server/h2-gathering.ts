/** What comes for a stream's reader: pushed as it is, or put together while the reader is behind. */
import type { Readable } from 'node:stream'
import { Waiting } from '../wire/waiting.ts'

export class Gathering {
  private readonly waiting = new Waiting()
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
    if (asked && this.waiting.length === 0 && this.reader.readableLength === 0)
      return this.pushed(this.reader.push(piece))
    this.waiting.add(piece)
    if (!asked || this.scheduled) return
    this.scheduled = true
    setImmediate(() => {
      this.scheduled = false
      this.release()
    })
  }

  /** Pushes what is here. */
  release(): void {
    if (this.waiting.length === 0 || this.reader.destroyed) return
    this.pushed(this.reader.push(this.waiting.take()))
  }
}
