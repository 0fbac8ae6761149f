/** TLS of the listener: certificates by server name, tickets, and what a handshake said. */
import { constants, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls'
import type { Certificate } from '../config/route-model.ts'
import type { ConnectionFacts } from '../http/request.ts'

export interface TlsSettings {
  /** Shown for every name without a context of its own; without it such a handshake fails. */
  readonly certificate?: Certificate | undefined
  /** Certificates by server name (RFC 6066 §3), in lower case. */
  readonly contextOf?: ((host: string) => SecureContext | undefined) | undefined
  /** For ALPN (RFC 7301), the best first. A client that offers others alone is refused. */
  readonly protocols: readonly string[]
}

export interface TlsHandshakes {
  /** Begins the handshake on a connection of which nothing was taken. */
  begin(socket: Socket, done: (secure: TLSSocket) => void): void
  /** For handshakes that begin from now on. Throws for a certificate that cannot be used; then nothing has changed. */
  reload(settings: TlsSettings): void
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
const TICKET_KEYS = 48

export function createHandshakes(first: TlsSettings): TlsHandshakes {
  let ticketKeys: Buffer = randomBytes(TICKET_KEYS)
  /** By the address and port of the client, which the secure socket tells, too. */
  const waiting = new Map<string, (secure: TLSSocket) => void>()

  /** It never listens: it is given connections. So everything of it can be replaced while running. */
  function open({ certificate, contextOf, protocols }: TlsSettings): Server {
    const server = createServer({
      ...(certificate && { cert: certificate.chain, key: certificate.key.reveal() }),
      ...(contextOf && {
        SNICallback: (name: string, answer: (error: null, context?: SecureContext) => void) =>
          answer(null, contextOf(name.toLowerCase())),
      }),
      ALPNProtocols: [...protocols],
      minVersion: 'TLSv1.2',
      ciphers: CIPHERS,
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION,
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
    reload(settings) {
      server = open(settings)
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

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress} ${remotePort}`
}
