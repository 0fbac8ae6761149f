import type { BodyPatienceParts } from './body-patience.ts'
import { LimitedBody } from './limited-body.ts'

/** More than the 64 KiB that one read of a socket brings: with Node's 16 KiB every piece would stop the client once. */
const HELD = 128 * 1024

/** The connection that the body comes from. */
export interface BodySource {
  /** Somebody asks for the first piece: the moment for `100 Continue`. */
  onWanted(): void
  /** There is room again. */
  onRoom(): void
  /** The reader has given up: what still arrives is read and dropped, so that an early answer reaches a client that is busy sending. */
  onUnwanted(): void
}

/** The body of a request on its way, without its framing. Destroying it leaves the connection alone. Trailers end here. */
export class H1Body extends LimitedBody {
  private state: 'untouched' | 'flowing' | 'full' | 'whole' = 'untouched'
  private readonly source: BodySource

  constructor(source: BodySource, patience: BodyPatienceParts) {
    super(patience, HELD)
    this.source = source
  }

  override get starving(): boolean {
    return this.state === 'flowing'
  }

  /** From the connection. False: no more until there is room. */
  accept(piece: Buffer): boolean {
    if (!this.count(piece) || this.push(piece)) return true
    this.patience.stop()
    this.state = 'full'
    return false
  }

  /** From the connection: that was all. */
  finish(): void {
    this.state = 'whole'
    this.patience.stop()
    this.push(null)
  }

  override _read(): void {
    const { state } = this
    if (state !== 'untouched' && state !== 'full') return
    this.state = 'flowing'
    this.patience.wait()
    if (state === 'full') this.source.onRoom()
    // Not at once: a reader that only looks whether there is a body must not find all of it, and its end.
    else process.nextTick(() => this.destroyed || this.source.onWanted())
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.patience.stop()
    if (this.state !== 'whole') this.source.onUnwanted()
    done(error)
  }
}
