import type { Reason } from './model.ts'

/** Every reason, in the order in which reasons are listed: what stops everything else comes first. */
const ORDER = Object.keys({
  'policy-error': true,
  'user-unauthenticated': true,
  'other-identity-provider': true,
  'token-invalid': true,
  'token-scope': true,
  'user-inactive': true,
  'authentication-insufficient': true,
  'groups-unknown': true,
  'groups-claim-absent': true,
  'email-unverified': true,
  'no-rule-matched': true,
  public: true,
  'signed-in': true,
  accept: true,
  reject: true,
  'user-ok': true,
  'user-unauthorized': true,
  'email-ok': true,
  'email-unauthorized': true,
  'domain-ok': true,
  'domain-unauthorized': true,
  'groups-ok': true,
  'groups-unauthorized': true,
  'claim-ok': true,
  'claim-unauthorized': true,
  'service-account-ok': true,
  'service-account-unauthorized': true,
  'issuer-ok': true,
  'issuer-unauthorized': true,
  'scope-ok': true,
  'scope-unauthorized': true,
  'http-method-ok': true,
  'http-method-unauthorized': true,
  'http-path-ok': true,
  'http-path-unauthorized': true,
  'http-header-ok': true,
  'http-header-unauthorized': true,
  'http-query-ok': true,
  'http-query-unauthorized': true,
  'cors-request': true,
  'non-cors-request': true,
  'source-ip-ok': true,
  'source-ip-unauthorized': true,
  'date-ok': true,
  'date-unauthorized': true,
  'day-of-week-ok': true,
  'day-of-week-unauthorized': true,
  'time-of-day-ok': true,
  'time-of-day-unauthorized': true,
  'client-certificate-ok': true,
  'client-certificate-unauthorized': true,
  'client-certificate-required': true,
  'invalid-client-certificate': true,
  'valid-client-certificate': true,
  'origin-unauthorized': true,
  'destination-unauthorized': true,
  'websockets-off': true,
} satisfies Record<Reason, true>) as readonly Reason[]

/**
 * A set of reasons. Equal sets are one object, and each remembers the sets that one more reason makes of it, so that
 * judging a request allocates none. There are no more sets than a configuration can produce.
 */
export interface Reasons {
  /** Ordered and frozen. */
  readonly list: readonly Reason[]
  readonly withOneMore: Map<Reason, Reasons>
}

const known = new Map<string, Reasons>()

export const NO_REASONS = setOf([])

export function plus(reasons: Reasons, reason: Reason): Reasons {
  let more = reasons.withOneMore.get(reason)
  if (!more) {
    more = setOf([...reasons.list, reason])
    reasons.withOneMore.set(reason, more)
  }
  return more
}

export function union(one: Reasons, other: Reasons): Reasons {
  if (one === NO_REASONS || one === other) return other
  let all = one
  for (const reason of other.list) all = plus(all, reason)
  return all
}

function setOf(reasons: readonly Reason[]): Reasons {
  const list = ORDER.filter((reason) => reasons.includes(reason))
  const key = list.join(' ')
  let found = known.get(key)
  if (!found) {
    found = { list: Object.freeze(list), withOneMore: new Map() }
    known.set(key, found)
  }
  return found
}
