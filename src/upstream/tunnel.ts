/**
 * WebSockets: http-proxy makes the handshake and carries the bytes, and nothing else. What makes it fit for that is
 * here (docs/dependencies.md): it never sees the client's headers or target, its error handling is replaced, every wait
 * has an end, and neither socket outlives the other.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type HttpProxy from 'http-proxy'
import { AppError } from '../errors.ts'
import type { Clock, Millis } from '../types.ts'
import type { Forwarded } from '../http/exchange.ts'
import type { Grant } from '../policy/verdict.ts'
import type { Forward } from '../config/model.ts'
import type { Deadlines } from '../lib/deadlines.ts'
import { upstreamFailure } from './failure.ts'
import { type PoolLease, tlsName } from './pools.ts'
import { elapsed } from '../lib/time.ts'

export interface TunnelRequest {
  readonly grant: Grant<Forward>
  readonly req: IncomingMessage
  readonly socket: Duplex
  /** What the client sent right behind its request. */
  readonly head: Buffer
  /** With the query: what is asked of the upstream. */
  readonly path: string
  /** Flat list, without `Connection` and `Upgrade`. */
  readonly headers: () => Promise<readonly string[]>
  /** Is this `Set-Cookie` one that the upstream may not set? */
  readonly plantsOurs: (setCookie: string) => boolean
}

export interface Tunnels {
  /** Resolves when both sides are closed. Rejects only before anything was written to the client. */
  open(request: TunnelRequest): Promise<Forwarded>
  /** Cuts them all. */
  close(): void
}

export interface TunnelsDeps {
  readonly pools: PoolLease
  readonly deadlines: Deadlines
  readonly clock: Clock
}

/** A handshake ends even on a route without a timeout. */
const HANDSHAKE: Millis = 30_000
/** When one side has ended, the other gets this long to take what is still on its way. */
const LINGER: Millis = 10_000

export function createTunnels({ pools, deadlines, clock }: TunnelsDeps): Tunnels {
  const open = new Set<Duplex>()
  return {
    async open(request) {
      const { grant, socket } = request
      refuseWhatIsNoWebSocket(request.req)
      const headers = await request.headers()
      if (socket.destroyed) throw clientClosed()
      open.add(socket)
      socket.once('close', () => open.delete(socket))
      const { origin } = pools.pick(grant.route.action)
      return new Promise((resolve, reject) => {
        carry({ ...request, origin, list: headers, deadlines, clock, resolve, reject })
      })
    },
    close() {
      for (const socket of open) socket.destroy()
    },
  }
}

/** A body before the handshake is answered would be read as frames; other protocols carry what we cannot judge. */
function refuseWhatIsNoWebSocket(req: IncomingMessage): void {
  const { upgrade = '', 'content-length': length, 'transfer-encoding': coding } = req.headers
  const what =
    req.method !== 'GET'
      ? 'an upgrade is a GET request (RFC 6455 §4.1)'
      : upgrade.trim().toLowerCase() !== 'websocket'
        ? 'only upgrades to websocket are passed on'
        : length !== undefined || coding !== undefined
          ? 'an upgrade has no body'
          : undefined
  if (what !== undefined) throw new AppError('ERR_BAD_REQUEST', what)
}

interface Carriage extends TunnelRequest {
  readonly origin: string
  readonly list: readonly string[]
  readonly deadlines: Deadlines
  readonly clock: Clock
  readonly resolve: (forwarded: Forwarded) => void
  readonly reject: (error: AppError) => void
}

function carry(carriage: Carriage): void {
  const { grant, socket, head, path, origin, list, plantsOurs, deadlines, clock, resolve, reject } = carriage
  const { request } = grant
  const { action } = grant.route
  const client = socket as Socket
  const startedAt = clock.monotonic()
  let handshake: ClientRequest | undefined
  let connected = false
  let answered = false

  // Before ws(): an early reset of the client is an event that nobody else listens to, and would end the process.
  client.on('error', () => client.destroy())
  client.on('close', onGone).on('end', onGone)
  const deadline = deadlines.start(action.timeout || HANDSHAKE, () =>
    fail(new AppError('ERR_UPSTREAM_TIMEOUT', `upstream ${origin}: no answer to the handshake in time`)),
  )
  const standIn: StandIn = {
    method: 'GET',
    url: '/',
    headers: handshakeHeaders(list),
    begun(outgoing) {
      handshake = outgoing
      // http-proxy parses and rebuilds the path; what was judged is what is sent.
      outgoing.path = path
      const ready = origin.startsWith('https:') ? 'secureConnect' : 'connect'
      outgoing.on('socket', (upstream) => upstream.once(ready, () => (connected = true)))
      outgoing.on('response', passRefusal)
      outgoing.on('upgrade', (res, upstream) => {
        makeOurs(res)
        answer(101, upstream)
        upstream.once('close', finish)
        // A client that has ended its side gets what is still on its way, and no more.
        client.once('end', () => endWithin(client, deadlines))
      })
    },
  }
  webSocketProxy().ws(standIn as unknown as IncomingMessage, client, head, upstreamOptions(action, origin), () => {})
  // Its own listener would end the client's socket before the exchange could say what happened.
  handshake?.removeAllListeners('error')
  handshake?.on('error', (error) => fail(upstreamFailure(error, { origin, connected })))

  function makeOurs({ headers }: IncomingMessage): void {
    headers['x-request-id'] = request.id
    const cookies = headers['set-cookie']?.filter((cookie) => !plantsOurs(cookie))
    if (cookies?.length) headers['set-cookie'] = cookies
    else delete headers['set-cookie']
  }

  /** Not a 101: the upstream's own refusal, passed on with its body; the connection ends with it. */
  function passRefusal(res: IncomingMessage): void {
    // http-proxy writes these headers and then the decoded body: the framing must be told anew.
    for (const name of ['transfer-encoding', 'keep-alive', 'upgrade', 'trailer']) delete res.headers[name]
    res.headers.connection = 'close'
    makeOurs(res)
    answer(res.statusCode ?? 502, res.socket)
    res.once('close', () => (res.complete ? finish() : client.destroy()))
  }

  function answer(status: number, upstream: Socket): void {
    answered = true
    deadline.stop()
    client.off('close', onGone).off('end', onGone)
    const upstreamMs = elapsed(clock.monotonic(), startedAt)
    const [readBefore, writtenBefore] = [upstream.bytesRead, upstream.bytesWritten]
    client.once('close', () => {
      const bytesOut = upstream.bytesRead - readBefore
      const bytesIn = upstream.bytesWritten - writtenBefore
      upstream.destroy()
      resolve({ status, upstream: origin, upstreamMs, bytesIn, bytesOut })
    })
  }

  /** The upstream is done: what it sent goes out, then the client's socket ends, whether the client reads or not. */
  function finish(): void {
    if (client.destroyed) return
    endWithin(client, deadlines)
    client.end(() => client.destroy())
  }

  function onGone(): void {
    fail(clientClosed())
  }

  function fail(error: AppError): void {
    if (answered) return void client.destroy()
    answered = true
    deadline.stop()
    client.off('close', onGone).off('end', onGone)
    handshake?.destroy()
    reject(error)
  }
}

function endWithin(client: Socket, deadlines: Deadlines): void {
  const linger = deadlines.start(LINGER, () => client.destroy())
  client.once('close', () => linger.stop())
}

function clientClosed(): AppError {
  return new AppError('ERR_CLIENT_CLOSED', 'the client went away before the handshake was answered')
}

/** What http-proxy gets instead of the client's request: it copies headers and target from there. */
interface StandIn {
  readonly method: 'GET'
  readonly url: '/'
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  /** The request to the upstream exists and nothing of it has been sent. */
  begun(handshake: ClientRequest): void
}

function handshakeHeaders(list: readonly string[]): StandIn['headers'] {
  const headers: Record<string, string | string[]> = Object.create(null)
  for (let i = 0; i + 1 < list.length; i += 2) {
    const [name, value] = [(list[i] as string).toLowerCase(), list[i + 1] as string]
    const known = headers[name]
    headers[name] = known === undefined ? value : [known, value].flat()
  }
  headers['connection'] = 'Upgrade'
  headers['upgrade'] = 'websocket'
  return headers
}

/** Fresh for each tunnel, because http-proxy writes into them. */
function upstreamOptions(action: Forward, origin: string): HttpProxy.ServerOptions {
  const { protocol, hostname, port } = new URL(origin)
  const host = hostname.replace(/^\[|\]$/g, '')
  const target = { protocol, host, hostname: host, port: Number(port || (protocol === 'https:' ? 443 : 80)) }
  return {
    target: { ...target, ...(action.tlsCa === undefined ? {} : { ca: action.tlsCa }) },
    secure: !action.tlsSkipVerify,
    // Ours, or Node would verify the name in the Host header, which a client may choose.
    ssl: { servername: tlsName(action, hostname) },
  }
}

let shared: HttpProxy | undefined

/** Loaded with the first tunnel. Only `ws()` is ever called: `web()` can be made to smuggle requests (docs/dependencies.md). */
function webSocketProxy(): HttpProxy {
  if (shared) return shared
  const require = createRequire(import.meta.url)
  // It takes this deprecated function while it loads, and Node would warn (DEP0060).
  Reflect.set(require('node:util') as object, '_extend', Object.assign)
  const { createProxyServer } = require('http-proxy') as Pick<typeof HttpProxy, 'createProxyServer'>
  shared = createProxyServer({})
  // Errors go to each tunnel; without a second listener of its own kind http-proxy would throw.
  shared.on('error', () => {})
  shared.on('proxyReqWs', (handshake, standIn) => (standIn as unknown as StandIn).begun(handshake))
  return shared
}
