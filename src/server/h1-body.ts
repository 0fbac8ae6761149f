import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Limit } from '../types.ts'
import { AppError } from '../errors.ts'
import type { RequestBody } from '../http/exchange.ts'
import { BodyPatience, type BodyPatienceParts } from './body-patience.ts'

/** More than the 64 KiB that one read of a socket brings: with Node's 16 KiB every piece would stop the client once. */
const HELD = 128 * 1024

/**
 * The body of a request on its way. It stands between because undici destroys the body that it was given when an
 * exchange fails, and destroying Node's request would take our answer with it. Trailers end here.
 */
export class H1Body extends Readable implements RequestBody {
  bytes = 0
  onPiece = (): void => {}
  private readonly req: IncomingMessage
  private readonly wanted: () => void
  private readonly patience: BodyPatience
  private started = false

  /** @param wanted runs when somebody asks for the first piece: the moment for `100 Continue`. */
  constructor(req: IncomingMessage, patience: BodyPatienceParts, wanted: () => void) {
    super({ highWaterMark: HELD })
    this.req = req
    this.wanted = wanted
    this.patience = new BodyPatience(patience, (error) => this.destroy(error))
    // Whoever reads listens; a failure before or after that shows as the end of the exchange.
    this.on('error', () => {})
  }

  get starving(): boolean {
    return this.started && !this.req.complete && !this.req.isPaused()
  }

  limit(idle: Limit): void {
    this.patience.limit(idle)
  }

  override _read(): void {
    if (this.started) {
      if (!this.req.isPaused()) return
      this.patience.wait()
      this.req.resume()
      return
    }
    this.started = true
    this.wanted()
    this.patience.wait()
    this.req.on('data', this.onData).on('end', this.onEnd).on('close', this.onClose)
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.req.off('data', this.onData).off('end', this.onEnd).off('close', this.onClose)
    this.patience.stop()
    // Whatever still comes is read and dropped, so that an early answer reaches a client that is busy sending.
    this.req.resume()
    done(error)
  }

  private readonly onData = (piece: Buffer): void => {
    this.bytes += piece.length
    this.patience.earn(piece.length)
    if (this.destroyed) return
    this.onPiece()
    if (this.push(piece)) return
    this.patience.stop()
    this.req.pause()
  }

  private readonly onEnd = (): void => {
    this.patience.stop()
    this.push(null)
  }

  private readonly onClose = (): void => {
    if (!this.req.complete) this.destroy(new AppError('ERR_CLIENT_CLOSED', 'the client went away while it was sending'))
  }
}
