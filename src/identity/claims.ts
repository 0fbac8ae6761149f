import { AppError } from '../errors.ts'
import { isIssuer } from '../lib/person.ts'
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

/**
 * Who validated claims speak of. `claims.email` is the accepted address or absent, so that no rule
 * and no header can pick up one that was refused. Rejects ERR_IDP_REJECTED without a usable `sub` or `iss`.
 */
export function toIdentity(claims: JsonObject): Identity {
  const { iss, sub, name } = claims
  if (typeof iss !== 'string' || !isIssuer(iss)) throw new AppError('ERR_IDP_REJECTED', 'claims: no usable issuer')
  if (typeof sub !== 'string' || !SUBJECT.test(sub)) throw new AppError('ERR_IDP_REJECTED', 'claims: no usable subject')
  const email = acceptedEmail(claims)
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
 * Groups named by a claim. undefined is "unknown" and never "no groups": Okta leaves the claim out
 * when it is not configured, and other providers when a person has too many (okta.md §1.6).
 */
export function groupsFromClaims(claims: JsonObject, claimName: string): readonly Group[] | undefined {
  const value: Json | undefined = Object.hasOwn(claims, claimName) ? claims[claimName] : undefined
  // A single group comes as a bare string from some providers.
  const names: unknown = typeof value === 'string' ? [value] : value
  if (!Array.isArray(names) || names.length > MAX_GROUPS || !names.every(isGroupName)) return undefined
  return [...new Set(names)].map((name) => ({ id: name, name, type: 'CLAIM' }))
}

/** Lower case. undefined unless it is one plain address that the provider does not call unverified (CVE-2026-40574). */
function acceptedEmail({ email, email_verified: verified }: JsonObject): string | undefined {
  if (verified !== undefined && verified !== true && verified !== 'true') return undefined
  if (typeof email !== 'string' || email.length > 254 || !EMAIL.test(email)) return undefined
  return email.toLowerCase()
}

function isGroupName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_GROUP_NAME
}
