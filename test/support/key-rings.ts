import { createKeyRings, type KeyRings } from '../../src/lib/key-ring.ts'
import { Secret } from '../../src/lib/secret.ts'

/** Of shared secrets that stay. */
export function keyRingsOf(first: string | Secret, ...others: readonly (string | Secret)[]): KeyRings {
  const secretOf = (secret: string | Secret): Secret => (typeof secret === 'string' ? new Secret(secret) : secret)
  const secrets = [secretOf(first), ...others.map(secretOf)] as const
  return createKeyRings(() => secrets)
}
