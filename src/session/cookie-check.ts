import { SESSION_VERSION } from '../lib/cookie-form.ts'
import { detached } from '../lib/detached.ts'
import { createRecent } from '../lib/recent.ts'
import type { KeyRing, KeyRings } from '../lib/key-ring.ts'
import type { SessionId } from '../types.ts'

const ID_END = SESSION_VERSION.length + 22
const LENGTH = ID_END + 1 + 43

interface Passed {
  readonly id: SessionId
  readonly name: string
  readonly host: string
  readonly keys: ReturnType<KeyRing['keys']>
}

export interface CookieCheck {
  sign(id: SessionId, name: string, host: string): string
  /** undefined: not a value that we signed for a cookie of this name on this host. */
  verify(value: string, name: string, host: string): SessionId | undefined
}

/**
 * Session cookie values. The id alone is worth nothing (it appears in logs), and neither is the cookie of another host or of
 * another name (an old `cookie_name`; the plain name on https): the MAC covers all three. The first secret signs, all verify.
 * Remembers `capacity` values that passed.
 */
export function createCookieCheck(keyRings: KeyRings, capacity: number): CookieCheck {
  const ring = keyRings('session cookie')
  /**
   * Value → the name and host that it was found good for, and the keys: under other keys it is checked again. It spares
   * each request an HMAC (2.5 µs). The lookup is by a hash over the whole value, seeded per process: its time tells nothing
   * about how much of a guess is right.
   */
  const passed = createRecent<string, Passed>(capacity)

  return {
    sign: (id, name, host) => `${SESSION_VERSION}${id}.${ring.mac(name, id, host)}`,
    verify(value, name, host) {
      if (value.length !== LENGTH || !value.startsWith(SESSION_VERSION) || value[ID_END] !== '.') return undefined
      const known = passed.get(value)
      if (known?.host === host && known.name === name && known.keys === ring.keys()) return known.id
      const id = detached(value.slice(SESSION_VERSION.length, ID_END))
      const given = value.slice(ID_END + 1)
      if (!ring.isMac(given, name, id, host)) return undefined
      passed.set(detached(value), { id, name, host: detached(host), keys: ring.keys() })
      return id
    },
  }
}
