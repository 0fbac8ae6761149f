import { AppError } from '../errors.ts'
import type { Live } from '../config/model.ts'
import type { UpstreamState } from '../http/upstream-state.ts'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import type { Limit } from '../types.ts'
import { lateUpstream } from './failure.ts'

export type Limits = Pick<
  Live,
  'upstreamMaxConnections' | 'upstreamMaxPending' | 'upstreamQueueTimeout' | 'upstreamMaxTunnels'
>

/** One request that wants a connection. */
export interface Turn {
  readonly limits: Limits
  /** Its turn has come. It holds a place until it leaves. */
  start(): void
  /** Its turn did not come. */
  refuse(error: AppError): void
}

/**
 * What one upstream is asked at the same time. Beyond it requests wait, in order, few and not for long: an upstream that
 * hangs must not take the memory and the sockets that the others need.
 */
export class Admission {
  private readonly origin: string
  private readonly deadlines: Deadlines
  private readonly waiting = new Map<Turn, Deadline>()
  private active = 0
  private tunnels = 0

  constructor(origin: string, deadlines: Deadlines) {
    this.origin = origin
    this.deadlines = deadlines
  }

  /** Starts it, keeps it waiting or refuses it. */
  enter(turn: Turn): void {
    const { upstreamMaxConnections, upstreamMaxPending, upstreamQueueTimeout } = turn.limits
    // A free place belongs to whoever has waited longest: it is about to start.
    if (this.active < upstreamMaxConnections && this.waiting.size === 0) {
      this.active++
      turn.start()
    } else if (this.waiting.size >= upstreamMaxPending) {
      turn.refuse(this.busy('too many requests wait for a connection'))
    } else {
      const expired = (): void => {
        this.waiting.delete(turn)
        const limit: Limit = { span: upstreamQueueTimeout, key: 'upstream_queue_timeout' }
        turn.refuse(lateUpstream(this.origin, 'no connection became free', limit, 'ERR_UPSTREAM_BUSY'))
      }
      this.waiting.set(turn, this.deadlines.start(upstreamQueueTimeout, expired))
    }
  }

  /** Gives up its place, or no longer waits for one. */
  leave(turn: Turn): void {
    const deadline = this.waiting.get(turn)
    if (deadline) {
      deadline.stop()
      this.waiting.delete(turn)
      return
    }
    this.active--
    // The one that left is still inside its client, which has a connection for the next one a moment later.
    if (this.waiting.size > 0) setImmediate(admitWaiting, this)
  }

  admitWaiting(): void {
    for (const [next, itsDeadline] of this.waiting) {
      if (this.active >= next.limits.upstreamMaxConnections) return
      itsDeadline.stop()
      this.waiting.delete(next)
      this.active++
      next.start()
    }
  }

  isWaiting(turn: Turn): boolean {
    return this.waiting.has(turn)
  }

  /** Requests and tunnels, waiting ones included. */
  get load(): number {
    return this.active + this.waiting.size + this.tunnels
  }

  get counts(): Pick<UpstreamState, 'active' | 'pending' | 'tunnels'> {
    return { active: this.active, pending: this.waiting.size, tunnels: this.tunnels }
  }

  enterTunnel({ upstreamMaxTunnels }: Limits): void {
    if (this.tunnels >= upstreamMaxTunnels) throw this.busy('too many WebSockets are open')
    this.tunnels++
  }

  leaveTunnel(): void {
    this.tunnels--
  }

  private busy(what: string): AppError {
    return new AppError('ERR_UPSTREAM_BUSY', `upstream ${this.origin}: ${what}`, { details: { upstream: this.origin } })
  }
}

function admitWaiting(admission: Admission): void {
  admission.admitWaiting()
}
