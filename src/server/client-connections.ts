import type { Socket } from 'node:net'
import type { Live } from '../config/model.ts'
import { networkOf } from '../lib/client-network.ts'
import { compileTrust, isTrustedPeer } from '../routing/trust.ts'

export type ConnectionLimit = Pick<Live, 'maxConnectionsPerClient' | 'trustedProxies'>

export const NO_LIMIT: ConnectionLimit = { maxConnectionsPerClient: 0, trustedProxies: [] }

/** `refused-again`: was said of this client before, and it has had connections ever since; a flood is no flood of log lines. */
export type Admission = 'admitted' | 'refused' | 'refused-again'

/** How many connections each client has (`max_connections_per_client`); behind a trusted proxy are many clients. */
export interface ClientConnections {
  /** Counts it until it closes, unless its client has as many as it may have. */
  admit(socket: Socket, client: string): Admission
  /** Counts for connections that come from now on. */
  reload(limit: Partial<ConnectionLimit>): void
}

export function createClientConnections(limit: ConnectionLimit): ClientConnections {
  const open = new Map<string, { count: number; told: boolean }>()
  let most = 0
  let trust = compileTrust({ proxies: [], hops: 0 })
  const reload = (next: Partial<ConnectionLimit>): void => {
    const { maxConnectionsPerClient, trustedProxies } = { ...NO_LIMIT, ...next }
    most = maxConnectionsPerClient
    // Whom `xff_num_trusted_hops` alone believes is everybody.
    trust = compileTrust({ proxies: trustedProxies, hops: 0 })
  }
  reload(limit)

  return {
    admit(socket, client) {
      if (isTrustedPeer(client, trust)) return 'admitted'
      const network = networkOf(client)
      const own = open.get(network) ?? { count: 0, told: false }
      if (most > 0 && own.count >= most) {
        const again = own.told
        own.told = true
        return again ? 'refused-again' : 'refused'
      }
      own.count++
      open.set(network, own)
      socket.once('close', () => {
        if (--own.count === 0) open.delete(network)
      })
      return 'admitted'
    },
    reload,
  }
}
