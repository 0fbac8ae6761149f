/** The seam between the listener and the codecs of HTTP. Types only. */
import type { Socket } from 'node:net'
import type { Live } from '../config/model.ts'
import type { BadRequest, Exchange, Reply } from '../http/exchange.ts'
import type { ConnectionFacts } from '../http/request.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import type { Clock, Monotonic } from '../types.ts'

export type Timeouts = Pick<
  Live,
  'timeoutRead' | 'timeoutIdle' | 'clientBodyTimeout' | 'clientBodyMinRate' | 'clientWriteTimeout' | 'tunnelIdleTimeout'
>

/** A connection whose first HTTP byte may come: PROXY header and TLS handshake lie behind it. */
export interface Connection {
  /** Nobody reads it yet. Of TCP, or a `TLSSocket`. */
  readonly socket: Socket
  /** Address of the client, canonical; `''`: it is gone. */
  readonly peer: string
  readonly encrypted: boolean
  readonly protocol: 'http/1.1' | 'h2'
  /** The same object for every request of the connection: `RequestHead.connection`. Absent: no TLS. */
  readonly facts: ConnectionFacts | undefined
  /** Resets what carries it, below TLS: nothing then looks like an orderly end. */
  reset(): void
}

/** Makes exchanges of connections. */
export interface Codec {
  accept(connection: Connection): void
  /** From now on. */
  reload(timeouts: Timeouts): void
  /** From now on every answer asks its client to reconnect. */
  drain(): void
  /** Cuts clients that read nothing, idle connections, and tunnels in which nothing is said. Called several times within the shortest time-out. */
  sweep(now: Monotonic): void
  /** Ends connections on which nothing is under way. */
  endIdle(): void
}

export interface CodecParts {
  readonly timeouts: Timeouts
  readonly deadlines: Deadlines
  readonly clock: Clock
  readonly run: (exchange: Exchange) => void
  /** Logs what never became an exchange, and gives the answer for a person; programs get the status alone. */
  readonly refused: (refusal: Refusal) => Reply | undefined
}

export type Refusal = Pick<BadRequest, 'status' | 'detail' | 'clientIp' | 'wants' | 'asked'>
