import type { NetConnectOpts } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import type { Deadlines } from '../lib/deadlines.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Monotonic, Span } from '../types.ts'
import type { UpstreamConnection } from './connection.ts'
import { lateUpstream } from './failure.ts'

/** TCP's own; the first after a minute of silence. */
const PROBING = 60_000

export interface TlsHandshakeParts extends Pick<UpstreamConnection, 'target' | 'connectTimeout'> {
  /** For people. */
  readonly origin: string
  readonly tls: ConnectionOptions
  readonly clock: Clock
  readonly deadlines: Deadlines
}

/** How long an upstream goes on before its certificate is looked at again: it may have expired meanwhile. */
const SESSION_AGE: Span = 3_600_000

interface Session {
  readonly bytes: Buffer
  /** When its certificate was verified. */
  readonly verifiedAt: Monotonic
}

/**
 * The last session of each upstream, with which the next handshake is short (RFC 8446 §2.2). `refused`: an offer of one
 * failed the handshake, as servers do that ask for certificates and have no session_id_context (OpenSSL); none is offered again.
 */
const sessions = new WeakMap<ConnectionOptions, Session | 'refused'>()

/**
 * @param parts `clock` is absent for a connection alone, which keeps no session.
 * @param offered protocols (ALPN, RFC 7301), the best first.
 */
export function connectTls(
  { target, tls, clock }: Pick<TlsHandshakeParts, 'target' | 'tls'> & Partial<Pick<TlsHandshakeParts, 'clock'>>,
  offered: readonly string[],
): TLSSocket {
  const options: NetConnectOpts = { ...target, noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBING }
  const session = clock && sessionOf(tls, clock)
  const socket = connect({
    ...options,
    ...tls,
    ...(session && { session: session.bytes }),
    ALPNProtocols: [...offered],
  })
  let secured = false
  // Not before: nobody looks at the name again when a session goes on.
  socket.once('secureConnect', () => {
    secured = true
    if (!clock) return
    const verifiedAt = session && socket.isSessionReused() ? session.verifiedAt : clock.monotonic()
    const keep = (bytes: Buffer | undefined): void =>
      void (bytes && sessions.get(tls) !== 'refused' && sessions.set(tls, { bytes, verifiedAt }))
    keep(socket.getSession())
    socket.on('session', keep)
  })
  socket.once('error', (error: NodeJS.ErrnoException) => {
    if (session && !secured && error.code?.startsWith('ERR_SSL_')) sessions.set(tls, 'refused')
    // Of another certificate, perhaps, that was shown in a second handshake (RFC 5246 §7.4.1.1) and was none for us.
    else if (sessions.get(tls) !== 'refused') sessions.delete(tls)
    // Node does so only before the handshake is done.
    socket.destroy()
  })
  return socket
}

function sessionOf(tls: ConnectionOptions, clock: Clock): Session | undefined {
  const known = sessions.get(tls)
  if (known === undefined || known === 'refused') return undefined
  return elapsed(clock.monotonic(), known.verifiedAt) < SESSION_AGE ? known : undefined
}

/** The other end hung up in the middle of it. */
class HandshakeEnded extends Error {
  readonly code = 'ECONNRESET'

  constructor() {
    super('other side closed')
  }
}

/**
 * Connects and offers both protocols. `done` runs once: with a socket, of which nothing has been read and
 * whose `alpnProtocol` says what the upstream has chosen, or with an error. Gives a function that ends it.
 */
export function shakeHands(
  parts: TlsHandshakeParts,
  done: (result: TLSSocket | Error) => void,
): (error: Error) => void {
  const { origin, connectTimeout, deadlines } = parts
  const socket = connectTls(parts, ['h2', 'http/1.1'])
  const deadline = deadlines.start(connectTimeout, () =>
    end(lateUpstream(origin, 'no connection', { span: connectTimeout, key: 'upstream_connect_timeout' })),
  )
  let over = false
  const finish = (result: TLSSocket | Error): void => {
    if (over) return
    over = true
    deadline.stop()
    socket.off('close', closed).off('secureConnect', secured)
    done(result)
  }
  const closed = (): void => finish(new HandshakeEnded())
  const secured = (): void => finish(socket)
  // It stays: whoever gets the socket hears of an end by `close`.
  socket.on('error', finish).on('close', closed).on('secureConnect', secured)
  function end(error: Error): void {
    finish(error)
    socket.destroy()
  }
  return end
}
