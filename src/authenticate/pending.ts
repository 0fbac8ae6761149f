/**
 * Sign-ins that wait for their callback, sealed into one bounded cookie of the browser that started them:
 * the server keeps nothing before a callback, so a flood of starts costs no memory. JWE `dir` + A256GCM (RFC 7516).
 */
import { CompactEncrypt, compactDecrypt } from 'jose'
import { deriveKey } from '../lib/crypto.ts'
import type { Secret } from '../lib/secret.ts'
import type { Millis, PendingSignIn } from '../types.ts'

export const PENDING_LIFETIME: Millis = 60 * 60_000
/** Parallel tabs of one browser. */
const MAX_PENDING = 5
/** Browsers keep 4096 bytes a cookie, name and attributes included. */
const MAX_COOKIE_VALUE = 3800

export interface Pending extends PendingSignIn {
  readonly returnTo: string
  readonly nonceHash?: string
  readonly expiresAt: Millis
}

export interface PendingJar {
  /** Anything unreadable is no pending sign-in. Expired ones are dropped. */
  open(cookie: string | undefined, now: Millis): Promise<readonly Pending[]>
  /** The newest are kept when there are too many or they are too long. */
  seal(pending: readonly Pending[]): Promise<string>
}

export function createPendingJar(sharedSecrets: readonly [Secret, ...Secret[]]): PendingJar {
  const keys = sharedSecrets.map((secret) => deriveKey(secret.reveal(), 'pending-sign-in'))
  const [sealingKey] = keys as [Buffer]

  async function decrypt(cookie: string): Promise<unknown> {
    for (const key of keys) {
      try {
        const { plaintext } = await compactDecrypt(cookie, key, {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        })
        return JSON.parse(new TextDecoder().decode(plaintext)) as unknown
      } catch {
        // Not sealed by this key; perhaps by the one before it.
      }
    }
    return undefined
  }

  return {
    async open(cookie, now) {
      const list = cookie === undefined ? undefined : await decrypt(cookie)
      return Array.isArray(list) ? list.filter(isPending).filter(({ expiresAt }) => expiresAt > now) : []
    },

    async seal(pending) {
      for (let kept = pending.slice(-MAX_PENDING); ; kept = kept.slice(1)) {
        const sealed = await new CompactEncrypt(new TextEncoder().encode(JSON.stringify(kept)))
          .setProtectedHeader({ alg: 'dir', enc: 'A256GCM' })
          .encrypt(sealingKey)
        if (sealed.length <= MAX_COOKIE_VALUE || kept.length === 0) return sealed
      }
    },
  }
}

function isPending(value: unknown): value is Pending {
  if (typeof value !== 'object' || value === null) return false
  const { state, nonce, codeVerifier, returnTo, nonceHash, expiresAt } = value as Record<string, unknown>
  return (
    [state, nonce, codeVerifier, returnTo].every((field) => typeof field === 'string') &&
    (nonceHash === undefined || typeof nonceHash === 'string') &&
    typeof expiresAt === 'number'
  )
}
