/** The listener: sockets, what comes before HTTP (TLS), and their end. A codec makes exchanges of each connection. */
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { every } from '../lib/clock.ts'
import { createDeadlines } from '../lib/deadlines.ts'
import { canonicalAddress } from '../routing/address.ts'
import { compileTrust } from '../routing/trust.ts'
import type { Exchange } from '../http/exchange.ts'
import type { Clock, Logger, Span } from '../types.ts'
import type { Address, Live } from '../config/model.ts'
import { type Arrival, begin } from './before-http.ts'
import { bind } from './bind.ts'
import {
  type ClientConnections,
  type ConnectionLimit,
  createClientConnections,
  NO_LIMIT,
} from './client-connections.ts'
import type { Codec, CodecParts, Connection, Timeouts } from './codec.ts'
import { createH1 } from './h1.ts'
import { createH2 } from './h2.ts'
import { endSoon } from './linger.ts'
import { createHandshakes, type TlsSettings } from './tls.ts'

export type { Refusal, Timeouts } from './codec.ts'

export interface ListenDeps extends Pick<CodecParts, 'refused'> {
  readonly listen: Address
  /** Absent: plain HTTP. */
  readonly tls?: Omit<TlsSettings, 'protocols'> | undefined
  /** Every connection begins with a PROXY header (`use_proxy_protocol`), and comes from one of `trustedProxies`. */
  readonly proxyProtocol?: boolean
  readonly trustedProxies?: readonly string[]
  /** The count of connections per client, shared with other listeners under the same limit. Absent: there is no limit. */
  readonly connections?: ClientConnections
  readonly timeouts: Timeouts
  /** Absent: `auto`. */
  readonly codecType?: Live['codecType']
  readonly clock: Clock
  readonly logger: Pick<Logger, 'error'>
  /** Never rejects: its one catch is inside. */
  readonly handle: (exchange: Exchange) => Promise<void>
}

export interface Listener {
  readonly address: AddressInfo
  /** Number of exchanges under way. */
  active(): number
  /** Throws for a certificate that cannot be used. The returned function puts it, time-outs, protocols and balancers into force. */
  prepare(
    next: Timeouts &
      Pick<Live, 'certificate' | 'certificates' | 'downstreamMtls' | 'trustedProxies'> &
      Partial<Pick<Live, 'codecType'> & ConnectionLimit>,
  ): () => void
  /** 48 bytes (RFC 5077 §4) that seal session tickets from now on, instead of random ones of our own. Processes that share them resume one another's sessions. */
  setTicketKeys(keys: Buffer): void
  /** From now on every answer asks its client to reconnect, so that few connections are left when `stop` comes. */
  drain(): void
  /** Stops accepting; idle connections end now, busy ones after their exchange. */
  stop(): Promise<void>
  /** Ends every connection at once. */
  destroy(): void
}

const IDLE_CHECK: Span = 100
/** How long the keys of session tickets are in use: whoever learns them can read what was sent under them. */
const TICKET_KEYS_LIFE: Span = 12 * 3_600_000
/** How many times connections are looked at within the shortest time-out. */
const SWEEPS = 4

/** For ALPN (RFC 7301), the best first. */
const PROTOCOLS: Readonly<Record<Live['codecType'], readonly string[]>> = {
  auto: ['h2', 'http/1.1'],
  http1: ['http/1.1'],
  http2: ['h2'],
}

export async function listen(deps: ListenDeps): Promise<Listener> {
  const { listen: where, tls, connections = createClientConnections(NO_LIMIT), clock, refused } = deps
  let { timeouts, codecType = 'auto' } = deps
  const handshakes = tls && createHandshakes({ ...tls, protocols: PROTOCOLS[codecType] })
  const deadlines = createDeadlines(clock)
  let active = 0
  const ended = (): void => void active--
  const run = (exchange: Exchange): void => {
    active++
    void deps.handle(exchange).then(ended)
  }
  const parts = { timeouts, deadlines, clock, run, refused }
  const codecs: Readonly<Record<Connection['protocol'], Codec>> = { 'http/1.1': createH1(parts), h2: createH2(parts) }
  const each = (does: (codec: Codec) => void): void => Object.values(codecs).forEach(does)
  /** Of TCP. */
  const sockets = new Set<Socket>()

  const balancersOf = (proxies: readonly string[]) =>
    deps.proxyProtocol ? compileTrust({ proxies, hops: 0 }) : undefined
  let asked = tls?.downstreamMtls?.version
  let balancers = balancersOf(deps.trustedProxies ?? [])

  // TLS ends in both directions at once.
  const server = createServer({ allowHalfOpen: handshakes === undefined, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    const { remoteAddress } = socket
    // Reset before it was accepted, as balancers do that only knock.
    if (remoteAddress === undefined) {
      socket.destroy()
      return
    }
    const peer = canonicalAddress(remoteAddress) ?? remoteAddress
    // The PROXY header and the TLS handshake have a time limit, too.
    const deadline = deadlines.start(timeouts.timeoutRead, () => socket.destroy())
    socket.once('close', () => deadline.stop())
    begin(socket, peer, {
      handshakes,
      balancers: () => balancers,
      admit: (client) => connections.admit(socket, client),
      arrived(arrival) {
        deadline.stop()
        accept(socket, arrival)
      },
      stopped(detail, clientIp, plain) {
        deadline.stop()
        refused({ status: 400, detail, clientIp, wants: 'json', ...(plain && { asked: plain.asked }) })
        if (plain) endSoon(socket, plain.answer, deadlines)
        else socket.destroy()
      },
    })
  })

  function accept(below: Socket, { socket, peer, facts }: Arrival): void {
    const protocol = protocolOf('alpnProtocol' in socket ? socket.alpnProtocol : undefined, codecType)
    codecs[protocol].accept({
      socket,
      peer,
      encrypted: facts !== undefined,
      protocol,
      facts,
      reset: () => void below.resetAndDestroy(),
    })
  }

  await bind(server, where, 'address')
  // A connection that cannot be accepted (no more file descriptors) is no reason to end.
  server.on('error', (error) =>
    deps.logger.error({ error: 'ERR_LISTEN', error_message: error.message }, 'the listener reports an error'),
  )
  let stopSweeping = sweep()
  const stopRotating = handshakes ? every(clock, TICKET_KEYS_LIFE, () => handshakes.setTicketKeys()) : () => {}

  function sweep(): () => void {
    const shortest = Math.min(
      ...[timeouts.clientWriteTimeout, timeouts.tunnelIdleTimeout, timeouts.timeoutIdle].filter((span) => span > 0),
    )
    if (!Number.isFinite(shortest)) return () => {}
    return every(clock, Math.ceil(shortest / SWEEPS), () => each((codec) => codec.sweep(clock.monotonic())))
  }

  return {
    address: server.address() as AddressInfo,
    stop: () =>
      new Promise((resolve) => {
        each((codec) => codec.drain())
        // A connection whose answer began before the drain is kept by its client: end it as soon as it is idle.
        const stopEnding = every(clock, IDLE_CHECK, () => each((codec) => codec.endIdle()))
        server.close(() => {
          stopEnding()
          stopSweeping()
          stopRotating()
          deadlines.close()
          resolve()
        })
        each((codec) => codec.endIdle())
      }),
    active: () => active,
    drain: () => each((codec) => codec.drain()),
    prepare(next) {
      const { certificate, certificates, downstreamMtls } = next
      const nextType = next.codecType ?? codecType
      // Without any certificate it would have to speak plain HTTP, which needs a restart.
      const show =
        certificate || certificates.length > 0 || tls?.ordered
          ? handshakes?.prepare({
              ordered: tls?.ordered,
              certificate,
              certificates,
              downstreamMtls,
              protocols: PROTOCOLS[nextType],
            })
          : undefined
      return () => {
        show?.()
        // Clients that are connected were asked for another certificate, or for none, and have to reconnect.
        if (downstreamMtls?.version !== asked) each((codec) => codec.endIdle())
        asked = downstreamMtls?.version
        timeouts = next
        codecType = nextType
        each((codec) => codec.reload(next))
        balancers = balancersOf(next.trustedProxies)
        connections.reload(next)
        stopSweeping()
        stopSweeping = sweep()
      }
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

/** Without ALPN: HTTP/1.1, unless only HTTP/2 is spoken. */
function protocolOf(alpn: string | false | undefined | null, codecType: Live['codecType']): Connection['protocol'] {
  return alpn === 'h2' || (codecType === 'http2' && !alpn) ? 'h2' : 'http/1.1'
}
