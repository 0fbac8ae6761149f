import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { AppError } from '../errors.ts'

/** More than the 64 KiB that one read of a socket brings: with Node's 16 KiB every piece would stop the client once. */
const HELD = 128 * 1024

/**
 * A client's request body on its way to the upstream. It stands between the two because undici destroys the body it
 * was given when an exchange fails, and destroying the client's request would take our answer with it. Trailers end here.
 */
export class RequestBody extends Readable {
  bytes = 0
  private readonly req: IncomingMessage
  private readonly wanted: () => void
  private readonly progress: () => void
  private started = false

  /**
   * @param wanted runs when the upstream asks for the first piece: the moment for `100 Continue`.
   * @param progress runs for each piece.
   */
  constructor(req: IncomingMessage, wanted: () => void, progress: () => void) {
    super({ highWaterMark: HELD })
    this.req = req
    this.wanted = wanted
    this.progress = progress
    // undici listens while it reads; a failure before or after that is told by `fail` in forward.ts.
    this.on('error', () => {})
  }

  /** Is the upstream waiting for the client, and not the other way round? */
  get starving(): boolean {
    return this.started && !this.req.complete && !this.req.isPaused()
  }

  override _read(): void {
    if (this.started) {
      this.req.resume()
      return
    }
    this.started = true
    this.wanted()
    this.req.on('data', this.onData).on('end', this.onEnd).on('close', this.onClose)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.req.off('data', this.onData).off('end', this.onEnd).off('close', this.onClose)
    // Whatever still comes is read and dropped, so that an early answer reaches a client that is busy sending.
    this.req.resume()
    done(error)
  }

  private readonly onData = (piece: Buffer): void => {
    this.bytes += piece.length
    this.progress()
    if (!this.push(piece)) this.req.pause()
  }

  private readonly onEnd = (): void => {
    this.push(null)
  }

  private readonly onClose = (): void => {
    if (!this.req.complete) this.destroy(new AppError('ERR_CLIENT_CLOSED', 'the client went away while it was sending'))
  }
}

/** RFC 9112 §6.3: a request has a body exactly when it has one of these. The parser refused conflicting ones. */
export function hasBody(req: IncomingMessage): boolean {
  return req.headers['transfer-encoding'] !== undefined || (req.headers['content-length'] ?? '0') !== '0'
}
