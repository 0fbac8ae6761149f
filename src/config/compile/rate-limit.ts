import type { RateLimit } from '../route-model.ts'
import type { RateLimitInput } from '../schema/limits.ts'

/** undefined: there is no limit. */
export function compileRateLimit(input: RateLimitInput | undefined): RateLimit | undefined {
  const { per_client: perClient, per_person: perPerson, burst } = input ?? {}
  if (burst === undefined || (perClient === undefined && perPerson === undefined)) return undefined
  return { ...(perClient !== undefined && { perClient }), ...(perPerson !== undefined && { perPerson }), burst }
}
