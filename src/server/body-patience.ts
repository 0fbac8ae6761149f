import { AppError } from '../errors.ts'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import { describeLimit } from '../lib/duration.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Limit, Monotonic, Span } from '../types.ts'

export interface BodyPatienceParts {
  /** The longest that a client may send nothing; 0: none. */
  readonly idle: Limit
  /** Bytes per second; 0: none. */
  readonly minRate: number
  readonly deadlines: Deadlines
  readonly clock: Clock
}

/**
 * How long a client may keep us waiting for its body: an account of time. Waiting spends it, each byte earns 1 / minRate
 * seconds, and it never holds more than the idle limit. So a client may pause for that long, a slow client may send as long
 * as it likes, and one that drips is ended. Time in which we do not read, because the upstream does not, is free.
 */
export class BodyPatience {
  private idle: Limit
  private left: Span
  private since: Monotonic | undefined
  private deadline: Deadline | undefined
  private readonly parts: BodyPatienceParts
  private readonly late: (error: AppError) => void

  constructor(parts: BodyPatienceParts, late: (error: AppError) => void) {
    this.parts = parts
    this.idle = parts.idle
    this.left = parts.idle.span
    this.late = late
  }

  /** Another idle limit from now on. */
  limit(idle: Limit): void {
    const waiting = this.since !== undefined
    this.stop()
    this.idle = idle
    this.left = idle.span
    if (waiting) this.wait()
  }

  /** We begin to wait for the client. */
  wait(): void {
    const { idle } = this
    if (idle.span === 0) return
    this.since = this.parts.clock.monotonic()
    this.deadline = this.parts.deadlines.start(idle.span, () =>
      this.late(clientTimeout('nothing more of its request body', describeLimit(idle))),
    )
  }

  /** A piece has arrived, and we wait for the next one. */
  earn(bytes: number): void {
    const { idle, since } = this
    if (since === undefined) return
    this.deadline?.touch()
    const { minRate, clock } = this.parts
    if (minRate === 0) return
    const now = clock.monotonic()
    this.left -= elapsed(now, since)
    this.since = now
    if (this.left < 0) {
      this.stop()
      this.late(clientTimeout('its request body too slowly', `client_body_min_rate (${minRate} bytes a second)`))
    } else this.left = Math.min(idle.span, this.left + (bytes / minRate) * 1000)
  }

  /** We no longer wait for the client. */
  stop(): void {
    if (this.since !== undefined) this.left -= elapsed(this.parts.clock.monotonic(), this.since)
    this.since = undefined
    this.deadline?.stop()
  }
}

function clientTimeout(what: string, limit: string): AppError {
  return new AppError('ERR_CLIENT_TIMEOUT', `the client sent ${what}; the limit is ${limit}`, { details: { limit } })
}
