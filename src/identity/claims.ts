import { AppError } from '../errors.ts'
import { isIssuer } from '../lib/person.ts'
import { compileClaimPath } from '../policy/claim-path.ts'
import type { Group } from '../directory/model.ts'
import type { Identity, Json, JsonObject } from '../types.ts'

/** More values than this and the claim is unknown rather than cut: half a list is a wrong list. */
const MAX_GROUPS = 5000
/** Okta's limit for a group name is 255. */
const MAX_GROUP_NAME = 256

/** Dot-separated atoms (RFC 5322 §3.2.3), one `@`, host labels; ASCII only, since lower-casing `K` (U+212A) makes a `k`. */
const EMAIL =
  /^[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*$/
/** OIDC Core §2: at most 255 ASCII characters; spaces and controls would not survive headers and keys. */
const SUBJECT = /^[\x21-\x7e]{1,255}$/

/** Bound to one sign-in and of no use afterwards. */
const TRANSIENT = new Set(['nonce', 'at_hash', 'c_hash', 's_hash'])

/** How and when somebody signed in: the ID token of the sign-in says so, and nothing else does. */
export const OF_THE_SIGN_IN = ['auth_time', 'acr', 'amr', 'sid'] as const

/** A claim and the one that says whether it was verified (OIDC Core §5.1). */
const VERIFIABLE = [
  ['email', 'email_verified'],
  ['phone_number', 'phone_number_verified'],
] as const

/**
 * Claims of the ID token, completed by those of userinfo. `email_verified` speaks of the address beside it and of no other: a
 * `true` never moves to an address of the other document. A `false` that stands alone is believed where nothing else is said.
 */
export function mergeClaims(idToken: JsonObject, userinfo: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...userinfo }
  for (const name of OF_THE_SIGN_IN) delete merged[name]
  Object.assign(merged, idToken)
  for (const [claim, flag] of VERIFIABLE) {
    const [own, other] = Object.hasOwn(idToken, claim) ? [idToken, userinfo] : [userinfo, idToken]
    delete merged[flag]
    const flags = [own[flag], sameText(own[claim], other[claim]) ? other[flag] : undefined].filter(isSaid)
    const lone = own[flag] === undefined && other[claim] === undefined && !isTrue(other[flag]) ? other[flag] : undefined
    const verdict = flags.find((value) => !isTrue(value)) ?? flags[0] ?? lone
    if (verdict !== undefined) merged[flag] = verdict
  }
  return merged
}

function isSaid(value: Json | undefined): value is Json {
  return value !== undefined
}

/** Some providers write it as text. */
function isTrue(value: Json | undefined): boolean {
  return value === true || value === 'true'
}

function sameText(left: Json | undefined, right: Json | undefined): boolean {
  return typeof left === 'string' && typeof right === 'string' && left.toLowerCase() === right.toLowerCase()
}

/**
 * Who validated claims speak of. `claims.email` is the accepted address or absent, so that no rule
 * and no header can pick up one that was refused. Rejects ERR_IDP_REJECTED without a usable `sub` or `iss`.
 */
export function toIdentity(claims: JsonObject, { allowUnverifiedEmail = false } = {}): Identity {
  const { iss, sub, name } = claims
  if (typeof iss !== 'string' || !isIssuer(iss)) throw new AppError('ERR_IDP_REJECTED', 'claims: no usable issuer')
  if (typeof sub !== 'string' || !SUBJECT.test(sub)) throw new AppError('ERR_IDP_REJECTED', 'claims: no usable subject')
  const email = acceptedEmail(claims, allowUnverifiedEmail)
  const kept = Object.entries(claims).filter(([key]) => key !== 'email' && !TRANSIENT.has(key))
  return {
    issuer: iss,
    subject: sub,
    ...(email === undefined ? {} : { email }),
    ...(typeof name === 'string' && name.trim() !== '' ? { name: name.trim() } : {}),
    claims: Object.fromEntries(email === undefined ? kept : [...kept, ['email', email] as const]),
  }
}

/**
 * Groups named by the claim at a path. undefined is "unknown" and never "no groups": Okta leaves the claim out
 * when it is not configured, and other providers when a person has too many (okta-api.md#groups-claim).
 */
export function groupsFromClaims(claims: JsonObject, path: string): readonly Group[] | undefined {
  const value = compileClaimPath(path)(claims)
  // A single group comes as a bare string from some providers.
  const names: unknown = typeof value === 'string' ? [value] : value
  if (!Array.isArray(names) || names.length > MAX_GROUPS || !names.every(isGroupName)) return undefined
  return [...new Set(names)].map((name) => ({ id: name, name, type: 'CLAIM' }))
}

/**
 * Was the claim left out? Not when the provider says that it has groups and does not tell them here: `_claim_names` (OIDC Core
 * §5.6.2) and `hasgroups`, by which Entra says that there are too many.
 */
export function isClaimAbsent(claims: JsonObject, path: string): boolean {
  const { _claim_names: elsewhere, hasgroups } = claims
  if (elsewhere !== undefined || isTrue(hasgroups)) return false
  return compileClaimPath(path)(claims) === undefined
}

/** Lower case. undefined unless it is one plain address that the provider does not call unverified (CVE-2026-40574), or that counts all the same. */
function acceptedEmail({ email, email_verified: verified }: JsonObject, allowUnverified: boolean): string | undefined {
  if (!allowUnverified && verified !== undefined && !isTrue(verified)) return undefined
  if (typeof email !== 'string' || email.length > 254 || !EMAIL.test(email)) return undefined
  return email.toLowerCase()
}

function isGroupName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_GROUP_NAME
}
