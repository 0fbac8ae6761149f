/** TLS of the listener: certificates by server name, tickets, and what a handshake said. */
import { constants, randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { createSecureContext, createServer, type SecureContext, type Server, type TLSSocket } from 'node:tls'
import type { DownstreamMtls } from '../config/model.ts'
import type { Certificate } from '../config/route-model.ts'
import { type ClientCertificates, createClientCertificates } from './client-certificate.ts'
import { createCertificateTable, type HeldCertificates } from '../routing/certificates.ts'
import type { ConnectionFacts } from '../http/request.ts'

export interface TlsSettings extends HeldCertificates {
  /** Of hosts that no other certificate covers; the same object while it is in force. */
  readonly ordered?: ((host: string) => Certificate | undefined) | undefined
  /** Absent: nobody is asked for a certificate. */
  readonly downstreamMtls?: DownstreamMtls | undefined
  /** For ALPN (RFC 7301), the best first. A client that offers others alone is refused. */
  readonly protocols: readonly string[]
}

export type Handshake =
  | { readonly kind: 'secure'; readonly socket: TLSSocket; readonly facts: ConnectionFacts }
  /** `reject_connection`: the handshake is refused. */
  | { readonly kind: 'rejected'; readonly detail: string }

export interface TlsHandshakes {
  /** Begins the handshake on a connection of which nothing was taken. */
  begin(socket: Socket, done: (handshake: Handshake) => void): void
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
  /** By the addresses and ports of both ends, which the secure socket tells, too. A client may use one port for two addresses. */
  const waiting = new Map<string, (handshake: Handshake) => void>()

  /** It never listens: it is given connections. So everything of it can be replaced while running. */
  function open({ certificate, certificates, ordered, downstreamMtls, protocols }: TlsSettings): Server {
    const table = createCertificateTable({ certificate, certificates })
    const base = downstreamMtls ? { ...CONTEXT, ...withMtls(downstreamMtls) } : CONTEXT
    const made = new WeakMap<Certificate, SecureContext>()
    const contextOf = (pair: Certificate): SecureContext => {
      let context = made.get(pair)
      if (!context) made.set(pair, (context = createSecureContext({ ...base, ...pemOf(pair) })))
      return context
    }
    // Built now, so that a certificate that cannot be used is refused here.
    for (const pair of certificates) contextOf(pair)
    const read = downstreamMtls && createClientCertificates(downstreamMtls)
    const first = certificate ?? certificates[0]
    const server = createServer({
      ALPNProtocols: [...protocols],
      ...base,
      ...(first && pemOf(first)),
      requestCert: downstreamMtls !== undefined,
      // What it finds is judged with the rest.
      rejectUnauthorized: false,
      SNICallback(name: string, answer: (error: null, context?: SecureContext) => void) {
        const host = name.toLowerCase()
        const pair = table.find(host) ?? ordered?.(host)
        // Without one the first is shown; without that, too, the handshake fails.
        answer(null, pair && contextOf(pair))
      },
      ticketKeys,
    })
    server.on('secureConnection', (secure) => {
      const key = endsOf(secure)
      const done = waiting.get(key)
      waiting.delete(key)
      const handshake = done && conclude(secure, downstreamMtls, read)
      // Without one the client has gone already. Node 20 crashes when what carries it is destroyed first, here.
      if (handshake?.kind !== 'secure') secure.destroy()
      if (handshake) done(handshake)
    })
    server.on('tlsClientError', (_error, secure) => secure.destroy())
    return server
  }

  let server = open(first)
  return {
    begin(socket, done) {
      const key = endsOf(socket)
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

/** The same for every certificate that is shown: OpenSSL checks a client's by the context that it chose. No tickets: whoever resumes is not checked again. */
function withMtls({ ca, crls }: DownstreamMtls) {
  const secureOptions = CONTEXT.secureOptions | constants.SSL_OP_NO_TICKET
  return { ca, ...(crls.length > 0 && { crl: [...crls] }), secureOptions }
}

/** Total: what cannot be read is rejected. */
function conclude(
  socket: TLSSocket & { readonly servername?: string | false | null },
  downstreamMtls: DownstreamMtls | undefined,
  clients: ClientCertificates | undefined,
): Handshake {
  try {
    const { servername } = socket
    const certificate = clients?.read(socket)
    if (downstreamMtls?.enforcement === 'reject_connection') {
      const fault = certificate ? certificate.fault : 'none was shown'
      if (fault !== undefined) return { kind: 'rejected', detail: `client certificate: ${fault}` }
    }
    const facts: ConnectionFacts = Object.freeze({
      serverName: typeof servername === 'string' && servername !== '' ? servername.toLowerCase() : undefined,
      downstreamMtls: downstreamMtls?.version,
      certificate,
    })
    return { kind: 'secure', socket, facts }
  } catch {
    return { kind: 'rejected', detail: 'client certificate: it cannot be read' }
  }
}

function pemOf({ chain, key }: Certificate): { readonly cert: string; readonly key: string } {
  return { cert: chain, key: key.reveal() }
}

function endsOf({ remoteAddress, remotePort, localAddress, localPort }: Socket): string {
  return `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`
}
