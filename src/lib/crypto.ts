import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'

/** 32 bytes for one purpose, HKDF-SHA256 (RFC 5869); another `purpose` gives an unrelated key. */
export function deriveKey(secret: string | Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'postern', purpose, 32))
}

/** HMAC-SHA256, base64url, 43 characters. Parts are length-prefixed, so no two lists share an input. */
export function mac(key: Uint8Array, ...parts: readonly string[]): string {
  const hmac = createHmac('sha256', key)
  for (const part of parts) hmac.update(`${Buffer.byteLength(part)}:`).update(part)
  return hmac.digest('base64url')
}

/** Equal, in a time that depends on the lengths only. */
export function constantTimeEqual(left: string, right: string): boolean {
  const a = Buffer.from(left)
  const b = Buffer.from(right)
  return a.length === b.length && timingSafeEqual(a, b)
}

/** AES-256-GCM with a random 96-bit nonce: base64url(nonce ‖ tag ‖ ciphertext), bound to `context`. */
export function seal(key: Uint8Array, plaintext: string, context: string): string {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(context))
  const body = Buffer.concat([cipher.update(plaintext, 'utf8'), cipher.final()])
  return Buffer.concat([nonce, cipher.getAuthTag(), body]).toString('base64url')
}

/** undefined: not sealed by one of these keys for this context. */
export function open(keys: readonly Uint8Array[], sealed: string, context: string): string | undefined {
  const bytes = Buffer.from(sealed, 'base64url')
  if (bytes.length < 28) return undefined
  for (const key of keys) {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12), { authTagLength: 16 })
      .setAAD(Buffer.from(context))
      .setAuthTag(bytes.subarray(12, 28))
    try {
      return Buffer.concat([decipher.update(bytes.subarray(28)), decipher.final()]).toString('utf8')
    } catch {
      // The tag does not fit this key; perhaps the next one (rotation).
    }
  }
  return undefined
}

/** `bits` random bits as base64url. */
export function randomId(bits = 128): string {
  return randomBytes(bits / 8).toString('base64url')
}

export function sha256(text: string | Uint8Array): string {
  return createHash('sha256').update(text).digest('base64url')
}

/** As a Content-Security-Policy names an inline script (CSP Level 3 §2.3.1): `'sha256-…'`, in plain base64. */
export function cspHash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
