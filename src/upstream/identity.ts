import type { Forward, ForwardedIdentity, Naming } from '../config/model.ts'
import type { Group } from '../directory/model.ts'
import { later } from '../lib/time.ts'
import type { Principal } from '../policy/model.ts'
import type { Grant } from '../policy/verdict.ts'
import type { Clock, JsonObject, Logger, Monotonic, Span, WallTime } from '../types.ts'
import { ASSERTION_LIFETIME, type AssertionSigner } from './assertion.ts'
import { assertionClaims, OURS } from './assertion-claims.ts'
import { claimHeaderValue, fittingMembers, own } from './claim-value.ts'

/** Name, value, name, value. Not a promise when the answer is cached: the hot path stays synchronous. */
export type IdentityHeaders = (grant: Grant<Forward>) => readonly string[] | Promise<readonly string[]>

export interface IdentityHeadersDeps {
  readonly naming: Pick<Naming, 'assertionHeader'>
  readonly signer: AssertionSigner
  readonly clock: Clock
  readonly logger: Logger
}

/** An assertion is handed out again for a minute, so that an upstream always has four left. */
const REUSE: Span = ASSERTION_LIFETIME / 5
/** Sessions times hosts; the oldest go first. About 2 KiB each. */
const MAX_CACHED = 4096
/** Of all claim headers together. */
const MAX_HEADERS_BYTES = 6144

const NONE: readonly string[] = []

interface Cached {
  readonly groups: readonly Group[] | 'unknown'
  readonly until: Monotonic
  readonly headers: readonly string[] | Promise<readonly string[]>
}

/**
 * The identity headers of an allowed request: one header per configured claim, then the assertion. Cached per session,
 * audience and what the route tells; a new reading of the person's groups (another list) is never answered from the cache.
 * Nobody, and routes with `pass_identity_headers: false`, get none.
 */
export function createIdentityHeaders(deps: IdentityHeadersDeps): IdentityHeaders {
  const { clock, logger } = deps
  const cache = new Map<string, Cached>()
  const told = new Set<string>()
  /** Once for each claim: whose claims are too long has the same again in a minute. */
  function leftOut(fields: { readonly header?: string; readonly claim: string }, message: string): void {
    const key = `${fields.header} ${fields.claim}`
    if (told.has(key)) return
    told.add(key)
    logger.warn(fields, message)
  }
  return ({ route, request, principal }) => {
    const { identity } = route.action
    if (!principal || !identity.pass) return NONE
    const key = `${principal.sessionId} ${request.host} ${identity.key}`
    const now = clock.monotonic()
    const groups = principal.membership === 'unknown' ? 'unknown' : principal.membership.groups
    const known = cache.get(key)
    if (known && known.groups === groups && now < known.until) return known.headers

    const entry: Omit<Cached, 'headers'> = { groups, until: later(now, REUSE) }
    const headers = sign(principal, request.host, clock.now(), identity, deps, leftOut)
    const remember = (found: Cached['headers']): void => {
      cache.delete(key)
      cache.set(key, { ...entry, headers: found })
    }
    remember(headers)
    for (const oldest of cache.keys()) {
      if (cache.size <= MAX_CACHED) break
      cache.delete(oldest)
    }
    const current = (): boolean => cache.get(key)?.headers === headers
    headers.then(
      (list) => current() && remember(list),
      () => current() && cache.delete(key),
    )
    return headers
  }
}

type LeftOut = (fields: { readonly header?: string; readonly claim: string }, message: string) => void

async function sign(
  who: Principal,
  audience: string,
  now: WallTime,
  identity: ForwardedIdentity,
  { naming, signer }: IdentityHeadersDeps,
  leftOut: LeftOut,
): Promise<readonly string[]> {
  const claims = assertionClaims(who, audience, now, identity)
  for (const claim of (claims['claims_omitted'] as readonly string[] | undefined) ?? []) {
    leftOut({ claim }, 'claim left out of the assertion: it is too large')
  }
  const headers: string[] = []
  let room = MAX_HEADERS_BYTES
  for (const [name, claim] of identity.claimHeaders) {
    const value =
      claim === 'groups'
        ? groupsHeaderValue(name, claims, room - name.length - 4, leftOut)
        : headerValueOf(who, claims, claim)
    if (value === undefined) continue
    const size = value === 'too-large' ? Infinity : name.length + value.text.length + 4
    if (value === 'too-large' || size > room) {
      leftOut({ header: name, claim }, 'claim header left out: its value is too large')
      continue
    }
    room -= size
    headers.push(name, value.text)
  }
  headers.push(naming.assertionHeader, await signer.sign(claims))
  return headers
}

/** As many as fit, in the order of the assertion. */
function groupsHeaderValue(
  header: string,
  claims: JsonObject,
  room: number,
  leftOut: LeftOut,
): ReturnType<typeof claimHeaderValue> {
  const { groups } = claims
  const { text, cut } = fittingMembers(Array.isArray(groups) ? groups : [], room)
  if (cut || claims['groups_truncated'] === true)
    leftOut({ header, claim: 'groups' }, 'groups left out: they are too many')
  return text === '' ? undefined : { text }
}

/** What did not fit into the assertion may fit into a header of its own. */
function headerValueOf(
  { identity }: Principal,
  claims: JsonObject,
  claim: string,
): ReturnType<typeof claimHeaderValue> {
  if (claim === 'name') return claimHeaderValue(identity.name)
  return claimHeaderValue(OURS.has(claim) ? own(claims, claim) : own(identity.claims, claim))
}
