import type { RecentDecision } from '../http/condition.ts'
import type { RequestSample } from '../http/exchange.ts'
import { bounded } from '../lib/log-text.ts'
import type { WallTime } from '../types.ts'

export interface RecentDecisions {
  record(sample: RequestSample, at: WallTime): void
  /** The newest first. */
  read(): { readonly refused: readonly RecentDecision[]; readonly allowed: readonly RecentDecision[] }
}

const MAX_REFUSED = 50
const MAX_ALLOWED = 20
const MAX_PATH = 200

/** The last requests that this process judged. Those that were refused are kept apart: others would wash them away. */
export function createRecentDecisions(): RecentDecisions {
  const refused = createRing(MAX_REFUSED)
  const allowed = createRing(MAX_ALLOWED)
  return {
    record({ facts, route, who, decision, finished }, at) {
      if (!facts || !route || !decision) return
      // Nobody was refused, and whoever scans for addresses would wash away those who were.
      if (decision.outcome === 'sign-in' && !who) return
      const ring = decision.outcome === 'allow' ? allowed : refused
      ring.add({
        at,
        requestId: facts.id,
        method: bounded(facts.method, 20),
        host: bounded(facts.host, MAX_PATH),
        path: bounded(facts.path, MAX_PATH),
        route: route.name,
        outcome: decision.outcome,
        reasons: decision.reasons,
        ...(who && { person: who.identity.email ?? who.identity.subject }),
        ...(finished && { status: finished.status }),
      })
    },
    read: () => ({ refused: refused.read(), allowed: allowed.read() }),
  }
}

function createRing(size: number): { add(one: RecentDecision): void; read(): readonly RecentDecision[] } {
  const ring: RecentDecision[] = []
  let next = 0
  return {
    add(one) {
      ring[next] = one
      next = (next + 1) % size
    },
    read: () => [...ring.slice(next), ...ring.slice(0, next)].toReversed(),
  }
}
