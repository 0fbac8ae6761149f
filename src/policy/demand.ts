import { describeDuration } from '../lib/duration.ts'
import { elapsed, epochMillis } from '../lib/time.ts'
import type { Identity, Json, SignInDemand, Span, WallTime } from '../types.ts'

/** How far the provider's clock and ours may be apart. */
export const CLOCK_TOLERANCE: Span = 60_000

/** What of a demand a sign-in does not meet. */
export type Unmet = 'acr' | 'auth-time' | 'session-age'

/** A sign-in: who, and when. What is no sign-in (a token) has no time. */
export interface SignedIn {
  readonly identity: Identity
  readonly signedInAt?: WallTime
}

/**
 * What is missing, of the providers apart, for the sign-in of this person to be what a route asks for; undefined: nothing.
 * What the provider did not say is not met: it ignores an `acr_values` that it does not know (okta-api.md#authorize), and
 * others ignore `max_age`.
 */
export function unmetBy({ identity, signedInAt }: SignedIn, demand: SignInDemand, now: WallTime): Unmet | undefined {
  const { acr, auth_time: authTime } = identity.claims
  const { acrValues, maxAuthAge, maxSessionAge } = demand
  if (acrValues && !(typeof acr === 'string' && acrValues.includes(acr))) return 'acr'
  if (maxAuthAge !== undefined && !isWithin(authTime, maxAuthAge, now)) return 'auth-time'
  if (maxSessionAge === undefined) return undefined
  if (signedInAt === undefined || elapsed(now, signedInAt) > maxSessionAge) return 'session-age'
  // Asked with `max_age`, the provider may still have asked nobody. One that does not say when it did is believed.
  return authTime === undefined || isWithin(authTime, maxSessionAge, signedInAt) ? undefined : 'auth-time'
}

/** Is it about how, or how lately, somebody signed in? Then no service token will do. */
export function asksForSignIn(demand: SignInDemand | undefined): boolean {
  const { acrValues, maxAuthAge, maxSessionAge } = demand ?? {}
  return acrValues !== undefined || maxAuthAge !== undefined || maxSessionAge !== undefined
}

/** For `max_age` of the request to the provider (OIDC Core §3.1.2.1). */
export function maxAgeOf({ maxAuthAge, maxSessionAge }: SignInDemand): Span | undefined {
  if (maxAuthAge === undefined || maxSessionAge === undefined) return maxAuthAge ?? maxSessionAge
  return Math.min(maxAuthAge, maxSessionAge)
}

/** Seconds since the epoch; one that lies ahead would be fresh for ever. */
function isWithin(authTime: Json | undefined, maxAuthAge: Span, now: WallTime): boolean {
  if (typeof authTime !== 'number' || !Number.isSafeInteger(authTime)) return false
  const age = epochMillis(now) - authTime * 1000
  return age >= -CLOCK_TOLERANCE && age <= maxAuthAge + CLOCK_TOLERANCE
}

/** For people, each part: `a sign-in whose acr is one of phr, phrh`. */
export function describeDemand({ providers, acrValues, maxAuthAge, maxSessionAge }: SignInDemand): readonly string[] {
  const within = (what: string, age: Span | undefined): readonly string[] =>
    age === undefined ? [] : [`${what} no longer ago than ${describeDuration(age)}`]
  return [
    ...(providers ? [`a sign-in at ${providers.join(' or ')}`] : []),
    ...(acrValues ? [`a sign-in whose acr is one of ${acrValues.join(', ')}`] : []),
    ...within('a sign-in whose auth_time is', maxAuthAge),
    ...within('a sign-in here', maxSessionAge),
  ]
}

/** For a signed URL or a sealed state; `parseDemand` reads it. */
export function formatDemand(demand: SignInDemand): string {
  return JSON.stringify(demand)
}

/** Text that we signed or sealed. undefined: of another version. */
export function parseDemand(text: string): SignInDemand | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isDemand(value) ? value : undefined
  } catch {
    return undefined
  }
}

/** An unknown member is a demand that we could not meet. */
export function isDemand(value: unknown): value is SignInDemand {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
  const { providers, acrValues, maxAuthAge, maxSessionAge, ...unknown } = value as Record<string, unknown>
  return (
    Object.keys(unknown).length === 0 &&
    isTexts(providers) &&
    isTexts(acrValues) &&
    isSpan(maxAuthAge) &&
    isSpan(maxSessionAge)
  )
}

function isSpan(value: unknown): boolean {
  return value === undefined || (typeof value === 'number' && Number.isFinite(value))
}

function isTexts(value: unknown): boolean {
  if (value === undefined) return true
  return Array.isArray(value) && value.length > 0 && value.every((each) => typeof each === 'string')
}
