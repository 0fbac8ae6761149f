import type { Balancing, BalancingPolicy } from '../model.ts'
import type { Path, Report } from '../issues.ts'
import type { RouteInput } from '../schema/route.ts'

/** How requests are shared among the upstreams of a route. */
export function compileBalancing(input: RouteInput, path: Path, report: Report): Balancing {
  const { load_balancing_policy: written, lb_policy: alias, retries } = input
  if (written !== undefined && alias !== undefined) {
    report.error([...path, 'lb_policy'], 'load_balancing_policy is set too; set one of them')
  }
  const policy = (written ?? alias ?? 'ROUND_ROBIN').toUpperCase().replace(/^LB_/, '')
  if (policy !== 'ROUND_ROBIN' && typeof input.to === 'string') {
    report.warning(
      [...path, written === undefined ? 'lb_policy' : 'load_balancing_policy'],
      'no effect with a single upstream',
    )
  }
  return { policy: POLICIES[policy as keyof typeof POLICIES], retries: retries ?? { attempts: 0, on: [] } }
}

const POLICIES = {
  ROUND_ROBIN: 'round-robin',
  LEAST_REQUEST: 'least-request',
  RANDOM: 'random',
  RING_HASH: 'hash',
  MAGLEV: 'hash',
} as const satisfies Record<string, BalancingPolicy>
