/**
 * The way to upstreams: an allowed request gets its headers and an upstream, then it is transferred (transfer.ts) or becomes
 * a tunnel (tunnel.ts). Framing is always ours, so nothing that a client writes can be read as a second request.
 */
import { toAppError } from '../errors.ts'
import { isForwardGrant } from '../policy/engine.ts'
import { mayUpgrade } from '../policy/judge.ts'
import { createDeadlines } from '../lib/deadlines.ts'
import { canonicalAddress } from '../routing/address.ts'
import { rewrittenPath } from '../routing/rewrite.ts'
import type { KeyRings } from '../lib/key-ring.ts'
import type { Clock, Logger } from '../types.ts'
import type { Live } from '../config/model.ts'
import type { Forward } from '../config/route-model.ts'
import type { Exchange, Forwarder, ForwardOutcome, RequestHead } from '../http/exchange.ts'
import type { UpstreamState } from '../http/upstream-state.ts'
import type { Grant } from '../policy/verdict.ts'
import type { AssertionSigner } from './assertion.ts'
import { createHeaderContext, upstreamHeaders } from './headers.ts'
import { createIdentityHeaders } from './identity.ts'
import { createHopMarks } from './loop.ts'
import type { PoolSettings } from './pool.ts'
import { createPools } from './pools.ts'
import { clientClosed, Transfer } from './transfer.ts'
import { openTunnel, refuseWhatIsNoWebSocket } from './tunnel.ts'
import { WEBSOCKET } from './tunnel-parts.ts'

/** What one generation says about requests on their way. */
export interface ForwarderConfig {
  readonly config: PoolSettings & Pick<Live, 'naming' | 'identityHeaders' | 'strictTransportSecurity'>
  /** Every cookie of ours, whatever the scheme. */
  readonly cookieNames: readonly string[]
}

/** The forwarder of one generation. */
export interface GenerationForwarder extends Forwarder {
  /** No exchange of the generation is left: connections that no other generation uses close. */
  end(): void
}

export interface Upstreams {
  open(config: ForwarderConfig): GenerationForwarder
  /** What is known of the upstreams of all generations. */
  states(): readonly UpstreamState[]
  /** Cuts tunnels and ends every connection. */
  close(): Promise<void>
}

export interface UpstreamsDeps {
  /** PEM bundle that counts beside the system's authorities (`certificate_authority`). */
  readonly authorities?: string | undefined
  readonly signer: Pick<AssertionSigner, 'sign'>
  readonly keyRings: KeyRings
  readonly clock: Clock
  readonly logger: Logger
  /** From 0, below 1. */
  readonly random?: () => number
}

/** The way to upstreams of all generations: they share connections with the same settings, and nothing else. */
export function createUpstreams({
  authorities,
  signer,
  keyRings,
  clock,
  logger,
  random = Math.random,
}: UpstreamsDeps): Upstreams {
  const deadlines = createDeadlines(clock)
  const pools = createPools({ authorities, deadlines, clock, logger, random })
  const hopMark = createHopMarks(keyRings)
  /** Ends a tunnel, or a handshake. */
  const tunnels = new Set<() => void>()
  return {
    open({ config, cookieNames }) {
      const { naming } = config
      const upstreams = pools.open(config)
      const context = createHeaderContext({
        naming,
        identityHeaders: config.identityHeaders,
        cookieNames,
        transportSecurity: config.strictTransportSecurity,
        hopMark,
        logger,
      })
      const identity = createIdentityHeaders({ naming, signer, clock, logger })

      function send(grant: Grant<Forward>, exchange: Exchange, identityLines: string, outcome: ForwardOutcome): void {
        const { head } = exchange
        // The client may have left while its session was read or its assertion signed.
        if (exchange.closed) throw clientClosed()
        const sent = upstreamHeaders(grant, head.headers, identityLines, context, peerOf(head), outcome.trace?.lines)
        const lease = upstreams.choose(grant)
        const parts = { grant, exchange, lease, path: pathOf(grant), head: sent, context, deadlines, clock }
        const protocol = protocolOf(grant, head)
        if (protocol === undefined) return new Transfer(parts, outcome).begin()
        openTunnel({ ...parts, protocol, tunnels }).then((forwarded) => outcome.forwarded(forwarded), failing(outcome))
      }

      return {
        forward(grant, exchange, outcome) {
          if (!isForwardGrant(grant)) throw new TypeError('forward: not a grant of the policy engine')
          if (exchange.head.upgrade) refuseWhatIsNoWebSocket(exchange.head)
          const told = identity(grant)
          if (typeof told === 'string') return send(grant, exchange, told, outcome)
          told.then((lines) => send(grant, exchange, lines, outcome)).catch(failing(outcome))
        },
        identityHeaders(grant) {
          if (!isForwardGrant(grant)) throw new TypeError('identityHeaders: not a grant of the policy engine')
          return identity(grant)
        },
        end: () => upstreams.release(),
      }
    },
    states: () => pools.states(),
    async close() {
      for (const end of tunnels) end()
      deadlines.close()
      await pools.close()
    },
  }
}

function failing(outcome: ForwardOutcome): (thrown: unknown) => void {
  return (thrown) => outcome.failed(toAppError(thrown))
}

/** What a request changes to; undefined: to nothing. */
function protocolOf({ route, request }: Grant<Forward>, { upgrade, headers }: RequestHead): string | undefined {
  if (upgrade) return WEBSOCKET
  return mayUpgrade(route, request) ? headers.first('upgrade') : undefined
}

/** What is asked of the upstream. */
function pathOf({ route: { action }, request }: Grant<Forward>): string {
  return rewrittenPath(action.rewrite.path, request.path) + request.query
}

/** Address of the client's connection. */
function peerOf({ peer = '' }: RequestHead): string {
  return canonicalAddress(peer) ?? peer
}
