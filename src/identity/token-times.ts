import { epochMillis } from '../lib/time.ts'
import type { Json, JsonObject, Span, WallTime } from '../types.ts'

/** How far two clocks may be apart, in seconds. */
export const CLOCK_TOLERANCE_S = 60

/** What the instants of a token (RFC 7519 §4.1.4–6) must be like. */
export interface TimeRule {
  readonly exp: 'required' | 'optional'
  /** Since `iat`, which is then required. Absent: any age. */
  readonly maxAge?: Span
}

/**
 * What is wrong with `exp`, `nbf` and `iat`; undefined: nothing. Whole seconds only: 1e300 and fractions would pass a
 * comparison, but no issuer means them.
 */
export function timeProblem({ exp, nbf, iat }: JsonObject, now: WallTime, rule: TimeRule): string | undefined {
  const seconds = epochMillis(now) / 1000
  for (const [name, value] of Object.entries({ exp, nbf, iat })) {
    if (value !== undefined && !isWhole(value)) return `${name} is not a whole number of seconds`
  }
  if (exp === undefined && rule.exp === 'required') return 'exp is missing'
  if (isWhole(exp) && exp <= seconds - CLOCK_TOLERANCE_S) return 'exp is past'
  if (isWhole(nbf) && nbf > seconds + CLOCK_TOLERANCE_S) return 'nbf is in the future'
  if (isWhole(iat) && iat > seconds + CLOCK_TOLERANCE_S) return 'iat is in the future'
  if (rule.maxAge === undefined) return undefined
  if (!isWhole(iat)) return 'iat is missing'
  return iat < seconds - rule.maxAge / 1000 ? 'iat is too old' : undefined
}

function isWhole(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value)
}

/** Is the token for `audience`? Others beside it do not matter (RFC 7519 §4.1.3). */
export function isFor({ aud }: JsonObject, audience: string): boolean {
  return Array.isArray(aud) ? aud.includes(audience) : aud === audience
}

/** Is the token for `audience`, and for nobody beside it? Who else may show it is unknown. */
export function isOnlyFor({ aud }: JsonObject, audience: string): boolean {
  const only = Array.isArray(aud) && aud.length === 1 ? aud[0] : aud
  return only === audience
}
