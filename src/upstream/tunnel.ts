/**
 * WebSockets and other upgrades: http-proxy makes the handshake with the upstream, and nothing else. It never sees the client's socket,
 * headers or target; what the upstream answers is checked first (RFC 6455 §4); every wait has an end, and neither side
 * outlives the other.
 */
import type { ClientRequest, IncomingMessage } from 'node:http'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type HttpProxy from 'http-proxy'
import { AppError, toAppError } from '../errors.ts'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import type { Forwarded, RequestHead, ResponseBody } from '../http/exchange.ts'
import { headerLines, linesOf, listOf } from '../http/header-lines.ts'
import { describeLimit } from '../lib/duration.ts'
import { elapsed } from '../lib/time.ts'
import type { Span } from '../types.ts'
import { isTls } from './address.ts'
import { verifiedName } from './connection.ts'
import { lateUpstream, upstreamFailure } from './failure.ts'
import { H1Heads } from './h1-heads.ts'
import { clientHeaders } from './headers.ts'
import { type ConnectSettings, failedWith, type Outcome, type StreamSettings } from './lease.ts'
import { mayGoElsewhere } from './retry.ts'
import { originHint } from './origin-hint.ts'
import { openStreamTunnel } from './stream-tunnel.ts'
import { acceptOf, handshakeLimit, LINGER, type TunnelParts, WEBSOCKET } from './tunnel-parts.ts'

const KEEP_ALIVE: Span = 30_000
const NOTHING = Buffer.alloc(0)

/** A body before the handshake is answered would be read as frames. */
export function refuseWhatIsNoWebSocket({ method, headers }: RequestHead): void {
  const length = headers.first('content-length') ?? headers.first('transfer-encoding')
  const what =
    method !== 'GET'
      ? 'an upgrade is a GET request (RFC 6455 §4.1)'
      : headers.first('upgrade')?.toLowerCase() !== WEBSOCKET
        ? 'only upgrades to websocket are passed on'
        : length !== undefined
          ? 'an upgrade has no body'
          : headers.first('sec-websocket-key') === undefined
            ? 'a handshake has a Sec-WebSocket-Key (RFC 6455 §4.1)'
            : undefined
  if (what !== undefined) throw new AppError('ERR_BAD_REQUEST', what)
}

/** Resolves when both sides are closed. Rejects only before anything was answered. An upstream that takes no connection leaves it to another. */
export function openTunnel(parts: TunnelParts): Promise<Forwarded> {
  const { grant, exchange, lease, path, head, protocol, context, deadlines, clock, tunnels } = parts
  const { route } = grant
  const { origin, servername } = lease
  const sent = { origin: lease.url, path, host: head.host }
  const startedAt = clock.monotonic()
  let settings: ConnectSettings | StreamSettings
  try {
    settings = lease.tunnel(protocol.toLowerCase())
  } catch (error) {
    return openElsewhere(parts) ?? Promise.reject(toAppError(error))
  }
  if (settings.kind === 'stream') return openStreamTunnel(parts, settings, () => openElsewhere(parts))
  const { timeout } = settings
  return new Promise((resolve, reject) => {
    let answered = false
    let connected = false
    const end = (): void => {
      handshake?.destroy()
      exchange.abort('shutdown')
    }
    tunnels.add(end)
    const { timeouts } = route.action
    const answerTimeout = handshakeLimit(grant)
    const deadline = deadlines.start(answerTimeout.span, () =>
      fail(lateUpstream(origin, 'no answer to the handshake', answerTimeout)),
    )
    const leave = (outcome: Outcome): void => {
      tunnels.delete(end)
      lease.report(outcome)
    }
    exchange.onClosed(() => {
      // Its stack would cost a twentieth of all that a tunnel costs.
      if (answered) return
      fail(new AppError('ERR_CLIENT_CLOSED', 'the client went away before the handshake was answered'))
    })

    const connecting = deadlines.start(timeout, () =>
      fail(lateUpstream(origin, 'no connection', { span: timeout, key: 'upstream_connect_timeout' })),
    )
    let handshake: ClientRequest | undefined
    try {
      handshake = beginHandshake(settings, parts)
    } catch (error) {
      return fail(toAppError(error))
    }
    handshake.on('socket', (upstream) => {
      upstream.once(isTls(origin) ? 'secureConnect' : 'connect', () => {
        connected = true
        connecting.stop()
      })
      // Node cuts some bytes in another way, and leaves out lines beyond a thousand: what it reads has passed our own reader.
      const heads = new H1Heads()
      const look = (bytes: Buffer): void => {
        const read = heads.read(bytes)
        if (read !== undefined) upstream.off('data', look)
        if (typeof read === 'string') fail(protocolError(read))
      }
      upstream.prependListener('data', look)
    })
    handshake.on('error', (error) => fail(upstreamFailure(error, { origin, servername, connected })))
    handshake.on('upgrade', (res: IncomingMessage, upstream: Socket, behind: Buffer) => {
      const problem = switchProblem(res, parts)
      if (answered || problem !== undefined) {
        upstream.destroy()
        if (problem !== undefined) fail(protocolError(problem))
        return
      }
      const count = answer(101, upstream)
      handshake = undefined
      upstream.setNoDelay(true).setKeepAlive(true, KEEP_ALIVE)
      if (behind.length > 0) upstream.unshift(behind)
      const { headers } = clientHeaders(headerLines(res.rawHeaders), 101, grant, context, sent)
      let tooLong: string | undefined
      const client = exchange.upgrade(linesOf(upgradeTo(protocol)) + headers, timeouts.tunnel)
      const end = join(client, upstream, deadlines)
      const { tunnelLifetime } = timeouts
      const lifetime = deadlines.start(tunnelLifetime.span, () => {
        tooLong = describeLimit(tunnelLifetime)
        end()
      })
      exchange.onClosed(() => {
        lifetime.stop()
        if (tooLong === undefined) count(exchange.aborted)
        else count('too-long', tooLong)
      })
    })
    // Not a 101: the upstream's own refusal, passed on with its body.
    handshake.on('response', (res) => {
      if (res.statusCode === 101) return fail(protocolError('a 101 that switches to nothing'))
      if (answered) return void res.destroy()
      const lines = headerLines(res.rawHeaders)
      const status = res.statusCode ?? 502
      const hint = status === 403 ? originHint(grant.request, head.host, lease.url) : undefined
      const count = answer(status, res.socket, hint)
      exchange.onClosed(() => {
        res.destroy()
        count(exchange.aborted ?? (res.complete ? undefined : 'client-closed'))
      })
      const reason = /^[\x20-\x7e]+$/.test(res.statusMessage ?? '') ? res.statusMessage : undefined
      const out = exchange.respond({
        status,
        reason,
        ...clientHeaders(lines, status, grant, context, sent),
        close: true,
      })
      // A body that was cut must not look complete. Node takes a reset for the end of a body that has none of its own.
      for (const it of [res, handshake]) it?.on('error', () => exchange.abort('ERR_UPSTREAM_RESET'))
      endWhenSilent(res, timeouts.responseBody.span, deadlines, () => exchange.abort('ERR_UPSTREAM_TIMEOUT'))
      passOn(res, out)
    })

    /** From here on failures are the end of the exchange; what comes back counts its bytes and resolves. */
    function answer(
      status: number,
      upstream: Socket,
      hint?: string,
    ): (cut: Forwarded['cut'], limit?: Forwarded['limit']) => void {
      answered = true
      deadline.stop()
      const upstreamMs = elapsed(clock.monotonic(), startedAt)
      const [readBefore, writtenBefore] = [upstream.bytesRead, upstream.bytesWritten]
      return (cut, limit) => {
        leave({ kind: 'answered', status })
        resolve({
          status,
          upstream: origin,
          upstreamMs,
          bytesIn: upstream.bytesWritten - writtenBefore,
          bytesOut: upstream.bytesRead - readBefore,
          ...(cut === undefined ? {} : { cut }),
          ...(limit === undefined ? {} : { limit }),
          ...(hint === undefined ? {} : { hint }),
        })
      }
    }

    function fail(error: AppError): void {
      if (answered) return
      answered = true
      deadline.stop()
      connecting.stop()
      leave(failedWith(error, connected))
      handshake?.destroy()
      const elsewhere = mayGoElsewhere({ sent: connected }, error.code) ? openElsewhere(parts) : undefined
      if (elsewhere) resolve(elsewhere)
      else reject(error)
    }
  })

  function protocolError(what: string): AppError {
    return new AppError('ERR_UPSTREAM_PROTOCOL', `upstream ${origin}: ${what}`, { details: { upstream: origin } })
  }
}

function openElsewhere(parts: TunnelParts): Promise<Forwarded> | undefined {
  const lease = parts.exchange.closed ? undefined : parts.lease.next('elsewhere')
  return lease && openTunnel({ ...parts, lease })
}

/**
 * Bytes go both ways, at the pace of the slower side. When one side has ended, the other one is ended after it has taken
 * what is on its way; neither outlives the other. What it gives ends both in that way.
 */
function join(client: Duplex, upstream: Socket, deadlines: Deadlines): () => void {
  let linger: Deadline | undefined
  const lingers = (): void => {
    linger ??= deadlines.start(LINGER, () => client.destroy())
  }
  carry(client, upstream)
  carry(upstream, client)
  client.once('end', lingers)
  client.once('close', () => {
    linger?.stop()
    upstream.destroy()
  })
  upstream.once('close', () => {
    if (client.destroyed) return
    lingers()
    client.end(() => client.destroy())
  })
  if (client.destroyed) upstream.destroy()
  return () => {
    lingers()
    upstream.destroySoon()
  }
}

function carry(from: Duplex, to: Duplex): void {
  // Node does not destroy a TLS socket whose records cannot be deciphered.
  from.on('error', destroyThis)
  from.on('data', (piece: Buffer) => {
    // A full read is more than a socket wants to hold, and nearly always the system has taken it at once.
    if (!to.write(piece) && to.writableLength > 0) from.pause()
  })
  to.on('drain', () => from.resume())
  from.once('end', () => to.end())
}

function destroyThis(this: Duplex): void {
  this.destroy()
}

function passOn(res: IncomingMessage, out: ResponseBody): void {
  res.on('data', (piece: Buffer) => {
    if (out.write(piece)) return
    res.pause()
    out.once('drain', () => res.resume())
  })
  res.once('end', () => out.end())
}

/** A refusal's body comes in time, too. While a slow client stops it the upstream is not late. */
function endWhenSilent(res: IncomingMessage, idle: Span, deadlines: Deadlines, late: () => void): void {
  let deadline: Deadline | undefined
  const start = (): void => {
    deadline = deadlines.start(idle, () => (res.isPaused() ? start() : late()))
  }
  start()
  res.on('data', () => deadline?.touch())
  res.once('close', () => deadline?.stop())
}

function upgradeTo(protocol: string): readonly string[] {
  return ['connection', 'Upgrade', 'upgrade', protocol]
}

/** RFC 9110 §7.8; and RFC 6455 §4.1: what a client checks before it believes in a WebSocket. */
function switchProblem(
  { httpVersion, headers, rawHeaders }: IncomingMessage,
  { protocol, head }: Pick<TunnelParts, 'protocol' | 'head'>,
): string | undefined {
  const asked = protocol.toLowerCase()
  if (httpVersion !== '1.1') return 'a 101 of another version than HTTP/1.1'
  if (headers.upgrade?.toLowerCase() !== asked) return 'a 101 that switches to another protocol'
  if (asked !== WEBSOCKET) return undefined
  const accepts = rawHeaders.filter(
    (_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'sec-websocket-accept',
  )
  return accepts.length === 1 && accepts[0]?.trim() === acceptOf(head)
    ? undefined
    : 'a 101 without our Sec-WebSocket-Accept'
}

/** What http-proxy gets instead of the client's request: it takes a GET for a WebSocket alone. */
interface StandInRequest {
  readonly method: 'GET'
  readonly url: '/'
  readonly headers: Readonly<Record<string, string>>
  /** The request to the upstream exists, and nothing of it has been sent. Not kept: http-proxy keeps the rest. */
  begun: ((handshake: ClientRequest) => void) | undefined
}

/** What http-proxy gets instead of the client's socket. It sets it up, and writes to it only where we do not let it. */
const NOBODY = { setTimeout: ignore, setNoDelay: ignore, setKeepAlive: ignore }

/** The request under way. */
function beginHandshake(settings: ConnectSettings, { grant, path, head, protocol }: TunnelParts): ClientRequest {
  const headers = listOf(head.headers)
  const { method } = grant.request
  let handshake: ClientRequest | undefined
  const standIn: StandInRequest = {
    method: 'GET',
    url: '/',
    headers: { connection: 'Upgrade', upgrade: 'websocket' },
    begun(request) {
      handshake = request
      // http-proxy would parse and rebuild them: what was judged is what is sent.
      request.method = method
      request.path = path
      for (const name of request.getHeaderNames()) request.removeHeader(name)
      for (let i = 0; i + 1 < headers.length; i += 2) request.appendHeader(headers[i] ?? '', headers[i + 1] ?? '')
      request.setHeader('host', head.host ?? new URL(settings.address.url).host)
      request.setHeader('connection', 'Upgrade').setHeader('upgrade', protocol)
      if (method !== 'GET') request.setHeader('content-length', 0)
    },
  }
  const options = connectOptions(settings)
  try {
    webSocketProxy().ws(standIn as unknown as IncomingMessage, NOBODY, NOTHING, options, ignore)
  } catch (error) {
    handshake?.on('error', ignore).destroy()
    throw error
  } finally {
    standIn.begun = undefined
  }
  if (!handshake) throw new TypeError('http-proxy began no handshake')
  // They would answer the client, or end it, before anything is checked.
  for (const event of ['upgrade', 'response', 'error']) handshake.removeAllListeners(event)
  return handshake
}

/** http-proxy keeps it: a function in place would keep the whole handshake. Errors have listeners of ours. */
function ignore(): void {}

/** Fresh for each tunnel, because http-proxy writes into them. */
function connectOptions({ address, servername, tls: { rejectUnauthorized, secureContext, ...tls } }: ConnectSettings) {
  const { protocol, hostname, port } = new URL(address.url)
  const host = hostname.replaceAll(/^\[|\]$/g, '')
  const target = { protocol, host, hostname: host, port: Number(port || (protocol === 'https:' ? 443 : 80)) }
  return {
    target: { ...target, ...tls, ...(address.socketPath !== undefined && { socketPath: address.socketPath }) },
    secure: rejectUnauthorized,
    ssl: { ...verifiedName(servername), ...(secureContext && { secureContext }) },
    // The target as it is given.
    toProxy: true,
  } satisfies HttpProxy.ServerOptions
}

let shared: HttpProxy | undefined

/** Loaded with the first tunnel. Only `ws()` is ever called: `web()` can be made to smuggle requests. */
function webSocketProxy(): HttpProxy {
  if (shared) return shared
  const require = createRequire(import.meta.url)
  const util = require('node:util') as object
  const { _extend: extend } = util as { readonly _extend?: unknown }
  // It takes this deprecated function while it loads, and Node would warn whenever it is called (DEP0060).
  Reflect.set(util, '_extend', Object.assign)
  const { createProxyServer } = require('http-proxy') as Pick<typeof HttpProxy, 'createProxyServer'>
  Reflect.set(util, '_extend', extend)
  shared = createProxyServer({})
  shared.on('proxyReqWs', (handshake, standIn) => (standIn as unknown as StandInRequest).begun?.(handshake))
  return shared
}
