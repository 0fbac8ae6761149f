import { buildConnector, type Dispatcher, Pool } from 'undici'
import type { AppError } from '../errors.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import { fingerprint } from '../lib/fingerprint.ts'
import type { Forward, Live, Route, Upstream } from '../config/model.ts'
import type { RequestFacts } from '../http/request.ts'
import type { Span } from '../types.ts'
import { createBalancer } from './balance.ts'
import { Admission, type Limits, type Turn } from './limits.ts'
import { tlsName, type TlsOptions, tlsOptions } from './tls.ts'

/** undici's options; it knows `servername` and does not declare it. */
export interface UpstreamRequest extends Dispatcher.DispatchOptions {
  servername?: string
}

/** How a connection to the upstream is made. */
export interface ConnectSettings {
  readonly timeout: Span
  /** The name to verify: ours, or it would be taken from the Host header, which a client may choose. */
  readonly servername: string
  readonly tls: TlsOptions
}

/** One request's hold on an upstream: the seam for load balancing, health and retries. */
export interface Lease {
  /** Scheme, host and port. */
  readonly origin: string
  /** The name that its certificate must carry. */
  readonly servername: string
  /** Does it wait for a connection to become free? */
  readonly waiting: boolean
  /** Sends the request, at once or in turn. Too many: the handler gets ERR_UPSTREAM_BUSY. Again: for a retry. */
  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void
  /** Takes a place for a tunnel, which has a connection of its own. Too many: throws ERR_UPSTREAM_BUSY. */
  tunnel(): ConnectSettings
  /** Was this failure raised by a connection that had already served an exchange? Then the upstream may simply have closed it. */
  wasStale(error: unknown): boolean
  /** Exactly once, when nothing more is sent: frees the place. */
  report(outcome: Outcome): void
}

/** What whoever chooses upstreams learns. */
export type Outcome =
  | { readonly kind: 'answered'; readonly status: number }
  | { readonly kind: 'failed'; readonly error: AppError }
  /** The client left, or the answer was cut, which says nothing about the upstream. */
  | { readonly kind: 'abandoned' }

export type PoolSettings = Limits & Pick<Live, 'routes' | 'upstreamConnectTimeout'>

/** The upstreams of one generation's routes. */
export interface UpstreamChoice {
  /** Whose turn it is among the upstreams of a route. Opens nothing: connections come with the first request. */
  choose(route: Route<Forward>, facts: RequestFacts): Lease
  /** No exchange of the generation is left: pools that no other generation holds are closed. */
  release(): void
}

export interface Pools {
  /** Pools that an earlier generation opened with the same settings are shared, and their connections with them. */
  open(settings: PoolSettings): UpstreamChoice
  /** Ends every connection and what is in flight. */
  close(): Promise<void>
}

/** Connections to one upstream under one set of TLS settings. */
interface SharedPool {
  readonly upstream: Upstream
  readonly action: Forward
  /** Goes into the options of each dispatch: a constant, or undici would open another connection for every Host it sees. */
  readonly servername: string
  readonly pool: Pool
  readonly admission: Admission
  /** Generations that hold it. */
  holders: number
}

/** Idle connections are given up before common servers do (Node: 5 s), so that few requests meet a closing one. */
const KEEP_ALIVE: Span = 4000
/** Then it takes no more requests, and the next connection looks the name up again: addresses of upstreams change. */
const MAX_CONNECTION_AGE: Span = 60_000
const MAX_RESPONSE_HEADER_BYTES = 32 * 1024

export function createPools(deadlines: Deadlines): Pools {
  const pools = new Map<string, SharedPool>()
  const stale = new WeakSet<object>()

  function openPool(action: Forward, upstream: Upstream, settings: PoolSettings): SharedPool {
    const { upstreamConnectTimeout: timeout, upstreamMaxConnections: connections } = settings
    const { hostname } = new URL(upstream.origin)
    const servername = tlsName(action.tls, hostname)
    const connectTls = buildConnector({ timeout, ...tlsOptions(action.tls) })
    const connect: buildConnector.connector = (options, callback) =>
      // undici takes the name to verify from the Host header, which a client may choose; ours is from configuration.
      connectTls({ ...options, servername }, (...[error, socket]) => {
        if (error) return callback(error, null)
        // Everything that ends a connection early is raised here first. (Over TLS the handshake has been read as well,
        // so a first exchange counts as a second: the only effect is one more attempt at an idempotent request.)
        socket.prependListener('error', (failure) => socket.bytesRead > 0 && stale.add(failure))
        callback(null, socket)
      })
    const pool = new Pool(upstream.origin, {
      connect,
      connections,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE,
      clientTtl: MAX_CONNECTION_AGE,
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
      // transfer.ts has its own: they cover waiting for a connection, and they pause with a slow client.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    const admission = new Admission(upstream.origin, deadlines)
    return { upstream, action, servername: servername || hostname, pool, admission, holders: 0 }
  }

  function open(settings: PoolSettings): UpstreamChoice {
    const held = new Map<string, SharedPool>()
    const picks = new WeakMap<Forward, () => { readonly to: SharedPool }>()

    function hold(key: string, pool: SharedPool): SharedPool {
      pool.holders++
      held.set(key, pool)
      return pool
    }
    function of(action: Forward, upstream: Upstream): SharedPool {
      const key = keyOf(action, upstream, settings)
      const known = held.get(key)
      if (known) return known
      const found = pools.get(key) ?? openPool(action, upstream, settings)
      pools.set(key, found)
      return hold(key, found)
    }

    // At once, so that they survive the generation that opened them.
    for (const { action } of settings.routes) {
      if (action.kind !== 'forward') continue
      for (const upstream of action.upstreams) {
        const key = keyOf(action, upstream, settings)
        const known = held.has(key) ? undefined : pools.get(key)
        if (known) hold(key, known)
      }
    }
    return {
      choose({ action }) {
        let next = picks.get(action)
        if (!next) {
          const turn = (upstream: Upstream) => ({ weight: upstream.weight, to: of(action, upstream) })
          const [first, ...others] = action.upstreams
          picks.set(action, (next = createBalancer([turn(first), ...others.map(turn)])))
        }
        return new PoolLease(next().to, settings, stale)
      },
      release() {
        for (const [key, pool] of held) {
          if (--pool.holders > 0) continue
          pools.delete(key)
          void pool.pool.close()
        }
        held.clear()
      },
    }
  }

  return {
    open,
    async close() {
      const all = [...pools.values()]
      pools.clear()
      await Promise.all(all.map(({ pool }) => pool.destroy()))
    },
  }
}

class PoolLease implements Lease, Turn {
  readonly limits: PoolSettings
  private readonly shared: SharedPool
  private readonly stale: WeakSet<object>
  private place: 'none' | 'request' | 'tunnel' = 'none'
  private request: UpstreamRequest | undefined
  private handler: Dispatcher.DispatchHandler | undefined

  constructor(shared: SharedPool, limits: PoolSettings, stale: WeakSet<object>) {
    this.shared = shared
    this.limits = limits
    this.stale = stale
  }

  get origin(): string {
    return this.shared.upstream.origin
  }

  get servername(): string {
    return this.shared.servername
  }

  get waiting(): boolean {
    return this.shared.admission.isWaiting(this)
  }

  dispatch(request: UpstreamRequest, handler: Dispatcher.DispatchHandler): void {
    this.request = request
    this.handler = handler
    if (this.place === 'request') return this.start()
    this.place = 'request'
    this.shared.admission.enter(this)
  }

  start(): void {
    const { request, handler, shared } = this
    if (!request || !handler) return
    request.servername = shared.servername
    shared.pool.dispatch(request, handler)
  }

  refuse(error: AppError): void {
    this.place = 'none'
    this.handler?.onResponseError?.(undefined as never, error)
  }

  tunnel(): ConnectSettings {
    const { admission, upstream, action } = this.shared
    admission.enterTunnel(this.limits)
    this.place = 'tunnel'
    return {
      timeout: this.limits.upstreamConnectTimeout,
      servername: tlsName(action.tls, new URL(upstream.origin).hostname),
      tls: tlsOptions(action.tls),
    }
  }

  wasStale(error: unknown): boolean {
    return typeof error === 'object' && error !== null && this.stale.has(error)
  }

  /** Upstreams take turns whatever becomes of requests; health would be noted here. */
  report(): void {
    const { place, shared } = this
    this.place = 'none'
    if (place === 'request') shared.admission.leave(this)
    else if (place === 'tunnel') shared.admission.leaveTunnel()
  }
}

/** Everything that a connection is made with. */
function keyOf(
  { tls }: Forward,
  { origin }: Upstream,
  { upstreamConnectTimeout, upstreamMaxConnections }: PoolSettings,
): string {
  return fingerprint([origin, upstreamConnectTimeout, upstreamMaxConnections, tls])
}
