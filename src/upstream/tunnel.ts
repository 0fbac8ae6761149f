/**
 * WebSockets: the handshake is passed on and checked (RFC 6455 §4), then bytes go both ways. The upstream never sees the
 * client's own headers or target, every wait has an end, and neither side outlives the other.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { AppError } from '../errors.ts'
import type { Deadline, Deadlines } from '../lib/deadlines.ts'
import type { Forward } from '../config/model.ts'
import type { Exchange, Forwarded, RequestHead } from '../http/exchange.ts'
import { headerOf } from '../http/header.ts'
import type { Grant } from '../policy/verdict.ts'
import { elapsed } from '../lib/time.ts'
import type { Clock, Millis } from '../types.ts'
import { answerProblem } from './answer.ts'
import { upstreamFailure } from './failure.ts'
import { clientHeaders, type HeaderContext } from './headers.ts'
import type { Lease, Outcome } from './pools.ts'

export interface TunnelParts {
  readonly grant: Grant<Forward>
  readonly exchange: Exchange
  readonly lease: Lease
  /** With the query: what is asked of the upstream. */
  readonly path: string
  /** Flat list, without `Connection` and `Upgrade`. */
  readonly headers: readonly string[]
  readonly context: HeaderContext
  readonly bodyTimeout: Millis
  readonly deadlines: Deadlines
  readonly clock: Clock
  /** Functions that end a tunnel. */
  readonly tunnels: Set<() => void>
}

/** A handshake ends even on a route without a timeout. */
const HANDSHAKE: Millis = 30_000
/** When one side has ended, the other gets this long to take what is still on its way. */
const LINGER: Millis = 10_000
const KEEP_ALIVE: Millis = 30_000

/** A body before the handshake is answered would be read as frames; other protocols carry what we cannot judge. */
export function refuseWhatIsNoWebSocket(head: RequestHead): void {
  const length = headerOf(head, 'content-length') ?? headerOf(head, 'transfer-encoding')
  const what =
    head.method !== 'GET'
      ? 'an upgrade is a GET request (RFC 6455 §4.1)'
      : headerOf(head, 'upgrade')?.trim().toLowerCase() !== 'websocket'
        ? 'only upgrades to websocket are passed on'
        : length !== undefined
          ? 'an upgrade has no body'
          : headerOf(head, 'sec-websocket-key') === undefined
            ? 'a handshake has a Sec-WebSocket-Key (RFC 6455 §4.1)'
            : undefined
  if (what !== undefined) throw new AppError('ERR_BAD_REQUEST', what)
}

/** Resolves when both sides are closed. Rejects only before anything was answered. */
export function openTunnel(parts: TunnelParts): Promise<Forwarded> {
  const { grant, exchange, lease, path, headers, context, deadlines, clock, tunnels } = parts
  const { route } = grant
  const { origin } = lease
  const startedAt = clock.monotonic()
  const upgrade = ['connection', 'Upgrade', 'upgrade', 'websocket']
  const handshake = lease.handshake(path, [...headers, ...upgrade])
  return new Promise((resolve, reject) => {
    let answered = false
    let connected = false
    const end = (): void => {
      handshake.destroy()
      exchange.abort('shutdown')
    }
    tunnels.add(end)
    const deadline = deadlines.start(route.action.timeout || HANDSHAKE, () =>
      fail(new AppError('ERR_UPSTREAM_TIMEOUT', `upstream ${origin}: no answer to the handshake in time`)),
    )
    const leave = (outcome: Outcome): void => {
      tunnels.delete(end)
      lease.report(outcome)
    }
    exchange.onClosed(() =>
      fail(new AppError('ERR_CLIENT_CLOSED', 'the client went away before the handshake was answered')),
    )

    handshake.on('socket', (upstream) => {
      upstream.once(origin.startsWith('https:') ? 'secureConnect' : 'connect', () => (connected = true))
    })
    handshake.on('error', (error) => fail(upstreamFailure(error, { origin, connected })))
    handshake.on('upgrade', (res: IncomingMessage, upstream: Socket, behind: Buffer) => {
      const problem = switchProblem(res, headers) ?? answerProblem(101, res.statusMessage)
      if (answered || problem !== undefined) {
        upstream.destroy()
        if (problem !== undefined) fail(protocolError(problem))
        return
      }
      const count = answer(101, upstream)
      const client = exchange.upgrade([...upgrade, ...clientHeaders(rawOf(res), 101, grant, context)])
      if (behind.length > 0) upstream.unshift(behind)
      join(client, upstream, deadlines)
      exchange.onClosed(() => count(exchange.aborted))
    })
    // Not a 101: the upstream's own refusal, passed on with its body.
    handshake.on('response', (res) => {
      const raw = rawOf(res)
      const problem =
        res.statusCode === 101
          ? 'a 101 that switches to nothing'
          : answerProblem(res.statusCode ?? 0, res.statusMessage, raw)
      if (problem !== undefined) return fail(protocolError(problem))
      if (answered) return void res.destroy()
      const status = res.statusCode ?? 502
      const count = answer(status, res.socket)
      exchange.onClosed(() => {
        res.destroy()
        count(exchange.aborted ?? (res.complete ? undefined : 'client-closed'))
      })
      const reason = /^[\x20-\x7e]+$/.test(res.statusMessage ?? '') ? res.statusMessage : undefined
      const out = exchange.respond({
        status,
        reason,
        headers: [...clientHeaders(raw, status, grant, context), 'connection', 'close'],
      })
      // A body that was cut must not look complete.
      res.on('error', () => exchange.abort('ERR_UPSTREAM_RESET'))
      endWhenSilent(res, parts, () => exchange.abort('ERR_UPSTREAM_TIMEOUT'))
      res.pipe(out)
    })
    handshake.end()

    /** From here on failures are the end of the exchange; what comes back counts its bytes and resolves. */
    function answer(status: number, upstream: Socket): (cut: Forwarded['cut']) => void {
      answered = true
      deadline.stop()
      const upstreamMs = elapsed(clock.monotonic(), startedAt)
      const [readBefore, writtenBefore] = [upstream.bytesRead, upstream.bytesWritten]
      return (cut) => {
        leave({ kind: 'answered', status })
        resolve({
          status,
          upstream: origin,
          upstreamMs,
          bytesIn: upstream.bytesWritten - writtenBefore,
          bytesOut: upstream.bytesRead - readBefore,
          ...(cut === undefined ? {} : { cut }),
        })
      }
    }

    function fail(error: AppError): void {
      if (answered) return
      answered = true
      deadline.stop()
      leave(error.code === 'ERR_CLIENT_CLOSED' ? { kind: 'abandoned' } : { kind: 'failed', error })
      handshake.destroy()
      reject(error)
    }
  })

  function protocolError(what: string): AppError {
    return new AppError('ERR_UPSTREAM_PROTOCOL', `upstream ${origin}: ${what}`, { details: { upstream: origin } })
  }
}

/** Both directions; when one side has ended, the other one is ended after it has taken what is on its way. */
function join(client: Duplex, upstream: Socket, deadlines: Deadlines): void {
  upstream.setNoDelay(true)
  upstream.setKeepAlive(true, KEEP_ALIVE)
  upstream.on('error', () => upstream.destroy())
  const lingers = (): void => {
    const linger = deadlines.start(LINGER, () => client.destroy())
    client.once('close', () => linger.stop())
  }
  client.once('end', lingers)
  client.once('close', () => upstream.destroy())
  upstream.once('close', () => {
    if (client.destroyed) return
    lingers()
    client.end(() => client.destroy())
  })
  client.pipe(upstream)
  upstream.pipe(client)
}

/** A refusal's body comes in time, too. While a slow client stops it the upstream is not late. */
function endWhenSilent(
  res: IncomingMessage,
  { deadlines, bodyTimeout }: Pick<TunnelParts, 'deadlines' | 'bodyTimeout'>,
  late: () => void,
): void {
  let deadline: Deadline | undefined
  const start = (): void => {
    deadline = deadlines.start(bodyTimeout, () => (res.isPaused() ? start() : late()))
  }
  start()
  res.on('data', () => deadline?.touch())
  res.once('close', () => deadline?.stop())
}

/** RFC 6455 §4.1: what a client checks before it believes in a WebSocket. */
function switchProblem({ headers, rawHeaders }: IncomingMessage, sent: readonly string[]): string | undefined {
  if (headers.upgrade?.toLowerCase() !== 'websocket') return 'a 101 that switches to another protocol'
  const key = headerOf({ rawHeaders: sent }, 'sec-websocket-key')?.trim() ?? ''
  const expected = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  const accepts = rawHeaders.filter(
    (_, i) => i % 2 === 1 && rawHeaders[i - 1]?.toLowerCase() === 'sec-websocket-accept',
  )
  return accepts.length === 1 && accepts[0]?.trim() === expected ? undefined : 'a 101 without our Sec-WebSocket-Accept'
}

function rawOf({ rawHeaders }: IncomingMessage): readonly Buffer[] {
  return rawHeaders.map((part) => Buffer.from(part, 'latin1'))
}
