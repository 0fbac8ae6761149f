/**
 * The upstreams of one route: which of them gets a request, and which get none for a while. An upstream that refuses
 * connections is set aside at once, so that it costs one request one attempt and no request its answer.
 */
import type { Forward } from '../config/model.ts'
import { later } from '../lib/time.ts'
import type { Clock, Logger, Monotonic, Span } from '../types.ts'
import type { Grant } from '../policy/verdict.ts'
import { type Balanced, type Balancer, createBalancer, hash } from './balance.ts'
import type { Outcome } from './lease.ts'
import type { SharedPool } from './pool.ts'

/** Time without requests for an upstream that refused a connection; nginx's `fail_timeout` is the same. */
const SET_ASIDE: Span = 10_000

/** One upstream of a route. */
export class Member implements Balanced {
  readonly pool: SharedPool
  readonly index: number
  readonly weight: number
  readonly seed: number
  private asideUntil: Monotonic | undefined

  constructor(pool: SharedPool, index: number, weight: number) {
    this.pool = pool
    this.index = index
    this.weight = weight
    this.seed = hash(pool.upstream.origin)
  }

  get load(): number {
    return this.pool.admission.load
  }

  /** It took no connection. */
  setAside(now: Monotonic): void {
    this.asideUntil = later(now, SET_ASIDE)
  }

  isAside(now: Monotonic): boolean {
    return this.asideUntil !== undefined && this.asideUntil > now
  }

  /** One request finds out whether it is back; the others stay away until then. */
  chosen(now: Monotonic): void {
    if (this.asideUntil !== undefined) this.setAside(now)
  }

  /** It answers. True: it had been set aside. */
  back(): boolean {
    const wasAside = this.asideUntil !== undefined
    this.asideUntil = undefined
    return wasAside
  }
}

export interface ClusterDeps {
  readonly clock: Clock
  readonly logger: Logger
  readonly random: () => number
}

const NONE: readonly Member[] = []

export class Cluster {
  readonly clock: Clock
  private readonly logger: Logger
  private readonly members: readonly [Member, ...Member[]]
  private readonly only: Member | undefined
  private readonly balance: Balancer

  constructor({ balancing }: Forward, members: readonly [Member, ...Member[]], { clock, logger, random }: ClusterDeps) {
    this.clock = clock
    this.logger = logger
    this.members = members
    this.only = members.length === 1 ? members[0] : undefined
    this.balance = createBalancer(balancing.policy, members.length, random)
  }

  first(grant: Grant<Forward>): Member {
    return this.only ?? this.choose(grant, NONE) ?? this.members[0]
  }

  /** Whose turn it is; undefined: every upstream was tried. */
  choose(grant: Grant<Forward>, tried: readonly Member[]): Member | undefined {
    if (this.only) return tried.length === 0 ? this.only : undefined
    const now = this.clock.monotonic()
    const left = tried.length === 0 ? this.members : this.members.filter((member) => !tried.includes(member))
    const ready = left.filter((member) => !member.isAside(now))
    const [first, ...others] = ready.length > 0 ? ready : left
    if (!first) return undefined
    const member = this.balance([first, ...others], () => clientOf(grant))
    member.chosen(now)
    return member
  }

  /** An upstream that took no connection gets no request for a while; one that answers is back. */
  note(member: Member, outcome: Outcome): void {
    if (this.only) return
    if (outcome.kind === 'answered') this.back(member)
    // Busy is our own limit.
    else if (outcome.kind === 'failed' && !outcome.sent && outcome.error.code !== 'ERR_UPSTREAM_BUSY') {
      const { upstream } = member.pool
      if (!member.isAside(this.clock.monotonic()))
        this.logger.warn(
          { upstream: upstream.origin, cause: outcome.error.message },
          'an upstream takes no connection, others get its requests',
        )
      member.setAside(this.clock.monotonic())
    }
  }

  private back(member: Member): void {
    if (member.back())
      this.logger.info({ upstream: member.pool.upstream.origin }, 'an upstream takes connections again')
  }
}

/** Who is signed in or, where nobody is, the client's address. */
function clientOf({ principal, request }: Grant<Forward>): string {
  return principal?.person ?? request.clientIp
}
