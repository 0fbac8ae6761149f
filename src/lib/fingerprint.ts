import { sha256 } from './crypto.ts'
import { Secret } from './secret.ts'

/** Equal for equal values, secrets included; functions count by what stands beside them. */
export function fingerprint(value: unknown): string {
  return sha256(
    JSON.stringify(value, function (this: Record<string, unknown>, key: string, plain: unknown) {
      const raw = this[key]
      if (raw instanceof Secret) return sha256(raw.reveal())
      return raw instanceof Map || raw instanceof Set ? [...raw] : plain
    }) ?? '',
  )
}
