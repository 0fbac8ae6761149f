import { elapsed } from '../lib/time.ts'
import type { Clock, Monotonic } from '../types.ts'

/**
 * What a client may do without any use to it: it has an amount, spends it with each such act, and gets some back with time
 * and with each act of use. A client that floods has spent it soon, and one that works never does.
 */
export class Budget {
  private left: number
  private at: Monotonic
  private readonly amount: number
  private readonly perSecond: number
  private readonly clock: Clock

  constructor(amount: number, perSecond: number, clock: Clock) {
    this.left = this.amount = amount
    this.perSecond = perSecond
    this.clock = clock
    this.at = clock.monotonic()
  }

  /** false: it is spent. */
  spend(): boolean {
    if (this.left < 1) {
      const now = this.clock.monotonic()
      this.left = Math.min(this.amount, this.left + (elapsed(now, this.at) / 1000) * this.perSecond)
      this.at = now
    }
    return this.left-- >= 1
  }

  earn(acts: number): void {
    this.left = Math.min(this.amount, this.left + acts)
  }
}
