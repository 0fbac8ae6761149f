import { constantTimeEqual, deriveKey, mac } from '../lib/crypto.ts'
import { createRecent } from '../lib/recent.ts'
import type { Secret } from '../lib/secret.ts'
import type { SessionId } from '../types.ts'

/** `v1.`, 22 characters of id, `.`, 43 characters of HMAC-SHA256. */
const VERSION = 'v1.'
const ID_END = VERSION.length + 22
const LENGTH = ID_END + 1 + 43

export interface CookieCheck {
  sign(id: SessionId, host: string): string
  /** undefined: not a value that we signed for this host. */
  verify(value: string, host: string): SessionId | undefined
}

/**
 * Session cookie values. The id alone is worth nothing (it appears in logs) and neither is the cookie of another host:
 * the MAC covers both. The first secret signs, all verify. Remembers `capacity` values that passed.
 */
export function createCookieCheck(secrets: readonly [Secret, ...Secret[]], capacity: number): CookieCheck {
  const keyOf = (secret: Secret) => deriveKey(secret.reveal(), 'session cookie')
  const [first, ...older] = secrets
  const signingKey = keyOf(first)
  const keys = [signingKey, ...older.map(keyOf)]

  /**
   * Value → the host that it was found good for. A MAC that was right stays right, so this needs no invalidation; it spares
   * each request an HMAC (2.5 µs). The lookup is by a hash over the whole value, seeded per process: its time tells nothing
   * about how much of a guess is right.
   */
  const passed = createRecent<string, string>(capacity)

  return {
    sign: (id, host) => `${VERSION}${id}.${mac(signingKey, id, host)}`,
    verify(value, host) {
      if (value.length !== LENGTH || !value.startsWith(VERSION) || value[ID_END] !== '.') return undefined
      const id = value.slice(VERSION.length, ID_END)
      if (passed.get(value) === host) return id
      const given = value.slice(ID_END + 1)
      if (!keys.some((key) => constantTimeEqual(given, mac(key, id, host)))) return undefined
      // A copy: `value` is a window on the whole Cookie header, and would keep all of it in memory.
      passed.set(Buffer.from(value, 'latin1').toString('latin1'), host)
      return id
    },
  }
}
