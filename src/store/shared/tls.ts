import type { ConnectionOptions } from 'node:tls'
import type { StoreTls } from '../../config/storage-model.ts'

/** The server's certificate is always checked, its name too. */
export function tlsOptions({ ca, certificate }: StoreTls): ConnectionOptions {
  return {
    rejectUnauthorized: true,
    ...(ca !== undefined && { ca }),
    ...(certificate && { cert: certificate.chain, key: certificate.key.reveal() }),
  }
}
