/** Plain HTTP servers beside the listener: health, metrics, the redirect to https. */
import type { Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Address } from '../config/model.ts'
import type { Logger } from '../types.ts'
import { bind } from './bind.ts'

export interface SideListener {
  readonly address: AddressInfo
  close(): Promise<void>
}

/** Rejects ERR_LISTEN. */
export async function listenBeside(
  server: Server,
  address: Address,
  key: 'http_redirect_addr' | 'health_check_addr' | 'metrics_address',
  logger: Pick<Logger, 'error'>,
): Promise<SideListener> {
  await bind(server, address, key)
  // Too many open files, for one: what waits in the queue is accepted later, and the process lives on.
  server.on('error', (error) =>
    logger.error({ error: 'ERR_LISTEN', error_message: error.message, key }, 'a side listener reports an error'),
  )
  return {
    address: server.address() as AddressInfo,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
