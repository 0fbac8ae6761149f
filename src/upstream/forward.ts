/**
 * An allowed request on its way: headers rewritten, both bodies streamed with backpressure, an abort on either side
 * ends the other. Framing is always ours, so nothing that a client writes can be read as a second request.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Dispatcher } from 'undici'
import { AppError, type ErrorCode } from '../errors.ts'
import { isForwardGrant } from '../policy/engine.ts'
import { canonicalAddress } from '../routing/address.ts'
import { rewrittenPath } from '../routing/rewrite.ts'
import type { Secret } from '../lib/secret.ts'
import type { Clock, Logger, Millis, Monotonic } from '../types.ts'
import type { Forward, Live } from '../config/model.ts'
import type { CutReason, Forwarded, Forwarder } from '../http/exchange.ts'
import type { Grant } from '../policy/verdict.ts'
import type { AssertionSigner } from './assertion.ts'
import { createDeadlines, type Deadline, type Deadlines } from '../lib/deadlines.ts'
import { upstreamFailure } from './failure.ts'
import { clientHeaders, createHeaderContext, type HeaderContext, upstreamHeaders } from './headers.ts'
import { createIdentityHeaders } from './identity.ts'
import { createPools, type PoolLease, type UpstreamPool } from './pools.ts'
import { createHopMarks } from './loop.ts'
import { hasBody, RequestBody } from './request-body.ts'
import { createTunnels, type Tunnels } from './tunnel.ts'
import { elapsed } from '../lib/time.ts'

/** What one generation says about requests on their way. */
export interface ForwarderConfig {
  readonly config: Pick<
    Live,
    | 'naming'
    | 'jwtClaimsHeaders'
    | 'strictTransportSecurity'
    | 'upstreamConnectTimeout'
    | 'upstreamBodyTimeout'
    | 'routes'
  >
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
  /** Cuts tunnels and ends every connection. */
  close(): Promise<void>
}

export interface UpstreamsDeps {
  readonly signer: AssertionSigner
  readonly sharedSecrets: readonly Secret[]
  readonly clock: Clock
  readonly logger: Logger
}

/** What every request on its way shares. */
interface Means {
  readonly pools: PoolLease
  readonly deadlines: Deadlines
  readonly clock: Clock
}

/** RFC 9110 §9.2.2, without TRACE. */
const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE'])
/** What a client still sends after the answer is read and dropped this long; then its connection ends. */
const LINGER: Millis = 10_000

/** The way to upstreams of all generations: they share connections with the same settings, and nothing else. */
export function createUpstreams({ signer, sharedSecrets, clock, logger }: UpstreamsDeps): Upstreams {
  const pools = createPools()
  const deadlines = createDeadlines(clock)
  const hopMark = createHopMarks(sharedSecrets)
  const allTunnels = new Set<Tunnels>()
  return {
    open({ config, cookieNames }) {
      const { naming, jwtClaimsHeaders: claims, upstreamBodyTimeout: bodyTimeout } = config
      const lease = pools.lease(config.routes, config.upstreamConnectTimeout)
      const means: Means = { pools: lease, deadlines, clock }
      const tunnels = createTunnels(means)
      allTunnels.add(tunnels)
      const context = createHeaderContext({
        naming,
        claimHeaders: claims.keys(),
        cookieNames,
        transportSecurity: config.strictTransportSecurity,
        hopMark,
        logger,
      })
      const identity = createIdentityHeaders({ naming, claims, signer, clock, logger })
      return {
        async forward(grant, req, res) {
          if (!isForwardGrant(grant)) throw new TypeError('forward: not a grant of the policy engine')
          const path = pathOf(grant)
          const found = identity(grant)
          const identityHeaders = found instanceof Promise ? await found : found
          // The client may have left while its session was read or its assertion signed.
          if (res.destroyed) throw clientClosed()
          const headers = upstreamHeaders(grant, req.rawHeaders, identityHeaders, context, peerOf(req))
          return new Promise((resolve, reject) => {
            new Crossing({ grant, req, res, path, headers, context, bodyTimeout, means, resolve, reject }).begin()
          })
        },
        async tunnel(grant, req, socket, head) {
          if (!isForwardGrant(grant)) throw new TypeError('tunnel: not a grant of the policy engine')
          const path = pathOf(grant)
          // Headers are made when the handshake is known to be one.
          const headers = async () =>
            upstreamHeaders(grant, req.rawHeaders, await identity(grant), context, peerOf(req))
          const plantsOurs = (setCookie: string) => context.plantsOurs(setCookie, grant.route)
          return tunnels.open({ grant, req, socket, head, path, headers, plantsOurs })
        },
        end() {
          allTunnels.delete(tunnels)
          lease.release()
        },
      }
    },
    async close() {
      for (const tunnels of allTunnels) tunnels.close()
      deadlines.close()
      await pools.close()
    },
  }
}

/** What is asked of the upstream. */
function pathOf({ route: { match, action }, request }: Grant<Forward>): string {
  return rewrittenPath(match, action.prefixRewrite, request.path) + request.query
}

/** Address of the client's connection. */
function peerOf({ socket }: Pick<IncomingMessage, 'socket'>): string {
  const address = socket.remoteAddress ?? ''
  return canonicalAddress(address) ?? address
}

function clientClosed(): AppError {
  return new AppError('ERR_CLIENT_CLOSED', 'the client went away before the answer began')
}

interface CrossingParts {
  readonly grant: Grant<Forward>
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** With the query: what is asked of the upstream. */
  readonly path: string
  readonly headers: string[]
  readonly context: HeaderContext
  readonly bodyTimeout: Millis
  readonly means: Means
  readonly resolve: (forwarded: Forwarded) => void
  readonly reject: (error: unknown) => void
}

/**
 * One request and its answer. Before the answer's header every failure rejects; after it the client's connection is
 * cut, which is the only way to say that a body is not complete.
 */
class Crossing implements Dispatcher.DispatchHandler {
  private readonly parts: CrossingParts
  private readonly pool: UpstreamPool
  private readonly startedAt: Monotonic
  private readonly body: RequestBody | undefined
  private readonly pipelined: boolean
  private deadline: Deadline
  private controller: Dispatcher.DispatchController | undefined
  /** `over`: resolved or rejected; whatever the upstream still says is not listened to. */
  private state: 'waiting' | 'answering' | 'answered' | 'over' = 'waiting'
  private heard = false
  private retried = false
  private flowing = false
  private upstreamMs = 0
  private bytesOut = 0
  private cut: ErrorCode | CutReason | undefined

  constructor(parts: CrossingParts) {
    const { grant, req, res, means } = parts
    this.parts = parts
    this.pool = means.pools.pick(grant.route.action)
    this.startedAt = means.clock.monotonic()
    this.deadline = means.deadlines.start(grant.route.action.timeout, this.onLate)
    if (hasBody(req)) {
      this.body = new RequestBody(
        req,
        () => this.welcomeBody(),
        () => this.state === 'waiting' && this.deadline.touch(),
      )
      const length = req.headers['content-length']
      if (length !== undefined) parts.headers.push('content-length', length)
    }
    res.on('close', this.onClosed)
    // A pipelined request waits for its turn on the socket, and until then its answer does not see the socket close.
    this.pipelined = !res.socket
    if (this.pipelined) {
      // As many as the client cares to pipeline: no leak, and nothing for Node to warn about.
      req.socket.setMaxListeners(0)
      req.socket.on('close', this.onClosed)
    }
  }

  begin(): void {
    const { grant, path, headers } = this.parts
    const { method } = grant.request
    const { servername } = this.pool
    this.pool.dispatch({ method, path, headers, body: this.body ?? null, servername }, this)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    // The client left, or the time was up, while we waited for a connection: nothing has been sent yet.
    if (this.state === 'over') controller.abort(clientClosed())
  }

  /** The first byte of an answer is there: from here on nothing is repeated. */
  onResponseStarted(): void {
    this.heard = true
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, _: unknown, reason?: string): void {
    // 102 and 103 are hints that we do not pass on; 101 was never asked for and undici refuses it.
    if (status < 200) return
    const { grant, res, context, bodyTimeout, means } = this.parts
    this.deadline.stop()
    this.upstreamMs = elapsed(means.clock.monotonic(), this.startedAt)
    // Raw headers of HTTP/1.1 are buffers: name, value, name, value.
    const headers = clientHeaders((controller.rawHeaders ?? []) as Buffer[], status, grant, context)
    // Node writes a reason as Latin-1 and undici reads it as UTF-8: only ASCII survives both.
    if (reason && /^[\x20-\x7e]+$/.test(reason)) res.writeHead(status, reason, headers)
    else res.writeHead(status, headers)
    this.state = 'answering'
    this.deadline = means.deadlines.start(bodyTimeout, this.onLate)
    // Usually the body comes in the same piece and takes the header along; an event stream's may come much later.
    process.nextTick(flush, this)
  }

  onResponseData(controller: Dispatcher.DispatchController, piece: Buffer): void {
    const { res, bodyTimeout, means } = this.parts
    this.flowing = true
    this.bytesOut += piece.length
    if (res.write(piece)) {
      this.deadline.touch()
      return
    }
    // A slow client stops the upstream's socket, and the upstream is not late meanwhile.
    this.deadline.stop()
    controller.pause()
    res.once('drain', () => {
      this.deadline = means.deadlines.start(bodyTimeout, this.onLate)
      controller.resume()
    })
  }

  /** Trailers are dropped: they could not be judged before the body was passed on. */
  onResponseEnd(): void {
    const { req, res, means } = this.parts
    this.deadline.stop()
    this.state = 'answered'
    this.flowing = true
    res.end()
    if (!req.complete) {
      const linger = means.deadlines.start(LINGER, () => req.socket.destroy())
      req.once('close', () => linger.stop())
    }
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    if (this.state === 'over') return
    const { grant, means } = this.parts
    const stale = !this.heard && !this.retried && !this.body && means.pools.wasReused(error)
    if (stale && IDEMPOTENT.has(grant.request.method)) {
      // The upstream closed an idle connection in the moment in which we used it.
      this.retried = true
      this.controller = undefined
      queueMicrotask(() => this.state !== 'over' && this.begin())
      return
    }
    this.fail(upstreamFailure(error, { origin: this.pool.origin, connected: this.controller !== undefined }))
  }

  flushHeader(): void {
    if (!this.flowing && this.state === 'answering') this.parts.res.flushHeaders()
  }

  private welcomeBody(): void {
    const { req, res } = this.parts
    // RFC 9110 §10.1.1: asked for by the client, answered here, once the decision is taken and the upstream is there.
    if (req.headers.expect !== undefined && !res.headersSent) res.writeContinue()
  }

  private readonly onLate = (): void => {
    const { origin } = this.pool
    if (this.state === 'waiting' && this.body?.starving) {
      this.fail(new AppError('ERR_CLIENT_CLOSED', 'the client stopped in the middle of its request'))
    } else {
      const what = this.state === 'waiting' ? 'no answer' : 'no more of the answer'
      this.fail(
        new AppError('ERR_UPSTREAM_TIMEOUT', `upstream ${origin}: ${what} in time`, { details: { upstream: origin } }),
      )
    }
  }

  /** The client's side of the answer is closed: all of it has been written, or the client has gone. */
  private readonly onClosed = (): void => {
    if (this.state === 'over') return
    if (this.state === 'waiting') return this.fail(clientClosed())
    const { res, resolve } = this.parts
    const complete = this.state === 'answered' && res.writableFinished
    this.leave()
    if (!complete) {
      this.cut ??= 'client-closed'
      this.controller?.abort(clientClosed())
      this.body?.destroy()
    }
    resolve({
      status: res.statusCode,
      upstream: this.pool.origin,
      upstreamMs: this.upstreamMs,
      bytesIn: this.body?.bytes ?? 0,
      bytesOut: this.bytesOut,
      ...(this.cut === undefined ? {} : { cut: this.cut }),
    })
  }

  private fail(error: AppError): void {
    const { req, res, reject } = this.parts
    if (this.state === 'waiting') {
      this.leave()
      this.controller?.abort(error)
      this.body?.destroy()
      reject(error)
      return
    }
    // `close` follows. A body that ends with its connection (HTTP/1.0) must not look complete: reset it instead.
    this.cut ??= error.code
    if (req.httpVersion === '1.0' && !('encrypted' in req.socket)) req.socket.resetAndDestroy()
    else res.destroy()
  }

  private leave(): void {
    const { req, res } = this.parts
    this.state = 'over'
    this.deadline.stop()
    res.off('close', this.onClosed)
    if (this.pipelined) req.socket.off('close', this.onClosed)
  }
}

function flush(crossing: Crossing): void {
  crossing.flushHeader()
}
