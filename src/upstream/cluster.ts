/**
 * The upstreams of one route: which of them gets a request, and which get none for a while. An upstream that refuses
 * connections is set aside at once, so that it costs one request one attempt and no request its answer.
 */
import type { Balancing, Forward } from '../config/route-model.ts'
import { AppError } from '../errors.ts'
import type { Clock, Logger, Monotonic } from '../types.ts'
import type { Grant } from '../policy/verdict.ts'
import { type Balanced, type Balancer, createBalancer, hash } from './balance.ts'
import type { Checker } from './health.ts'
import type { Outcome } from './lease.ts'
import type { SharedPool } from './pool.ts'
import type { Standing } from './standing.ts'

/** One upstream of a route. */
export class Member implements Balanced {
  readonly pool: SharedPool
  readonly standing: Standing
  readonly checkers: readonly Checker[]
  readonly index: number
  readonly weight: number
  readonly seed: number

  constructor(pool: SharedPool, standing: Standing, checkers: readonly Checker[], index: number, weight: number) {
    this.pool = pool
    this.standing = standing
    this.checkers = checkers
    this.index = index
    this.weight = weight
    this.seed = hash(pool.upstream.origin)
  }

  get load(): number {
    return this.pool.admission.load
  }

  /** By its checks and its answers. */
  isHealthy(now: Monotonic): boolean {
    return !this.standing.isEjected(now) && this.checkers.every(({ healthy }) => healthy)
  }
}

export interface ClusterDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
}

const NONE: readonly Member[] = []

export class Cluster {
  private readonly clock: Clock
  private readonly logger: Logger
  private readonly members: readonly [Member, ...Member[]]
  /** A single upstream without health checks. */
  private readonly only: Member | undefined
  private readonly balancing: Balancing
  private readonly balance: Balancer
  private retrying = 0

  constructor(balancing: Balancing, members: readonly [Member, ...Member[]], { clock, logger, random }: ClusterDeps) {
    this.clock = clock
    this.logger = logger
    this.balancing = balancing
    this.members = members
    this.only = members.length === 1 && balancing.checks.length === 0 ? members[0] : undefined
    this.balance = createBalancer(balancing.policy, members.length, random)
  }

  /** Throws ERR_UPSTREAM_UNHEALTHY when no upstream may have the request. */
  first(grant: Grant<Forward>): Member {
    const member = this.only ?? this.choose(grant, NONE)
    if (member) return member
    const reasons = this.members.map(({ pool: { upstream }, checkers }) => {
      const problem = checkers.map(({ problem }) => problem).find((each) => each !== undefined)
      return `${upstream.origin} (${problem ?? 'too many errors'})`
    })
    throw new AppError('ERR_UPSTREAM_UNHEALTHY', `no upstream is healthy: ${reasons.join(', ')}`)
  }

  /** Chooses one; undefined: none is left that was not tried and may have the request. */
  choose(grant: Grant<Forward>, tried: readonly Member[]): Member | undefined {
    if (this.only) return tried.length === 0 ? this.only : undefined
    const now = this.clock.monotonic()
    const healthy = this.members.filter((member) => member.isHealthy(now))
    // Too few are healthy to carry all requests: spread them over all, in the hope that the checks are wrong.
    const panic = healthy.length * 100 < this.balancing.panicThreshold * this.members.length
    const left = (panic ? this.members : healthy).filter((member) => !tried.includes(member))
    const ready = left.filter(({ standing }) => !standing.isAside(now))
    const [first, ...others] = ready.length > 0 ? ready : left
    if (!first) return undefined
    const member = this.balance([first, ...others], () => clientOf(grant))
    member.standing.chosen(now)
    return member
  }

  /** May one more request be retried at the same time? It calls `endRetry` then. */
  beginRetry(): boolean {
    if (this.retrying >= this.balancing.maxRetries) return false
    this.retrying++
    return true
  }

  endRetry(): void {
    this.retrying--
  }

  note({ pool: { upstream }, standing }: Member, outcome: Outcome): void {
    if (this.members.length === 1) return
    const now = this.clock.monotonic()
    if (outcome.kind === 'answered' && standing.back()) {
      this.logger.info({ upstream: upstream.origin }, 'an upstream takes connections again')
    }
    // Busy is our own limit.
    if (outcome.kind === 'failed' && outcome.error.code === 'ERR_UPSTREAM_BUSY') return
    if (outcome.kind === 'failed' && !outcome.sent) {
      if (!standing.isAside(now)) {
        const fields = { upstream: upstream.origin, cause: outcome.error.message }
        this.logger.warn(fields, 'an upstream takes no connection, others get its requests')
      }
      standing.setAside(now)
    }
    if (standing.count(outcome) && this.mayEject(now)) {
      const seconds = standing.eject(now) / 1000
      this.logger.warn({ upstream: upstream.origin, seconds }, 'an upstream is ejected after errors in a row')
    }
  }

  /** One may always be ejected; more up to `max_ejection_percent`, and never all. */
  private mayEject(now: Monotonic): boolean {
    const ejected = this.members.filter(({ standing }) => standing.isEjected(now)).length
    const { maxEjectionPercent = 0 } = this.balancing.outlier ?? {}
    const allowed = Math.max(1, Math.floor((this.members.length * maxEjectionPercent) / 100))
    return ejected < Math.min(allowed, this.members.length - 1)
  }
}

/** Who is signed in or, where nobody is, the client's address. */
function clientOf({ principal, request }: Grant<Forward>): string {
  return principal?.person ?? request.clientIp
}
