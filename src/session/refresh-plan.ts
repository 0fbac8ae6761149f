import { elapsed, later } from '../lib/time.ts'
import type { Span, Tokens, WallTime } from '../types.ts'
import type { RefreshPlan } from './model.ts'

/** Of tokens whose provider does not say how long they live. */
const USUAL_LIFE: Span = 3_600_000
/** Of tokens that end at once, or never, as some providers write it: neither a call for each request, nor an instant that no record can hold. */
const SHORTEST_LIFE: Span = 10_000
const LONGEST_LIFE: Span = 365 * 86_400_000
/** A refresh begins so long before the tokens end, or a quarter of their life. */
const MARGIN: Span = 300_000
const FIRST_PAUSE: Span = 5000
const LONGEST_PAUSE: Span = 300_000

/** When the provider is to be asked again. `maxAge`: of what it said, where that is shorter than the tokens live. undefined: it gave no refresh token. */
export function planRefresh(
  { refreshToken, accessTokenExpiresAt }: Tokens,
  now: WallTime,
  maxAge: Span = Number.POSITIVE_INFINITY,
): RefreshPlan | undefined {
  if (refreshToken === undefined) return undefined
  const told = accessTokenExpiresAt === undefined ? USUAL_LIFE : elapsed(accessTokenExpiresAt, now)
  const life = Math.min(Math.max(told, SHORTEST_LIFE), LONGEST_LIFE, maxAge)
  const lapsesAt = later(now, life)
  return { dueAt: later(lapsesAt, -Math.min(MARGIN, life / 4)), lapsesAt, failures: 0 }
}

/** After an attempt that began at `triedAt` and brought no answer: later each time, and not all sessions at once. `random`: 0 to 1. */
export function postponed(
  { lapsesAt, failures }: RefreshPlan,
  triedAt: WallTime,
  now: WallTime,
  random: number,
): RefreshPlan {
  const pause = Math.min(FIRST_PAUSE * 2 ** failures, LONGEST_PAUSE)
  return {
    dueAt: later(now, Math.round(pause * (0.8 + 0.4 * random))),
    lapsesAt,
    failures: failures + 1,
    triedAt,
  }
}

/** The plan as it counts with credentials that are in force `since` then: what others failed with is no reason to wait. */
export function countedSince(plan: RefreshPlan, since: WallTime): RefreshPlan {
  const { triedAt, lapsesAt } = plan
  return triedAt === undefined || triedAt > since ? plan : { dueAt: triedAt, lapsesAt, failures: 0 }
}
