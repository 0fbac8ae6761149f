/** One active health check: a connection of its own, closed when it is known whether the upstream is well. */
import { connect } from 'node:net'
import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import type { GrpcCheck, HealthCheck, HttpCheck, TcpCheck } from '../config/route-model.ts'
import { assertNever } from '../errors.ts'
import { field } from '../http/header-lines.ts'
import { isTls } from './address.ts'
import type { UpstreamClient, UpstreamRequest } from './client.ts'
import { handshakeOptions, type UpstreamConnection } from './connection.ts'
import { upstreamFailure } from './failure.ts'
import { connectTls } from './tls-handshake.ts'

/** Calls `done` once: undefined when the upstream is well, else what is wrong. Gives a function that ends the check. */
export type Probe = (to: UpstreamConnection, done: (problem: string | undefined) => void) => () => void

/** What is read of an answer at most. */
const MAX_ANSWER = 64 * 1024
const USER_AGENT = 'postern-health-check'

/** Connections of a check alone, by the protocol of requests. */
type OpenClient = (to: UpstreamConnection) => UpstreamClient

export function createProbe({ probe }: Pick<HealthCheck, 'probe'>, open: OpenClient): Probe {
  switch (probe.kind) {
    case 'http':
      return httpProbe(probe, open)
    case 'grpc':
      return grpcProbe(probe, open)
    case 'tcp':
      return tcpProbe(probe)
    default:
      return assertNever(probe)
  }
}

/** `HEAD /`: does it speak HTTP, whatever it says? For whoever checks a configuration. */
export function askHead(
  to: UpstreamConnection,
  open: OpenClient,
  done: (answer: { readonly status: number } | { readonly problem: string }) => void,
): () => void {
  const request = { method: 'HEAD', path: '/', host: undefined, headers: field('user-agent', 'postern-check') }
  return ask(to, open, request, (answer) =>
    done(typeof answer === 'string' ? { problem: answer } : { status: answer.status }),
  )
}

interface Answer {
  readonly status: number
  readonly body: Buffer
  /** Of the header, and of trailers. */
  readonly grpcStatus: string | undefined
}

function httpProbe({ path, host, expected }: HttpCheck, open: OpenClient): Probe {
  const request = { method: 'GET', path, host, headers: field('user-agent', USER_AGENT) }
  return (to, done) =>
    ask(to, open, request, (answer) => {
      if (typeof answer === 'string') return done(answer)
      const { status } = answer
      done(expected.some(({ start, end }) => status >= start && status < end) ? undefined : `status ${status}`)
    })
}

/** https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
function grpcProbe({ service, authority }: GrpcCheck, open: OpenClient): Probe {
  const name = Buffer.from(service)
  // Field 1, a string; its length is below 128 by the schema.
  const text = name.length === 0 ? name : Buffer.concat([Buffer.from([0x0a, name.length]), name])
  const message = Buffer.concat([Buffer.from([0, 0, 0, 0, text.length]), text])
  const headers = field('content-type', 'application/grpc') + field('user-agent', USER_AGENT)
  const request = { method: 'POST', path: '/grpc.health.v1.Health/Check', host: authority, headers, message }
  return (to, done) =>
    ask(to, open, request, (answer) => {
      if (typeof answer === 'string') return done(answer)
      const { status, body: reply, grpcStatus = 'none' } = answer
      if (status !== 200 || grpcStatus !== '0') return done(`status ${status}, grpc-status ${grpcStatus}`)
      // Field 1 is an enum; 1 is SERVING.
      done(reply[5] === 0x08 && reply[6] === 1 ? undefined : 'not serving')
    })
}

function ask(
  to: UpstreamConnection,
  open: OpenClient,
  request: Omit<UpstreamRequest, 'body' | 'length'> & { readonly message?: Buffer },
  answered: (answer: Answer | string) => void,
): () => void {
  const client = open(to)
  const { message, ...asked } = request
  let over = false
  let connected = false
  let status = 0
  let grpcStatus: string | undefined
  const pieces: Buffer[] = []
  let size = 0
  const end = (answer?: Answer | string): void => {
    if (over) return
    over = true
    if (answer !== undefined) answered(answer)
    void client.destroy().catch(() => {})
  }
  const take = (piece: Buffer): true => {
    // It may be read into again.
    pieces.push(Buffer.from(piece))
    if ((size += piece.length) > MAX_ANSWER) end({ status, body: Buffer.concat(pieces), grpcStatus })
    return true
  }
  const body = message && Readable.from([message], { objectMode: false })
  client.dispatch(
    { ...asked, body, length: message?.length },
    {
      onStart() {
        connected = true
      },
      onHead(head) {
        status = head.status
        grpcStatus = head.lines.first('grpc-status')
      },
      onPiece: take,
      onEnd(last, trailers) {
        if (last) take(last)
        end({ status, body: Buffer.concat(pieces), grpcStatus: trailers?.['grpc-status'] ?? grpcStatus })
        return true
      },
      onFailure: ({ error }) => end(reasonOf(error, to, connected)),
    },
  )
  return () => end()
}

export function tcpProbe({ send, receive }: TcpCheck): Probe {
  return (to, done) =>
    converse(
      to,
      send,
      (received) => (containsInOrder(received, receive) ? { isWell: true } : undefined),
      (outcome) => done(typeof outcome === 'string' ? outcome : undefined),
    )
}

/** The head of an answer to `GET` with `Upgrade: websocket` (RFC 6455 §4.1). @param host of the request. */
export function askWebSocket(
  to: UpstreamConnection,
  { path, host, origin }: { readonly path: string; readonly host: string; readonly origin: string },
  done: (answer: { readonly status: number } | { readonly problem: string }) => void,
): () => void {
  const fields = [
    `Host: ${host}`,
    'Connection: Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Version: 13',
    `Sec-WebSocket-Key: ${randomBytes(16).toString('base64')}`,
    `Origin: ${origin}`,
    'User-Agent: postern-check',
  ]
  return converse(
    to,
    Buffer.from(`GET ${path} HTTP/1.1\r\n${fields.join('\r\n')}\r\n\r\n`),
    (received) => {
      const [, status] = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(received.toString('latin1', 0, 32)) ?? []
      return status === undefined ? undefined : { status: Number(status) }
    },
    (outcome) => done(typeof outcome === 'string' ? { problem: outcome } : outcome),
  )
}

/** Sends, and has all that came judged until that gives something; a text is what went wrong. Gives a function that ends it. */
function converse<T extends object>(
  to: UpstreamConnection,
  send: Buffer,
  judge: (received: Buffer) => T | undefined,
  done: (outcome: T | string) => void,
): () => void {
  const { target, upstream } = to
  const secure = isTls(upstream.origin)
  const socket = secure ? connectTls({ target, tls: handshakeOptions(to) }, ['http/1.1']) : connect(target)
  let over = false
  let connected = false
  let received = Buffer.alloc(0)
  const end = (outcome: T | string): void => {
    if (!over) done(outcome)
    cancel()
  }
  const cancel = (): void => {
    over = true
    socket.destroy()
  }
  const look = (): void => {
    const outcome = judge(received)
    if (outcome) end(outcome)
    else if (received.length > MAX_ANSWER) end('another answer than expected')
  }
  socket.once(secure ? 'secureConnect' : 'connect', () => {
    connected = true
    if (send.length > 0) socket.write(send)
    look()
  })
  socket.on('data', (piece: Buffer) => {
    received = Buffer.concat([received, piece])
    look()
  })
  socket.on('error', (failure) => end(reasonOf(failure, to, connected)))
  socket.once('close', () => end('closed before the expected answer'))
  return cancel
}

function containsInOrder(received: Buffer, expected: readonly Buffer[]): boolean {
  let from = 0
  for (const block of expected) {
    const at = received.indexOf(block, from)
    if (at === -1) return false
    from = at + block.length
  }
  return true
}

function reasonOf(
  error: unknown,
  { servername, upstream: { origin } }: UpstreamConnection,
  connected: boolean,
): string {
  return upstreamFailure(error, { origin, servername, connected }).message.replace(`upstream ${origin}: `, '')
}
