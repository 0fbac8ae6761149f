import {
  createCipheriv,
  createDecipheriv,
  createHash,
  hash,
  hkdfSync,
  randomBytes,
  randomFillSync,
  timingSafeEqual,
} from 'node:crypto'

/** 32 bytes for one purpose, HKDF-SHA256 (RFC 5869); another `purpose` gives an unrelated key. */
export function deriveKey(secret: string | Uint8Array, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, 'postern', purpose, 32))
}

/** HMAC-SHA256, base64url, 43 characters. Parts are length-prefixed, so no two lists share an input. */
export function mac(key: Uint8Array, ...parts: readonly string[]): string {
  let message = ''
  for (const part of parts) message += `${Buffer.byteLength(part)}:${part}`
  let schedule = schedules.get(key)
  if (!schedule) schedules.set(key, (schedule = scheduleOf(key)))
  const { inner, outer } = schedule
  // No character has more than three bytes.
  const input =
    message.length > ROOM / 3
      ? Buffer.concat([inner.subarray(0, BLOCK), Buffer.from(message)])
      : inner.subarray(0, BLOCK + inner.write(message, BLOCK))
  outer.write(hash('sha256', input, 'binary'), BLOCK, 'latin1')
  return hash('sha256', outer, 'base64url')
}

/**
 * RFC 2104: what depends on the key alone. node:crypto prepares it for each message and offers no other way: two plain hashes
 * cost half of its HMAC.
 */
interface Schedule {
  /** With room for a message. */
  readonly inner: Buffer
  /** With room for the inner digest. */
  readonly outer: Buffer
}

/** Of SHA-256, in bytes. */
const BLOCK = 64
const DIGEST = 32
const ROOM = 1536
const schedules = new WeakMap<Uint8Array, Schedule>()

function scheduleOf(key: Uint8Array): Schedule {
  if (key.length > BLOCK) throw new TypeError('mac: a key is no longer than a block')
  const inner = Buffer.alloc(BLOCK + ROOM, 0x36)
  const outer = Buffer.alloc(BLOCK + DIGEST, 0x5c)
  for (const [i, byte] of key.entries()) {
    inner[i] = byte ^ 0x36
    outer[i] = byte ^ 0x5c
  }
  return { inner, outer }
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

/** Drawn ahead, because each call to the system costs 2 µs. Each byte is given out once, and erased then. */
const pool = Buffer.alloc(4096)
let given = pool.length

/** `bits` random bits as base64url. */
export function randomId(bits = 128): string {
  const end = given + bits / 8
  if (end > pool.length) {
    randomFillSync(pool)
    given = 0
    return randomId(bits)
  }
  const id = pool.toString('base64url', given, end)
  pool.fill(0, given, end)
  given = end
  return id
}

export function sha256(text: string | Uint8Array): string {
  return hash('sha256', text, 'base64url')
}

/** As a Content-Security-Policy names an inline script (CSP Level 3 §2.3.1): `'sha256-…'`, in plain base64. */
export function cspHash(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`
}
