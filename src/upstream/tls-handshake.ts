import type { NetConnectOpts } from 'node:net'
import { connect, type ConnectionOptions, type TLSSocket } from 'node:tls'
import { lateUpstream } from './failure.ts'
import type { H1ConnectionParts } from './h1-connection.ts'

/** TCP's own; the first after a minute of silence. */
const PROBING = 60_000

export interface TlsHandshakeParts extends H1ConnectionParts {
  readonly tls: ConnectionOptions
}

/** @param offered protocols (ALPN, RFC 7301), the best first. */
export function connectTls(
  { target, tls }: Pick<TlsHandshakeParts, 'target' | 'tls'>,
  offered: readonly string[],
): TLSSocket {
  const options: NetConnectOpts = { ...target, noDelay: true, keepAlive: true, keepAliveInitialDelay: PROBING }
  return connect({ ...options, ...tls, ALPNProtocols: [...offered] })
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
