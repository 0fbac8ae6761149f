import { buildConnector, Pool } from 'undici'
import type { Deadlines } from '../lib/deadlines.ts'
import { fingerprint } from '../lib/fingerprint.ts'
import type { Forward, Upstream } from '../config/model.ts'
import type { Grant } from '../policy/verdict.ts'
import type { Span } from '../types.ts'
import { addressOf } from './address.ts'
import { Cluster, type ClusterDeps, Member } from './cluster.ts'
import { readBeforeFailing } from './early-answer.ts'
import type { Lease } from './lease.ts'
import { Admission } from './limits.ts'
import type { PoolSettings, SharedPool } from './pool.ts'
import { type LeaseContext, PoolLease } from './pool-lease.ts'
import { tlsName, tlsOptions } from './tls.ts'

/** The upstreams of one generation's routes. */
export interface UpstreamChoice {
  /** Whose turn it is among the upstreams of a route. Opens nothing: connections come with the first request. */
  choose(grant: Grant<Forward>): Lease
  /** No exchange of the generation is left: pools that no other generation holds are closed. */
  release(): void
}

export interface Pools {
  /** Pools that an earlier generation opened with the same settings are shared, and their connections with them. */
  open(settings: PoolSettings): UpstreamChoice
  /** Ends every connection and what is in flight. */
  close(): Promise<void>
}

/** Idle connections are given up before common servers do (Node: 5 s), so that few requests meet a closing one. */
const KEEP_ALIVE: Span = 4000
/** Then it takes no more requests, and the next connection looks the name up again: addresses of upstreams change. */
const MAX_CONNECTION_AGE: Span = 60_000
const MAX_RESPONSE_HEADER_BYTES = 32 * 1024

export interface PoolsDeps extends ClusterDeps {
  readonly deadlines: Deadlines
}

export function createPools({ deadlines, ...deps }: PoolsDeps): Pools {
  const pools = new Map<string, SharedPool>()
  const stale = new WeakSet<object>()

  function openPool(action: Forward, upstream: Upstream, settings: PoolSettings): SharedPool {
    const { upstreamConnectTimeout: timeout, upstreamMaxConnections: connections } = settings
    const address = addressOf(upstream.origin)
    const { hostname } = new URL(address.url)
    const servername = tlsName(action.tls, hostname)
    const connectTls = buildConnector({
      timeout,
      ...tlsOptions(action.tls),
      ...(address.socketPath !== undefined && { socketPath: address.socketPath }),
      // undici then speaks HTTP/2 on a connection without ALPN.
      ...(address.http2 && { useH2c: true }),
    })
    const connect: buildConnector.connector = (options, callback) =>
      // undici takes the name to verify from the Host header, which a client may choose; ours is from configuration.
      connectTls({ ...options, servername }, (...[error, socket]) => {
        if (error) return callback(error, null)
        // Everything that ends a connection early is raised here first. (Over TLS the handshake has been read as well,
        // so a first exchange counts as a second: the only effect is one more attempt at an idempotent request.)
        socket.prependListener('error', (failure) => socket.bytesRead > 0 && stale.add(failure))
        readBeforeFailing(socket, deadlines)
        callback(null, socket)
      })
    const pool = new Pool(address.url, {
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
    return { upstream, address, action, servername: servername || hostname, pool, admission, holders: 0 }
  }

  function open(settings: PoolSettings): UpstreamChoice {
    const held = new Map<string, SharedPool>()
    const contexts = new WeakMap<Forward, LeaseContext>()

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
      choose(grant) {
        const { action } = grant.route
        let context = contexts.get(action)
        if (!context) {
          const member = (upstream: Upstream, i: number) => new Member(of(action, upstream), i, upstream.weight)
          const [first, ...others] = action.upstreams
          const cluster = new Cluster(
            action,
            [member(first, 0), ...others.map((other, i) => member(other, i + 1))],
            deps,
          )
          contexts.set(action, (context = { cluster, limits: settings, stale }))
        }
        return PoolLease.first(context, grant)
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

/** Everything that a connection is made with. */
function keyOf(
  { tls }: Forward,
  { origin }: Upstream,
  { upstreamConnectTimeout, upstreamMaxConnections }: PoolSettings,
): string {
  return fingerprint([origin, upstreamConnectTimeout, upstreamMaxConnections, tls])
}
