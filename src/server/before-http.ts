/** What lies before HTTP on a new connection: the balancer's PROXY header, and the TLS handshake. */
import type { Socket } from 'node:net'
import type { TLSSocket } from 'node:tls'
import { type Asked, askedIn } from '../http/asked.ts'
import type { ConnectionFacts } from '../http/request.ts'
import { type CompiledTrust, isTrustedPeer } from '../routing/trust.ts'
import type { Admission } from './client-connections.ts'
import { onFirstBytes } from './first-bytes.ts'
import { readProxyHeader } from './proxy-protocol.ts'
import type { TlsHandshakes } from './tls.ts'

export interface Arrival {
  /** Of TCP, or a `TLSSocket`; nobody has read it. */
  readonly socket: Socket | TLSSocket
  /** The client's, as far as it is known. */
  readonly peer: string
  /** Absent: no TLS. */
  readonly facts?: ConnectionFacts
}

export interface BeforeHttp {
  /** Absent: plain HTTP. */
  readonly handshakes: TlsHandshakes | undefined
  /** Who must begin with a PROXY header (`use_proxy_protocol`), and nobody else may connect. Absent: nobody. */
  readonly balancers: () => CompiledTrust | undefined
  /** May this client have one more connection? */
  readonly admit: (peer: string) => Admission
  readonly arrived: (arrival: Arrival) => void
  /** Nothing can be made of the connection; `peer` is the best that is known. `plain`: what was asked, and what may be said to it. */
  readonly stopped: (detail: string, peer: string, plain?: { readonly asked: Asked; readonly answer: string }) => void
}

const NO_PROXY_HEADER = 'use_proxy_protocol is on, and the connection does not begin with a PROXY header'
const UNTRUSTED_PROXY = 'use_proxy_protocol is on, and trusted_proxies does not name the peer'
const TOO_MANY = 'more connections of one client than max_connections_per_client'
const WITHOUT_TLS = 'This port speaks HTTPS: the address begins with https://\n'
const BAD_REQUEST = `HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\nconnection: close\r\ncontent-length: ${WITHOUT_TLS.length}\r\n\r\n${WITHOUT_TLS}`

/** First byte of a TLS record that holds a handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 22

/** @param peer canonical address of the other end. */
export function begin(socket: Socket, peer: string, parts: BeforeHttp): void {
  const balancers = parts.balancers()
  if (!balancers) return secure(socket, peer, parts)
  if (!isTrustedPeer(peer, balancers)) return parts.stopped(UNTRUSTED_PROXY, peer)
  let source: string | undefined
  return onFirstBytes(
    socket,
    (bytes) => {
      const header = readProxyHeader(bytes)
      if (header.kind === 'invalid') parts.stopped(NO_PROXY_HEADER, peer)
      if (header.kind !== 'header') return undefined
      source = header.source
      return header.length
    },
    () => secure(socket, source ?? peer, parts),
  )
}

function secure(socket: Socket, peer: string, { handshakes, admit, arrived, stopped }: BeforeHttp): void {
  const admission = admit(peer)
  if (admission === 'refused') return stopped(TOO_MANY, peer)
  if (admission === 'refused-again') return void socket.destroy()
  if (!handshakes) return arrived({ socket, peer })
  let begin: Buffer | undefined
  return onFirstBytes(
    socket,
    (bytes) => {
      begin = bytes
      return 0
    },
    () => {
      const first = begin?.[0]
      if (first === TLS_HANDSHAKE) {
        return handshakes.begin(socket, (over) =>
          over.kind === 'secure'
            ? arrived({ socket: over.socket, peer, facts: over.facts })
            : stopped(over.detail, peer),
        )
      }
      // The names of methods begin with a letter; everything else expects something else than HTTP.
      const isHttp = first !== undefined && first >= 0x41 && first <= 0x5a
      return isHttp
        ? stopped('plain HTTP on the port of HTTPS', peer, {
            asked: askedIn(begin?.toString('latin1') ?? ''),
            answer: BAD_REQUEST,
          })
        : stopped('neither TLS nor HTTP', peer)
    },
  )
}
