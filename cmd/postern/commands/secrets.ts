import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { AppError } from '../../../src/errors.ts'
import type { Io } from '../io.ts'

export type SecretFormat = 'env' | 'yaml' | 'raw'

/** Prints new secrets: `shared` is 32 random bytes in base64, `signing-key` a P-256 key in PEM. `raw`: one value alone, as files hold it. */
export function secretsCommand(
  { what, format }: { readonly what: 'shared' | 'signing-key' | 'all'; readonly format: SecretFormat },
  io: Io,
): number {
  if (format === 'raw' && what === 'all') {
    throw new AppError('ERR_USAGE', '--format raw prints one value alone: expected shared or signing-key')
  }
  if (what !== 'signing-key') {
    const secret = randomBytes(32).toString('base64')
    io.out({ env: `SHARED_SECRET=${secret}`, yaml: `shared_secret: ${secret}`, raw: secret }[format])
  }
  if (what !== 'shared') {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trim()
    // An environment file has no values of several lines; base64 of PEM is read as well.
    const env = `SIGNING_KEY=${Buffer.from(pem).toString('base64')}`
    io.out({ env, yaml: `signing_key: |\n${pem.replace(/^/gm, '  ')}`, raw: pem }[format])
  }
  return 0
}
