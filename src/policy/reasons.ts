import type { Reason } from './model.ts'

/** Sets of reasons as bits, so that judging a request allocates none. The order here is the order in which reasons are listed. */
const BITS: Readonly<Record<Reason, number>> = {
  'policy-error': 1 << 0,
  'user-unauthenticated': 1 << 1,
  'user-inactive': 1 << 2,
  'groups-unknown': 1 << 3,
  'no-rule-matched': 1 << 4,
  public: 1 << 5,
  'signed-in': 1 << 6,
  accept: 1 << 7,
  reject: 1 << 8,
  'user-ok': 1 << 9,
  'user-unauthorized': 1 << 10,
  'email-ok': 1 << 11,
  'email-unauthorized': 1 << 12,
  'domain-ok': 1 << 13,
  'domain-unauthorized': 1 << 14,
  'groups-ok': 1 << 15,
  'groups-unauthorized': 1 << 16,
  'claim-ok': 1 << 17,
  'claim-unauthorized': 1 << 18,
  'http-method-ok': 1 << 19,
  'http-method-unauthorized': 1 << 20,
  'http-path-ok': 1 << 21,
  'http-path-unauthorized': 1 << 22,
  'source-ip-ok': 1 << 23,
  'source-ip-unauthorized': 1 << 24,
  'origin-unauthorized': 1 << 25,
  'websockets-off': 1 << 26,
}

const lists = new Map<number, readonly Reason[]>()

/** The set with this one reason. */
export function reasonBit(reason: Reason): number {
  return BITS[reason]
}

/** The reasons of a set, frozen; the same set is the same array. There are no more sets than a configuration can produce. */
export function reasonList(set: number): readonly Reason[] {
  let list = lists.get(set)
  if (!list) {
    list = Object.freeze((Object.keys(BITS) as Reason[]).filter((reason) => (set & BITS[reason]) !== 0))
    lists.set(set, list)
  }
  return list
}
