/** What a tunnel is made of, whatever carries it to the upstream. */
import { createHash } from 'node:crypto'
import type { Forward } from '../config/route-model.ts'
import type { Exchange } from '../http/exchange.ts'
import { headerLines, listOf } from '../http/header-lines.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import type { Grant } from '../policy/verdict.ts'
import type { Clock, Limit, Span } from '../types.ts'
import type { HeaderContext, UpstreamHead } from './headers.ts'
import type { Lease } from './lease.ts'

export const WEBSOCKET = 'websocket'
/** When one side has ended, the other gets this long to take what is still on its way. */
export const LINGER: Span = 10_000
/** A handshake ends even on a route without a timeout. */
const HANDSHAKE: Limit = { span: 30_000, key: 'fixed where timeout is 0' }

export interface TunnelParts {
  readonly grant: Grant<Forward>
  readonly exchange: Exchange
  readonly lease: Lease
  /** With the query: what is asked of the upstream. */
  readonly path: string
  readonly head: UpstreamHead
  /** What both sides change to: `websocket`, or another protocol as the client wrote it. */
  readonly protocol: string
  readonly context: HeaderContext
  readonly deadlines: Deadlines
  readonly clock: Clock
  /** Functions that end a tunnel. */
  readonly tunnels: Set<() => void>
}

/** The longest that the upstream may take to answer. */
export function handshakeLimit({ route }: Grant<Forward>): Limit {
  const { response } = route.action.timeouts
  return response.span > 0 ? response : HANDSHAKE
}

/** `Sec-WebSocket-Accept` of this handshake (RFC 6455 §4.2.2). */
export function acceptOf(head: UpstreamHead): string {
  const key = headerLines(listOf(head.headers)).first('sec-websocket-key') ?? ''
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
}
