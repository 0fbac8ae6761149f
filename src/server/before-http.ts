/** What lies before HTTP on a new connection: the balancer's PROXY header, and the TLS handshake. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type CompiledTrust, isTrustedPeer } from '../routing/trust.ts'
import { onFirstBytes } from './first-bytes.ts'
import { readProxyHeader } from './proxy-protocol.ts'
import type { TlsHandshakes } from './tls.ts'

export interface Arrival {
  /** Of TCP, or a `TLSSocket`; nobody has read it. */
  readonly socket: Socket | TLSSocket
  /** The client's, as far as it is known. */
  readonly peer: string
}

export type Obstacle = 'no-proxy-header' | 'untrusted-proxy' | 'plain-http' | 'no-tls'

export interface BeforeHttp {
  /** Absent: plain HTTP. */
  readonly handshakes: TlsHandshakes | undefined
  /** Who must begin with a PROXY header (`use_proxy_protocol`), and nobody else may connect. Absent: nobody. */
  readonly balancers: () => CompiledTrust | undefined
  readonly arrived: (arrival: Arrival) => void
  /** Nothing can be made of the connection; `peer` is the best that is known. */
  readonly stopped: (obstacle: Obstacle, peer: string) => void
}

/** First byte of a TLS record that holds a handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 22

/** @param peer canonical address of the other end. */
export function begin(socket: Socket, peer: string, parts: BeforeHttp): void {
  const balancers = parts.balancers()
  if (!balancers) return secure(socket, peer, parts)
  if (!isTrustedPeer(peer, balancers)) return parts.stopped('untrusted-proxy', peer)
  let source: string | undefined
  return onFirstBytes(
    socket,
    (bytes) => {
      const header = readProxyHeader(bytes)
      if (header.kind === 'invalid') parts.stopped('no-proxy-header', peer)
      if (header.kind !== 'header') return undefined
      source = header.source
      return header.length
    },
    () => secure(socket, source ?? peer, parts),
  )
}

function secure(socket: Socket, peer: string, { handshakes, arrived, stopped }: BeforeHttp): void {
  if (!handshakes) return arrived({ socket, peer })
  let first: number | undefined
  return onFirstBytes(
    socket,
    (bytes) => {
      first = bytes[0]
      return 0
    },
    () => {
      if (first === TLS_HANDSHAKE) return handshakes.begin(socket, (over) => arrived({ socket: over, peer }))
      // The names of methods begin with a letter.
      return stopped(first !== undefined && first >= 0x41 && first <= 0x5a ? 'plain-http' : 'no-tls', peer)
    },
  )
}
