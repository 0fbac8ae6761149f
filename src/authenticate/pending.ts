/**
 * A sign-in that waits for its callback, sealed into a cookie of the browser that began it: the server keeps nothing of it
 * before a callback, so a flood of starts costs no memory. JWE `dir` + A256GCM (RFC 7516).
 *
 * One cookie for each, because tabs that begin at the same moment would overwrite one another in a common one.
 */
import { CompactEncrypt, compactDecrypt } from 'jose'
import { PENDING_HEADER } from '../lib/cookie-form.ts'
import { deriveKey, sha256 } from '../lib/crypto.ts'
import type { Secret } from '../lib/secret.ts'
import { isDemand } from '../policy/demand.ts'
import type { PendingSignIn, SignInDemand, Span, WallTime } from '../types.ts'

/** Long enough for a slow second factor. */
export const PENDING_LIFETIME: Span = 60 * 60_000

export interface Pending extends PendingSignIn {
  readonly returnTo: string
  /** Name of the identity provider that was asked: no other one's answer counts (RFC 9700 §4.4). */
  readonly provider: string
  readonly nonceHash?: string
  readonly demand?: SignInDemand
  readonly expiresAt: WallTime
}

export interface PendingSeal {
  seal(pending: Pending): Promise<string>
  /** undefined: unreadable, expired, or not what was sealed. */
  open(sealed: string, now: WallTime): Promise<Pending | undefined>
}

export function createPendingSeal(sharedSecrets: readonly [Secret, ...Secret[]]): PendingSeal {
  const keys = sharedSecrets.map((secret) => deriveKey(secret.reveal(), 'pending-sign-in'))
  const [sealingKey] = keys as [Buffer]

  return {
    seal: (pending) =>
      new CompactEncrypt(new TextEncoder().encode(JSON.stringify(pending)))
        .setProtectedHeader(PENDING_HEADER)
        .encrypt(sealingKey),

    async open(sealed, now) {
      for (const key of keys) {
        try {
          const { plaintext } = await compactDecrypt(sealed, key, {
            keyManagementAlgorithms: ['dir'],
            contentEncryptionAlgorithms: ['A256GCM'],
          })
          const pending: unknown = JSON.parse(new TextDecoder().decode(plaintext))
          return isPending(pending) && pending.expiresAt > now ? pending : undefined
        } catch {
          // Not sealed by this key; perhaps by the one before it (rotation).
        }
      }
      return undefined
    },
  }
}

/** Ends the name of a flow's cookie: says nothing, tells flows apart. */
export function flowTag(state: string): string {
  return sha256(state).slice(0, 12)
}

function isPending(value: unknown): value is Pending {
  if (typeof value !== 'object' || value === null) return false
  const { state, nonce, codeVerifier, returnTo, provider, nonceHash, demand, expiresAt } = value as Record<
    string,
    unknown
  >
  return (
    [state, nonce, codeVerifier, returnTo, provider].every((field) => typeof field === 'string') &&
    (nonceHash === undefined || typeof nonceHash === 'string') &&
    (demand === undefined || isDemand(demand)) &&
    typeof expiresAt === 'number'
  )
}
