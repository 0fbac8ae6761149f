import { isIP } from 'node:net'
import { buildConnector, type Dispatcher, Pool } from 'undici'
import type { Forward, Route, Upstream } from '../config/model.ts'
import type { Millis } from '../types.ts'
import { createBalancer } from './balance.ts'

/** Connections to one upstream under one set of TLS settings. */
export interface UpstreamPool {
  /** Scheme, host and port. */
  readonly origin: string
  /** Goes into the options of each dispatch: a constant, or undici would open another connection for every Host it sees. */
  readonly servername: string
  dispatch(options: UpstreamRequest, handler: Dispatcher.DispatchHandler): void
}

/** undici's options; it knows `servername` and does not declare it. */
export interface UpstreamRequest extends Dispatcher.DispatchOptions {
  readonly servername: string
}

/** The pools of one generation's routes. */
export interface PoolLease {
  /** Whose turn it is among the upstreams of a route. Opens nothing: connections come with the first request. */
  pick(action: Forward): UpstreamPool
  /** Was this failure raised by a connection that had already served an exchange? Then the upstream may simply have closed it. */
  wasReused(error: unknown): boolean
  /** No exchange of the generation is left: pools that no other generation holds are closed. */
  release(): void
}

export interface Pools {
  /** Pools that an earlier generation opened with the same settings are shared, and their connections with them. */
  lease(routes: readonly Route[], connectTimeout: Millis): PoolLease
  /** Ends every connection and what is in flight. */
  close(): Promise<void>
}

interface SharedPool extends UpstreamPool {
  readonly pool: Pool
  /** Leases that hold it. */
  holders: number
}

/** Idle connections are given up before common servers do (Node: 5 s), so that few requests meet a closing one. */
const KEEP_ALIVE: Millis = 4000
const MAX_RESPONSE_HEADER_BYTES = 32 * 1024

export function createPools(): Pools {
  const pools = new Map<string, SharedPool>()
  const reused = new WeakSet<object>()

  function open(action: Forward, upstream: Upstream, connectTimeout: Millis): SharedPool {
    const { hostname } = new URL(upstream.origin)
    const servername = tlsName(action, hostname)
    const connectTls = buildConnector({
      timeout: connectTimeout,
      rejectUnauthorized: !action.tlsSkipVerify,
      ...(action.tlsCa === undefined ? {} : { ca: action.tlsCa }),
    })
    const connect: buildConnector.connector = (options, callback) =>
      // undici takes the name to verify from the Host header, which a client may choose; ours is from configuration.
      connectTls({ ...options, servername }, (...[error, socket]) => {
        if (error) return callback(error, null)
        // Everything that ends a connection early is raised here first. (Over TLS the handshake has been read as well,
        // so a first exchange counts as a second: the only effect is one more attempt at an idempotent request.)
        socket.prependListener('error', (failure) => socket.bytesRead > 0 && reused.add(failure))
        callback(null, socket)
      })
    const pool = new Pool(upstream.origin, {
      connect,
      pipelining: 1,
      keepAliveTimeout: KEEP_ALIVE,
      maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
      // forward.ts has its own: they cover waiting for a connection, and they pause with a slow client.
      headersTimeout: 0,
      bodyTimeout: 0,
    })
    return {
      origin: upstream.origin,
      servername: servername || hostname,
      pool,
      holders: 0,
      dispatch: (options, handler) => pool.dispatch(options, handler),
    }
  }

  function lease(routes: readonly Route[], connectTimeout: Millis): PoolLease {
    const held = new Map<string, SharedPool>()
    const picks = new WeakMap<Forward, () => { readonly to: UpstreamPool }>()

    function hold(key: string, pool: SharedPool): SharedPool {
      pool.holders++
      held.set(key, pool)
      return pool
    }
    function of(action: Forward, upstream: Upstream): UpstreamPool {
      const key = keyOf(action, upstream, connectTimeout)
      const known = held.get(key)
      if (known) return known
      const found = pools.get(key) ?? open(action, upstream, connectTimeout)
      pools.set(key, found)
      return hold(key, found)
    }

    // At once, so that they survive the generation that opened them.
    for (const { action } of routes) {
      if (action.kind !== 'forward') continue
      for (const upstream of action.upstreams) {
        const key = keyOf(action, upstream, connectTimeout)
        const open = held.has(key) ? undefined : pools.get(key)
        if (open) hold(key, open)
      }
    }
    return {
      pick(action) {
        let next = picks.get(action)
        if (!next) {
          const turn = (upstream: Upstream) => ({ weight: upstream.weight, to: of(action, upstream) })
          const [first, ...others] = action.upstreams
          picks.set(action, (next = createBalancer([turn(first), ...others.map(turn)])))
        }
        return next().to
      },
      wasReused: (error) => typeof error === 'object' && error !== null && reused.has(error),
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
    lease,
    async close() {
      const open = [...pools.values()]
      pools.clear()
      await Promise.all(open.map(({ pool }) => pool.destroy()))
    },
  }
}

/** The name that a certificate must carry; `''` for addresses, which are verified as such and never sent as SNI (RFC 6066 §3). */
export function tlsName(action: Pick<Forward, 'tlsServerName'>, hostname: string): string {
  if (action.tlsServerName !== undefined) return action.tlsServerName
  return isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : ''
}

/** Everything that a connection is made with. */
function keyOf(action: Forward, { origin }: Upstream, connectTimeout: Millis): string {
  return JSON.stringify([origin, connectTimeout, action.tlsSkipVerify, action.tlsServerName, action.tlsCa])
}
