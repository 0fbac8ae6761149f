/** The listener: sockets, what comes before HTTP (TLS), and their end. A codec makes exchanges of each connection. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import type { SecureContext, TLSSocket } from 'node:tls'
import { every } from '../lib/clock.ts'
import { createDeadlines } from '../lib/deadlines.ts'
import { canonicalAddress } from '../routing/address.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Clock, Logger, Span } from '../types.ts'
import type { Address, Live } from '../config/model.ts'
import type { Certificate } from '../config/route-model.ts'
import { bind } from './bind.ts'
import type { CodecParts, Timeouts } from './codec.ts'
import { createH1 } from './h1.ts'
import { createHandshakes, handshakeFacts } from './tls.ts'

export type { Refusal, Timeouts } from './codec.ts'

export interface ListenDeps extends Pick<CodecParts, 'refused'> {
  readonly listen: Address
  /** Plain HTTP without it and without `contextOf`. */
  readonly certificate?: Certificate | undefined
  /** Certificates by server name (RFC 6066 §3), before `certificate`. Absent: that one alone. */
  readonly contextOf?: ((host: string) => SecureContext | undefined) | undefined
  readonly timeouts: Timeouts
  readonly clock: Clock
  readonly logger: Pick<Logger, 'error'>
  /** Never rejects: its one catch is inside. */
  readonly handle: (exchange: Exchange) => Promise<void>
}

export interface Listener {
  readonly address: AddressInfo
  /** Exchanges that have begun and not ended. */
  active(): number
  /** Time-outs, and the certificate of connections, from now on. */
  reload(next: Timeouts & Pick<Live, 'certificate'>): void
  /** 48 bytes (RFC 5077 §4) that seal session tickets from now on, instead of random ones of our own. Processes that share them resume one another's sessions. */
  setTicketKeys(keys: Buffer): void
  /** From now on every answer asks its client to connect anew, so that few connections are kept when `stop` comes. */
  drain(): void
  /** Stops accepting; idle connections end now, busy ones after their exchange. */
  stop(): Promise<void>
  /** Ends every connection at once. */
  destroy(): void
}

const IDLE_CHECK: Span = 100
/** Whoever learns the keys of tickets reads what was said under them: they are in use for so long. */
const TICKET_KEYS_LIFE: Span = 12 * 3_600_000
/** Looks at a connection within the shortest time-out. */
const SWEEPS = 4

export async function listen(deps: ListenDeps): Promise<Listener> {
  const { listen: where, certificate, contextOf, clock, refused } = deps
  let { timeouts } = deps
  let shown = certificate
  const handshakes = certificate || contextOf ? createHandshakes({ certificate, contextOf }) : undefined
  const deadlines = createDeadlines(clock)
  let active = 0
  const ended = (): void => void active--
  const run = (exchange: Exchange): void => {
    active++
    void deps.handle(exchange).then(ended)
  }
  const codec = createH1({ timeouts, deadlines, clock, run, refused })
  /** Of TCP. */
  const sockets = new Set<Socket>()

  // TLS ends in both directions at once.
  const server = createServer({ allowHalfOpen: handshakes === undefined, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    if (!handshakes) return ready(socket, socket)
    const deadline = deadlines.start(timeouts.timeoutRead, () => socket.destroy())
    socket.once('close', () => deadline.stop())
    handshakes.begin(socket, (secure) => {
      deadline.stop()
      ready(socket, secure)
    })
  })

  function ready(below: Socket, socket: Socket | TLSSocket): void {
    const { remoteAddress } = below
    const encrypted = 'encrypted' in socket
    codec.accept({
      socket,
      peer: remoteAddress === undefined ? undefined : (canonicalAddress(remoteAddress) ?? remoteAddress),
      encrypted,
      protocol: 'http/1.1',
      facts: encrypted ? handshakeFacts(socket) : undefined,
      reset: () => void below.resetAndDestroy(),
    })
  }

  await bind(server, where, 'address')
  // A connection that cannot be accepted (no more file descriptors) is no reason to end.
  server.on('error', (error) => deps.logger.error({ cause: error.message }, 'the listener reports an error'))
  let stopSweeping = sweep()
  const stopRotating = handshakes ? every(clock, TICKET_KEYS_LIFE, () => handshakes.setTicketKeys()) : () => {}

  function sweep(): () => void {
    const shortest = Math.min(
      ...[timeouts.clientWriteTimeout, timeouts.tunnelIdleTimeout, timeouts.timeoutIdle].filter((span) => span > 0),
    )
    if (!Number.isFinite(shortest)) return () => {}
    return every(clock, Math.ceil(shortest / SWEEPS), () => codec.sweep(clock.monotonic()))
  }

  return {
    address: server.address() as AddressInfo,
    stop: () =>
      new Promise((resolve) => {
        codec.drain()
        // A connection whose answer began before the drain is kept by its client: end it as soon as it is idle.
        const stopEnding = every(clock, IDLE_CHECK, () => codec.endIdle())
        server.close(() => {
          stopEnding()
          stopSweeping()
          stopRotating()
          deadlines.close()
          resolve()
        })
        codec.endIdle()
      }),
    active: () => active,
    drain: () => codec.drain(),
    reload(next) {
      // First, because it may refuse the certificate: then nothing has changed.
      handshakes?.reload({ certificate: next.certificate ?? shown, contextOf })
      shown = next.certificate ?? shown
      timeouts = next
      codec.reload(next)
      stopSweeping()
      stopSweeping = sweep()
    },
    setTicketKeys(keys) {
      stopRotating()
      handshakes?.setTicketKeys(keys)
    },
    destroy() {
      for (const socket of sockets) socket.destroy()
    },
  }
}
