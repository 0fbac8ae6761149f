import type { Server } from 'node:net'
import { AppError } from '../errors.ts'
import type { Address } from '../config/model.ts'

/** Listens. Rejects ERR_LISTEN, which names the key whose address cannot be had. */
export async function bind(
  server: Server,
  { host, port }: Address,
  key: 'address' | 'http_redirect_addr' | 'health_check_addr' | 'metrics_address',
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const refuse = (error: NodeJS.ErrnoException): void => {
      const why = REASONS[error.code ?? ''] ?? 'the system refuses it'
      const where = `${host.includes(':') ? `[${host}]` : host}:${port}`
      reject(new AppError('ERR_LISTEN', `${key}: cannot listen on ${where}: ${why} (${error.code})`, { cause: error }))
    }
    server.once('error', refuse)
    server.listen(port, host, () => {
      server.off('error', refuse)
      resolve()
    })
  })
}

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program, or another key, has this port',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'ports below 1024 need the capability CAP_NET_BIND_SERVICE',
  ENOTFOUND: 'the name cannot be resolved',
}
