/**
 * A sign-in that waits for its callback, sealed into a cookie of the browser that began it: the server keeps nothing of it
 * before a callback, so a flood of starts costs no memory. JWE `dir` + A256GCM (RFC 7516).
 *
 * One cookie for each, because tabs that begin at the same moment would overwrite one another in a common one.
 */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto'
import { PENDING_START } from '../lib/cookie-form.ts'
import { sha256 } from '../lib/crypto.ts'
import type { KeyRings } from '../lib/key-ring.ts'
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
  seal(pending: Pending): string
  /** undefined: unreadable, expired, or not what was sealed. */
  open(sealed: string, now: WallTime): Pending | undefined
}

export function createPendingSeal(keyRings: KeyRings): PendingSeal {
  const ring = keyRings('pending-sign-in')
  return {
    seal: (pending) => encrypt(ring.keys()[0], JSON.stringify(pending)),

    open(sealed, now) {
      for (const key of ring.keys()) {
        const text = decrypt(key, sealed)
        if (text === undefined) continue
        const pending: unknown = JSON.parse(text)
        return isPending(pending) && pending.expiresAt > now ? pending : undefined
      }
      return undefined
    },
  }
}

const HEADER = PENDING_START.slice(0, -2)
/** RFC 7518 §5.3: 96 bits and 128. */
const IV_BYTES = 12
const TAG_BYTES = 16

/** RFC 7516 §7.1 with no encrypted key. Not by WebCrypto: the way to another thread and back takes longer than the work. */
function encrypt(key: Buffer, plaintext: string): string {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(HEADER))
  const text = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
  return PENDING_START + [iv, text, cipher.getAuthTag()].map((part) => part.toString('base64url')).join('.')
}

/** undefined: not by this key. Any other header is not ours, so that nobody chooses an algorithm. */
function decrypt(key: Buffer, sealed: string): string | undefined {
  if (!sealed.startsWith(PENDING_START)) return undefined
  const [iv, text, tag, ...more] = sealed.slice(PENDING_START.length).split('.').map(bytesOf)
  if (!iv || !text || !tag || more.length > 0 || iv.length !== IV_BYTES || tag.length !== TAG_BYTES) return undefined
  const decipher = createDecipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(HEADER))
    .setAuthTag(tag)
  try {
    return Buffer.concat([decipher.update(text), decipher.final()]).toString('utf8')
  } catch {
    // The tag does not fit this key; perhaps the one before it (rotation).
    return undefined
  }
}

function bytesOf(text: string): Buffer {
  return Buffer.from(text, 'base64url')
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
