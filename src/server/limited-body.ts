import { Readable } from 'node:stream'
import { tooLarge } from '../http/body-limit.ts'
import type { RequestBody } from '../http/exchange.ts'
import type { Limit } from '../types.ts'
import { BodyPatience, type BodyPatienceParts } from './body-patience.ts'

/** The body of a request on its way: what both codecs ask of it, how long it may take and how long it may be. */
export abstract class LimitedBody extends Readable implements RequestBody {
  bytes = 0
  onPiece = (): void => {}
  protected readonly patience: BodyPatience
  private most = Number.POSITIVE_INFINITY

  /** @param held octets that may wait for a reader before the client is stopped. */
  constructor(patience: BodyPatienceParts, held: number) {
    super({ highWaterMark: held })
    this.patience = new BodyPatience(patience, (error) => this.destroy(error))
    // Whoever reads listens; a failure before or after that shows as the end of the exchange.
    this.on('error', () => {})
  }

  abstract get starving(): boolean

  limit(idle: Limit): void {
    this.patience.limit(idle)
  }

  limitBytes(most: number): void {
    this.most = most
  }

  /** Counts a piece that has come. False: nobody gets it any more. */
  protected count(piece: Buffer): boolean {
    this.bytes += piece.length
    this.patience.earn(piece.length)
    if (!this.destroyed && this.bytes > this.most) this.destroy(tooLarge(this.most))
    if (this.destroyed) return false
    this.onPiece()
    return true
  }
}
