import { generateKeyPairSync, randomBytes } from 'node:crypto'
import type { Io } from '../io.ts'

/** Prints new secrets: `shared` is 32 random bytes in base64, `signing-key` a P-256 key in PEM. */
export function secretsCommand(
  { what, format }: { readonly what: 'shared' | 'signing-key' | 'all'; readonly format: 'env' | 'yaml' },
  io: Io,
): number {
  if (what !== 'signing-key') {
    const secret = randomBytes(32).toString('base64')
    io.out(format === 'env' ? `SHARED_SECRET=${secret}` : `shared_secret: ${secret}`)
  }
  if (what !== 'shared') {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString().trim()
    // An environment file has no values of several lines; base64 of PEM is read as well.
    if (format === 'env') io.out(`SIGNING_KEY=${Buffer.from(pem).toString('base64')}`)
    else io.out(`signing_key: |\n${pem.replace(/^/gm, '  ')}`)
  }
  return 0
}
