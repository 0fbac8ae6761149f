/** What the assertion says about a person. */
import { randomUUID } from 'node:crypto'
import { sha256 } from '../lib/crypto.ts'
import type { ForwardedIdentity } from '../config/route-model.ts'
import type { Group, Membership } from '../directory/model.ts'
import { epochSeconds } from '../lib/time.ts'
import { isGroupId } from '../policy/membership.ts'
import type { Principal } from '../policy/model.ts'
import type { Json, JsonObject, WallTime } from '../types.ts'
import { ASSERTION_LIFETIME } from './assertion.ts'
import { own } from './claim-value.ts'

/**
 * Upstreams refuse a header line beyond 8 KiB (nginx, Apache) and a header section beyond 16 KiB (Node). Signed, claims
 * are a third longer.
 */
const MAX_CLAIMS_BYTES = 5632
const MAX_GROUP_BYTES = 4096

/**
 * The claims that Pomerium sends, and the configured ones. `sid` is a hash: what an upstream learns authenticates
 * nobody. Whoever is here by a token has `kind` instead. A claim of the identity provider never replaces one of ours. What does not fit is left out and named in
 * `claims_omitted`; groups come before everything that people can choose about themselves.
 */
export function assertionClaims(
  who: Principal,
  audience: string,
  now: WallTime,
  { claimHeaders, groups: settings, issuerScheme }: Omit<ForwardedIdentity, 'pass' | 'key'>,
): JsonObject {
  const { identity } = who
  const { groups, truncated } = groupsClaim(who.membership, settings)
  const iat = epochSeconds(now)
  const claims: Record<string, Json> = {
    iss: issuerScheme ? `${issuerScheme}://${audience}/` : audience,
    aud: audience,
    sub: identity.subject,
    user: identity.subject,
    ...(identity.email === undefined ? {} : { email: identity.email }),
    groups,
    ...(truncated ? { groups_truncated: true } : {}),
    ...(who.kind === 'session' ? { sid: sha256(who.sessionId) } : { kind: who.kind }),
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
  for (const name of new Set(claimHeaders.values())) if (!OURS.has(name)) add(name, own(identity.claims, name))
  return omitted.length === 0 ? claims : { ...claims, claims_omitted: omitted }
}

function jsonBytes(value: Json): number {
  return Buffer.byteLength(JSON.stringify(value))
}

/** Absent when we do not know it; the provider's word is not taken instead. */
export const OURS: ReadonlySet<string> = new Set(
  'iss aud sub user email name groups groups_truncated claims_omitted sid kind jti iat exp nbf'.split(' '),
)

/**
 * Ids, then names; when there are too many, those of groups that the policy asks for come first. The name of an imported
 * group is left out: whoever owns the import can call it anything, so upstreams must not match it either (the rule of
 * policy/membership.ts). So is one in the form of an id: in one list with ids it would be that of another group.
 */
function groupsClaim(
  membership: Membership | 'unknown',
  { format, only, first }: ForwardedIdentity['groups'],
): { readonly groups: readonly string[]; readonly truncated: boolean } {
  if (membership === 'unknown') return { groups: [], truncated: false }
  const told = (groups: readonly Group[]): readonly string[] => {
    const ids = format === 'names' ? [] : groups.map(({ id }) => id)
    const names = format === 'ids' ? [] : groups.flatMap((group) => nameOf(group) ?? [])
    return only ? [...ids, ...names].filter((value) => only.includes(value)) : [...ids, ...names]
  }
  const all = fitting(new Set(told(membership.groups)))
  if (!all.truncated) return all
  const asked = membership.groups.filter((group) => first.includes(group.id) || first.includes(nameOf(group) ?? ''))
  return fitting(new Set([...told(asked), ...told(membership.groups)]))
}

function nameOf({ id, type, name }: Group): string | undefined {
  return type === 'APP_GROUP' || (isGroupId(name) && name !== id) ? undefined : name
}

function fitting(all: ReadonlySet<string>): ReturnType<typeof groupsClaim> {
  const groups: string[] = []
  let bytes = 0
  for (const group of all) {
    bytes += jsonBytes(group) + 1
    if (bytes > MAX_GROUP_BYTES) return { groups, truncated: true }
    groups.push(group)
  }
  return { groups, truncated: false }
}
