import type { Deadlines } from '../lib/deadlines.ts'
import { fingerprint } from '../lib/fingerprint.ts'
import type { Forward, HealthCheck, OutlierDetection, Upstream } from '../config/route-model.ts'
import type { Grant } from '../policy/verdict.ts'
import type { UpstreamState } from '../http/upstream-state.ts'
import { Cluster, type ClusterDeps, Member } from './cluster.ts'
import { isTls } from './address.ts'
import { connectionTo } from './connection.ts'
import { Checker } from './health.ts'
import type { Lease } from './lease.ts'
import { Admission } from './limits.ts'
import { openClient } from './open-client.ts'
import type { PoolSettings, SharedPool } from './pool.ts'
import { type LeaseContext, PoolLease } from './pool-lease.ts'
import { Standing } from './standing.ts'
import { stateOf, worse } from './state.ts'

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
  /** Of every upstream that a generation uses, once each: of several connections the worst. */
  states(): readonly UpstreamState[]
  /** Ends every connection and what is in flight. */
  close(): Promise<void>
}

export interface PoolsDeps extends ClusterDeps {
  /** PEM bundle that counts beside the system's authorities. */
  readonly authorities?: string | undefined
  readonly deadlines: Deadlines
}

export function createPools({ deadlines, authorities, ...deps }: PoolsDeps): Pools {
  const pools = new Map<string, SharedPool>()
  const checkers = new Map<string, Checker>()

  function openPool(key: string, action: Forward, upstream: Upstream, settings: PoolSettings): SharedPool {
    const connection = connectionTo(action, upstream, settings.upstreamConnectTimeout, authorities)
    const client = openClient(connection, { clock: deps.clock, deadlines })
    const admission = new Admission(upstream.origin, deadlines)
    return { ...connection, key, action, client, admission, standings: new Map(), holders: 0 }
  }

  function checkerOf(pool: SharedPool, check: HealthCheck): Checker {
    // Whatever limits a route has: one address is asked once.
    const { upstream, action } = pool
    const key = fingerprint([upstream.origin, isTls(upstream.origin) && action.tls, check])
    const checker = checkers.get(key) ?? new Checker(key, pool, check, { ...deps, deadlines })
    checkers.set(key, checker)
    return checker
  }

  function open(settings: PoolSettings): UpstreamChoice {
    const held = new Map<string, SharedPool>()
    const watched = new Set<Checker>()
    const contexts = new WeakMap<Forward, LeaseContext>()

    function hold(pool: SharedPool): SharedPool {
      pool.holders++
      held.set(pool.key, pool)
      return pool
    }
    function of(action: Forward, upstream: Upstream, limits: PoolSettings): SharedPool {
      const key = keyOf(action, upstream, limits)
      const known = held.get(key)
      if (known) return known
      const found = pools.get(key) ?? openPool(key, action, upstream, limits)
      pools.set(key, found)
      return hold(found)
    }
    function watch(pool: SharedPool, check: HealthCheck): Checker {
      const checker = checkerOf(pool, check)
      if (!watched.has(checker)) checker.hold()
      watched.add(checker)
      return checker
    }
    function contextOf(action: Forward): LeaseContext {
      const known = contexts.get(action)
      if (known) return known
      const { balancing } = action
      const limits = limitsOf(action, settings)
      const member = (upstream: Upstream, i: number): Member => {
        const pool = of(action, upstream, limits)
        const standing = standingOf(pool, balancing.outlier)
        return new Member(
          pool,
          standing,
          balancing.checks.map((check) => watch(pool, check)),
          i,
          upstream.weight,
        )
      }
      const [first, ...others] = action.upstreams
      const members = [member(first, 0), ...others.map((other, i) => member(other, i + 1))] as const
      const context = { cluster: new Cluster(balancing, members, deps), limits }
      contexts.set(action, context)
      return context
    }

    for (const { action } of settings.routes) {
      if (action.kind !== 'forward') continue
      if (action.balancing.checks.length > 0) contextOf(action)
      // At once, so that they survive the generation that opened them.
      for (const upstream of action.upstreams) {
        const key = keyOf(action, upstream, limitsOf(action, settings))
        const known = held.has(key) ? undefined : pools.get(key)
        if (known) hold(known)
      }
    }
    return {
      choose: (grant) => PoolLease.first(contextOf(grant.route.action), grant),
      release() {
        for (const checker of watched) if (checker.release()) checkers.delete(checker.key)
        watched.clear()
        for (const [key, pool] of held) {
          if (--pool.holders > 0) continue
          pools.delete(key)
          void pool.client.close()
        }
        held.clear()
      },
    }
  }

  function states(): readonly UpstreamState[] {
    const now = deps.clock.monotonic()
    const known = new Map<string, UpstreamState>()
    for (const pool of pools.values()) {
      const state = stateOf(
        pool,
        [...checkers.values()].filter((checker) => checker.origin === pool.upstream.origin),
        now,
      )
      const other = known.get(state.upstream)
      known.set(state.upstream, other ? worse(other, state) : state)
    }
    return [...known.values()]
  }

  return {
    open,
    states,
    async close() {
      for (const checker of checkers.values()) checker.stop()
      checkers.clear()
      const all = [...pools.values()]
      pools.clear()
      await Promise.all(all.map(({ client }) => client.destroy()))
    },
  }
}

function standingOf({ standings }: SharedPool, rules: OutlierDetection | undefined): Standing {
  const key = fingerprint(rules)
  const standing = standings.get(key) ?? new Standing(rules)
  standings.set(key, standing)
  return standing
}

/** Those of the route, where it has its own. */
function limitsOf({ balancing }: Forward, settings: PoolSettings): PoolSettings {
  return { ...settings, ...balancing.limits }
}

/** Everything that a connection is made with. */
function keyOf(
  { tls }: Forward,
  { origin }: Upstream,
  { upstreamConnectTimeout, upstreamMaxConnections }: PoolSettings,
): string {
  return fingerprint([origin, upstreamConnectTimeout, upstreamMaxConnections, tls])
}
