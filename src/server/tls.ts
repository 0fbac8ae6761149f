/** TLS of the listener: certificates by server name, tickets, and what a handshake said. */
import { constants, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls'
import type { Certificate } from '../config/route-model.ts'
import { createCertificateTable, type HeldCertificates } from '../routing/certificates.ts'
import type { ConnectionFacts } from '../http/request.ts'

export interface TlsSettings extends HeldCertificates {
  /** Of hosts that no other certificate covers; the same object while it is in force. */
  readonly ordered?: ((host: string) => Certificate | undefined) | undefined
  /** For ALPN (RFC 7301), the best first. A client that offers others alone is refused. */
  readonly protocols: readonly string[]
}

export interface TlsHandshakes {
  /** Begins the handshake on a connection of which nothing was taken. */
  begin(socket: Socket, done: (secure: TLSSocket) => void): void
  /** Throws for a certificate that cannot be used. The returned function puts it into force, for handshakes that begin later. */
  prepare(settings: TlsSettings): () => void
  /** Of 48 bytes; random ones unless given. Tickets of the keys before open nothing any more. */
  setTicketKeys(keys?: Buffer): void
}

/** Of RFC 9325 §4.2, so that none of them is forbidden in HTTP/2 (RFC 9113, appendix A). */
const CIPHERS = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
].join(':')
const CONTEXT = { minVersion: 'TLSv1.2', ciphers: CIPHERS, secureOptions: constants.SSL_OP_NO_RENEGOTIATION } as const
const TICKET_KEYS = 48

export function createHandshakes(first: TlsSettings): TlsHandshakes {
  let ticketKeys: Buffer = randomBytes(TICKET_KEYS)
  /** By the address and port of the client, which the secure socket tells, too. */
  const waiting = new Map<string, (secure: TLSSocket) => void>()

  /** It never listens: it is given connections. So everything of it can be replaced while running. */
  function open({ ordered, protocols, ...held }: TlsSettings): Server {
    const { certificate, certificates } = held
    const table = createCertificateTable(held)
    const made = new WeakMap<Certificate, SecureContext>()
    const contextOf = (pair: Certificate): SecureContext => {
      let context = made.get(pair)
      if (!context) made.set(pair, (context = createSecureContext({ ...CONTEXT, ...pemOf(pair) })))
      return context
    }
    // Now, so that one that cannot be used is refused here.
    for (const pair of certificates) contextOf(pair)
    const first = certificate ?? certificates[0]
    const server = createServer({
      ALPNProtocols: [...protocols],
      ...CONTEXT,
      ...(first && pemOf(first)),
      SNICallback(name: string, answer: (error: null, context?: SecureContext) => void) {
        const host = name.toLowerCase()
        const pair = table.find(host) ?? ordered?.(host)
        // Without one the first is shown; without that, too, the handshake fails.
        answer(null, pair && contextOf(pair))
      },
      ticketKeys,
    })
    server.on('secureConnection', (secure) => {
      const key = peerOf(secure)
      const done = waiting.get(key)
      waiting.delete(key)
      // Without one the client has gone already.
      if (done) done(secure)
      else secure.destroy()
    })
    server.on('tlsClientError', (_error, secure) => secure.destroy())
    return server
  }

  let server = open(first)
  return {
    begin(socket, done) {
      const key = peerOf(socket)
      waiting.set(key, done)
      socket.once('close', () => waiting.get(key) === done && waiting.delete(key))
      server.emit('connection', socket)
    },
    prepare(settings) {
      const next = open(settings)
      return () => {
        next.setTicketKeys(ticketKeys)
        server = next
      }
    },
    setTicketKeys(keys = randomBytes(TICKET_KEYS)) {
      server.setTicketKeys(keys)
      ticketKeys = keys
    },
  }
}

export function handshakeFacts({ servername }: TLSSocket): ConnectionFacts {
  return Object.freeze(
    typeof servername === 'string' && servername !== '' ? { serverName: servername.toLowerCase() } : {},
  )
}

function pemOf({ chain, key }: Certificate): { readonly cert: string; readonly key: string } {
  return { cert: chain, key: key.reveal() }
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
