import { sha256 } from './crypto.ts'
import { Secret } from './secret.ts'

/**
 * Equal for equal values, secrets included; functions count by what stands beside them. Throws for what it could not tell
 * apart: an object that shows nothing of itself to JSON, as expressions and keys do.
 */
export function fingerprint(value: unknown): string {
  return sha256(
    JSON.stringify(value, function (this: Record<string, unknown>, key: string, plain: unknown) {
      const raw = this[key]
      if (raw instanceof Secret) return sha256(raw.reveal())
      if (raw instanceof Map || raw instanceof Set) return [...raw]
      // JSON has one word for all of these, and for null.
      if (typeof raw === 'number' && !Number.isFinite(raw)) return { number: String(raw) }
      if (typeof plain === 'object' && plain !== null && !isPlain(plain))
        throw new TypeError(`fingerprint: ${key} is a ${plain.constructor.name}`)
      return plain
    }) ?? '',
  )
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return Array.isArray(value) || prototype === Object.prototype || prototype === null
}
