import type { AppError } from '../errors.ts'
import type { Forward } from '../config/route-model.ts'
import type { Grant } from '../policy/verdict.ts'
import type { AnswerHandler, UpstreamRequest } from './client.ts'
import type { Cluster, Member } from './cluster.ts'
import { needsHttp1 } from './failure.ts'
import type { ConnectSettings, Lease, Outcome, StreamSettings } from './lease.ts'
import type { Turn } from './limits.ts'
import type { PoolSettings } from './pool.ts'
import { tlsName } from './tls.ts'
import { WEBSOCKET } from './tunnel-parts.ts'

/** What all leases of a route in one generation have in common. */
export interface LeaseContext {
  readonly cluster: Cluster
  readonly limits: PoolSettings
}

const NONE: readonly Member[] = []

export class PoolLease implements Lease, Turn {
  private readonly context: LeaseContext
  private readonly grant: Grant<Forward>
  private readonly member: Member
  private readonly tried: readonly Member[]
  private readonly isRetry: boolean
  private place: 'none' | 'request' | 'tunnel' = 'none'
  private request: UpstreamRequest | undefined
  private handler: AnswerHandler | undefined

  constructor(
    context: LeaseContext,
    grant: Grant<Forward>,
    member: Member,
    tried: readonly Member[],
    isRetry: boolean,
  ) {
    this.context = context
    this.grant = grant
    this.member = member
    this.tried = tried
    this.isRetry = isRetry
  }

  static first(context: LeaseContext, grant: Grant<Forward>): PoolLease {
    return new PoolLease(context, grant, context.cluster.first(grant), NONE, false)
  }

  get limits(): PoolSettings {
    return this.context.limits
  }

  get origin(): string {
    return this.member.pool.upstream.origin
  }

  get url(): string {
    return this.member.pool.address.url
  }

  get servername(): string {
    return this.member.pool.servername
  }

  get waiting(): boolean {
    return this.member.pool.admission.isWaiting(this)
  }

  dispatch(request: UpstreamRequest, handler: AnswerHandler): void {
    this.request = request
    this.handler = handler
    if (this.place === 'request') return this.start()
    this.place = 'request'
    this.member.pool.admission.enter(this)
  }

  start(): void {
    const { request, handler, member } = this
    if (request && handler) member.pool.client.dispatch(request, handler)
  }

  refuse(error: AppError): void {
    this.place = 'none'
    this.handler?.onFailure({ error, stale: false, heard: false })
  }

  tunnel(protocol: string): ConnectSettings | StreamSettings {
    const { admission, upstream, address, action, client, only, tls } = this.member.pool
    const overHttp2 = address.http2 || only === 'http2'
    if (overHttp2 && protocol !== WEBSOCKET) {
      throw needsHttp1(upstream.origin, `no upgrade to ${protocol}`)
    }
    admission.enterTunnel(this.limits)
    this.place = 'tunnel'
    if (overHttp2) return { kind: 'stream', dispatch: (request, handler) => client.dispatch(request, handler) }
    return {
      kind: 'socket',
      timeout: this.limits.upstreamConnectTimeout,
      address,
      servername: tlsName(action.tls, new URL(address.url).hostname),
      tls,
    }
  }

  report(outcome: Outcome): void {
    const { place, member, context } = this
    const { admission } = member.pool
    this.place = 'none'
    if (place === 'request') admission.leave(this)
    else if (place === 'tunnel') admission.leaveTunnel()
    context.cluster.note(member, outcome)
    if (this.isRetry) context.cluster.endRetry()
  }

  next(where: 'elsewhere' | 'anywhere'): Lease | undefined {
    const { context, grant } = this
    const { cluster } = context
    const tried = [...this.tried, this.member]
    const isRetry = where === 'anywhere'
    const other = cluster.choose(grant, tried)
    const member = other ?? (isRetry ? cluster.choose(grant, NONE) : undefined)
    if (!member || (isRetry && !cluster.beginRetry())) return undefined
    return new PoolLease(context, grant, member, other ? tried : NONE, isRetry)
  }
}
