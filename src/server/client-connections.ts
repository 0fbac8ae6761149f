import type { Socket } from 'node:net'
import type { Live } from '../config/model.ts'
import { networkOf } from '../lib/client-network.ts'
import { compileTrust, isTrustedPeer } from '../routing/trust.ts'

export type ConnectionLimit = Pick<Live, 'maxConnectionsPerClient' | 'trustedProxies' | 'xffNumTrustedHops'>

export const NO_LIMIT: ConnectionLimit = { maxConnectionsPerClient: 0, trustedProxies: [], xffNumTrustedHops: 0 }

/** How many connections each client has (`max_connections_per_client`); behind a trusted proxy are many clients. */
export interface ClientConnections {
  /** false: it has as many as it may have. Otherwise this one counts until it closes. */
  admit(socket: Socket, client: string): boolean
  /** Counts for connections that come from now on. */
  reload(limit: Partial<ConnectionLimit>): void
}

export function createClientConnections(limit: ConnectionLimit): ClientConnections {
  const open = new Map<string, number>()
  let most = 0
  let trust = compileTrust({ proxies: [], hops: 0 })
  const reload = (next: Partial<ConnectionLimit>): void => {
    const { maxConnectionsPerClient, trustedProxies, xffNumTrustedHops } = { ...NO_LIMIT, ...next }
    most = maxConnectionsPerClient
    trust = compileTrust({ proxies: trustedProxies, hops: xffNumTrustedHops })
  }
  reload(limit)

  function leave(network: string): void {
    const left = (open.get(network) ?? 0) - 1
    if (left > 0) open.set(network, left)
    else open.delete(network)
  }

  return {
    admit(socket, client) {
      if (isTrustedPeer(client, trust)) return true
      const network = networkOf(client)
      const count = open.get(network) ?? 0
      if (most > 0 && count >= most) return false
      open.set(network, count + 1)
      socket.once('close', () => leave(network))
      return true
    },
    reload,
  }
}
