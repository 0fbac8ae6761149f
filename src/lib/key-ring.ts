/** Keys that the shared secrets give. What is built once asks for them at each use: a reload replaces the secrets. */
import { constantTimeEqual, deriveKey, mac, open, seal } from './crypto.ts'
import type { Secret } from './secret.ts'

/** The first seals and signs, all open and verify. */
export type SharedSecrets = readonly [Secret, ...Secret[]]

/** Of one purpose. */
export interface KeyRing {
  mac(...parts: readonly string[]): string
  /** Is it the MAC of these parts, by one of the secrets? */
  isMac(given: string, ...parts: readonly string[]): boolean
  seal(plaintext: string, context: string): string
  /** undefined: not sealed by one of the secrets for this context. */
  open(sealed: string, context: string): string | undefined
  /** Sealed by the first; undefined: it is already, or does not open. */
  sealAnew(sealed: string, context: string): string | undefined
  /** As they are now; the same list as long as the secrets are the same. */
  keys(): readonly [Buffer, ...Buffer[]]
}

export type KeyRings = (purpose: string) => KeyRing

export function createKeyRings(secrets: () => SharedSecrets): KeyRings {
  return (purpose) => {
    let from: SharedSecrets | undefined
    let known: [Buffer, ...Buffer[]]

    const keyOf = (secret: Secret): Buffer => deriveKey(secret.reveal(), purpose)

    function keys(): readonly [Buffer, ...Buffer[]] {
      const now = secrets()
      if (now === from) return known
      from = now
      const [first, ...others] = now
      return (known = [keyOf(first), ...others.map(keyOf)])
    }

    return {
      keys,
      mac: (...parts) => mac(keys()[0], ...parts),
      isMac: (given, ...parts) => keys().some((key) => constantTimeEqual(given, mac(key, ...parts))),
      seal: (plaintext, context) => seal(keys()[0], plaintext, context),
      open: (sealed, context) => open(keys(), sealed, context),
      sealAnew(sealed, context) {
        const [first, ...older] = keys()
        if (open([first], sealed, context) !== undefined) return undefined
        const text = open(older, sealed, context)
        return text === undefined ? undefined : seal(first, text, context)
      },
    }
  }
}
