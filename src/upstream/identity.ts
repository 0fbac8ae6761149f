import { randomUUID } from 'node:crypto'
import { sha256 } from '../lib/crypto.ts'
import type { Clock, Json, JsonObject, Logger, Span, Monotonic, WallTime } from '../types.ts'
import type { Principal } from '../policy/model.ts'
import type { Grant } from '../policy/verdict.ts'
import type { Group, Membership } from '../directory/model.ts'
import type { Forward, Naming } from '../config/model.ts'
import { ASSERTION_LIFETIME, type AssertionSigner } from './assertion.ts'
import { epochSeconds, later } from '../lib/time.ts'

/** Name, value, name, value. Not a promise when the answer is cached: the hot path stays synchronous. */
export type IdentityHeaders = (grant: Grant<Forward>) => readonly string[] | Promise<readonly string[]>

export interface IdentityHeadersDeps {
  readonly naming: Pick<Naming, 'assertionHeader'>
  /** Header name (lower case) → claim name. */
  readonly claims: ReadonlyMap<string, string>
  readonly signer: AssertionSigner
  readonly clock: Clock
  readonly logger: Logger
}

/** An assertion is handed out again for a minute, so that an upstream always has four left. */
const REUSE: Span = ASSERTION_LIFETIME / 5
/** Sessions times hosts; the oldest go first. About 2 KiB each. */
const MAX_CACHED = 4096
/**
 * Upstreams refuse a header line beyond 8 KiB (nginx, Apache) and a header section beyond 16 KiB (Node). Signed, claims
 * are a third longer.
 */
const MAX_CLAIMS_BYTES = 5632
const MAX_GROUP_BYTES = 4096
/** Of one claim header, and of all together. */
const MAX_HEADER_BYTES = 4096
const MAX_HEADERS_BYTES = 6144

const NONE: readonly string[] = []

interface Cached {
  readonly groups: readonly Group[] | 'unknown'
  readonly until: Monotonic
  readonly headers: readonly string[] | Promise<readonly string[]>
}

/**
 * The identity headers of an allowed request: one header per configured claim, then the assertion. Cached per session
 * and audience; a new reading of the person's groups (another list) is never answered from the cache.
 * Public routes and routes with `pass_identity_headers: false` get none.
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
    if (!principal || !route.action.passIdentityHeaders) return NONE
    const key = `${principal.sessionId} ${request.host}`
    const now = clock.monotonic()
    const groups = principal.membership === 'unknown' ? 'unknown' : principal.membership.groups
    const known = cache.get(key)
    if (known && known.groups === groups && now < known.until) return known.headers

    const entry: Omit<Cached, 'headers'> = { groups, until: later(now, REUSE) }
    const headers = sign(principal, request.host, clock.now(), deps, leftOut)
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
  { claims: configured, naming, signer }: IdentityHeadersDeps,
  leftOut: LeftOut,
): Promise<readonly string[]> {
  const claims = assertionClaims(who, audience, now, new Set(configured.values()))
  for (const claim of (claims['claims_omitted'] as readonly string[] | undefined) ?? []) {
    leftOut({ claim }, 'claim left out of the assertion: it is too large')
  }
  const headers: string[] = []
  let room = MAX_HEADERS_BYTES
  for (const [name, claim] of configured) {
    const value = headerValueOf(who, claims, claim)
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

/** What did not fit into the assertion may fit into a header of its own. */
function headerValueOf(
  { identity }: Principal,
  claims: JsonObject,
  claim: string,
): ReturnType<typeof claimHeaderValue> {
  // A truncated list needs its mark, and only the assertion can carry one.
  if (claim === 'groups' && claims['groups_truncated']) return 'too-large'
  if (claim === 'name') return claimHeaderValue(identity.name)
  return claimHeaderValue(OURS.has(claim) ? own(claims, claim) : own(identity.claims, claim))
}

/**
 * The claims that Pomerium sends, and the configured ones. `sid` is a hash: what an upstream learns authenticates
 * nobody. A claim of the identity provider never replaces one of ours. What does not fit is left out and named in
 * `claims_omitted`; groups come before everything that people can choose about themselves.
 */
export function assertionClaims(
  who: Principal,
  audience: string,
  now: WallTime,
  configured: Iterable<string>,
): JsonObject {
  const { identity } = who
  const { groups, truncated } = groupsClaim(who.membership)
  const iat = epochSeconds(now)
  const claims: Record<string, Json> = {
    iss: audience,
    aud: audience,
    sub: identity.subject,
    user: identity.subject,
    ...(identity.email === undefined ? {} : { email: identity.email }),
    groups,
    ...(truncated ? { groups_truncated: true } : {}),
    sid: sha256(who.sessionId),
    jti: randomUUID(),
    iat,
    exp: iat + ASSERTION_LIFETIME / 1000,
  }
  let room = MAX_CLAIMS_BYTES - jsonBytes(claims)
  const omitted: string[] = []
  const add = (name: string, value: Json | undefined): void => {
    if (value === undefined) return
    const size = jsonBytes(name) + jsonBytes(value) + 2
    if (size > room) omitted.push(name)
    else {
      room -= size
      claims[name] = value
    }
  }
  add('name', identity.name)
  for (const name of configured) if (!OURS.has(name)) add(name, own(identity.claims, name))
  return omitted.length === 0 ? claims : { ...claims, claims_omitted: omitted }
}

function jsonBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value))
}

/** Absent when we do not know it; the provider's word is not taken instead. */
const OURS = new Set(
  'iss aud sub user email name groups groups_truncated claims_omitted sid jti iat exp nbf'.split(' '),
)

/**
 * Ids, then names. The name of an imported group is left out: whoever owns the import can call it anything, so
 * upstreams must not match it either (the rule of policy/membership.ts).
 */
function groupsClaim(membership: Membership | 'unknown'): { groups: readonly string[]; truncated: boolean } {
  if (membership === 'unknown') return { groups: [], truncated: false }
  const named = membership.groups.filter((group: Group) => group.type !== 'APP_GROUP')
  const all = new Set([...membership.groups.map((group) => group.id), ...named.map((group) => group.name)])
  const groups: string[] = []
  let bytes = 0
  for (const group of all) {
    bytes += jsonBytes(group) + 1
    if (bytes > MAX_GROUP_BYTES) return { groups, truncated: true }
    groups.push(group)
  }
  return { groups, truncated: false }
}

/**
 * A claim as a header value; undefined when there is nothing to say (absent, empty, null or an object).
 * One rule for all values: what is not printable ASCII, and `%`, is percent-encoded as UTF-8, and so is a blank at
 * either end; the members of a list are joined with `,`, which is encoded inside a member. Decoding gives the value back.
 */
export function claimHeaderValue(claim: Json | undefined): { readonly text: string } | 'too-large' | undefined {
  const text = Array.isArray(claim)
    ? claim
        .flatMap((member: Json) => scalar(member) ?? [])
        .map((member) => encode(member).replaceAll(',', '%2C'))
        .join(',')
    : encode(scalar(claim) ?? '')
  if (text.length > MAX_HEADER_BYTES) return 'too-large'
  return text === '' ? undefined : { text }
}

function scalar(value: Json | undefined): string | undefined {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined
}

function encode(text: string): string {
  return text.replace(/^ +| +$|[^\x20-\x7e]+|%/g, encodeBytes)
}

function encodeBytes(text: string): string {
  return Array.from(Buffer.from(text), (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('')
}

/** `__proto__` and `constructor` are names like any other (CVE-2026-21710). */
function own(claims: JsonObject, name: string): Json | undefined {
  return Object.hasOwn(claims, name) ? claims[name] : undefined
}
