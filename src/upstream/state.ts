import type { UpstreamState } from '../http/upstream-state.ts'
import type { Monotonic } from '../types.ts'
import type { Checker } from './health.ts'
import type { SharedPool } from './pool.ts'

export function stateOf(
  { upstream, admission, standings }: SharedPool,
  checkers: readonly Checker[],
  now: Monotonic,
): UpstreamState {
  const state = { upstream: upstream.origin, ...admission.counts }
  for (const { problem, since } of checkers) {
    if (problem !== undefined) return { ...state, health: 'unhealthy', detail: problem, since }
  }
  const all = [...standings.values()]
  if (all.some((standing) => standing.isEjected(now))) {
    return { ...state, health: 'ejected', detail: 'errors in a row' }
  }
  if (all.some((standing) => standing.isAside(now))) {
    return { ...state, health: 'refusing', detail: 'it took no connection' }
  }
  return { ...state, health: 'healthy' }
}

/** Two of one upstream, with different connection settings, as one. */
export function worse(left: UpstreamState, right: UpstreamState): UpstreamState {
  const bad = left.health === 'healthy' ? right : left
  return {
    ...bad,
    active: left.active + right.active,
    pending: left.pending + right.pending,
    tunnels: left.tunnels + right.tunnels,
  }
}
