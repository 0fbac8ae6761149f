/** A proxy of two parts: a bare HTTP server that grants everything, and the forwarder under test; raw sockets on both ends. */
import { createKeyRings } from '../../../src/lib/key-ring.ts'
import { NO_LINES } from '../../../src/http/header-lines.ts'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net'
import { afterEach } from 'vitest'
import { toAppError } from '../../../src/errors.ts'
import { sendReply } from '../../support/send-reply.ts'
import { listen, type Timeouts } from '../../../src/server/listen.ts'
import { identityHeaders } from '../../../src/lib/header-names.ts'
import { silentLogger } from '../../../src/lib/log.ts'
import { Secret } from '../../../src/lib/secret.ts'
import { personKey } from '../../../src/lib/person.ts'
import { FOREVER } from '../../../src/lib/time.ts'
import { createMembership } from '../../../src/policy/membership.ts'
import { decide, isForwardGrant } from '../../../src/policy/engine.ts'
import type { Clock } from '../../../src/types.ts'
import type { Exchange, Forwarded, Forwarder, RequestFacts, RequestHead } from '../../../src/http/exchange.ts'
import type { Principal, SessionPrincipal } from '../../../src/policy/model.ts'
import type { Grant } from '../../../src/policy/verdict.ts'
import type { Group } from '../../../src/directory/model.ts'
import type { Naming } from '../../../src/config/model.ts'
import type { Balancing, Forward, ForwardedIdentity, Route } from '../../../src/config/route-model.ts'
import { RequestHeaders } from '../../../src/routing/header-view.ts'
import { createAssertionSigner } from '../../../src/upstream/assertion.ts'
import {
  createUpstreams,
  type ForwarderConfig,
  type GenerationForwarder,
  type Upstreams,
} from '../../../src/upstream/forward.ts'
import { createHopMarks } from '../../../src/upstream/loop.ts'
import { manualClock } from '../../support/clock.ts'

const cleanups: (() => unknown)[] = []
afterEach(async () => {
  for (const clean of cleanups.splice(0).toReversed()) await clean()
})
export function cleanup(clean: () => unknown): void {
  cleanups.push(clean)
}

export const NAMING: Naming = {
  controlPrefix: '/.postern',
  wellKnown: '/.well-known/postern',
  assertionHeader: 'x-postern-jwt-assertion',
  claimHeaderPrefix: 'x-postern-claim-',
  csrfHeader: 'x-postern-csrf',
  cookie: { https: '__Host-postern', http: 'postern' },
}

export const BALANCING: Balancing = {
  policy: 'round-robin',
  retries: { attempts: 0, on: [] },
  maxRetries: Number.POSITIVE_INFINITY,
  checks: [],
  panicThreshold: 50,
  limits: {},
}

/** Of the route, or of what it does. */
export type RouteOptions = Partial<Omit<Route, 'action'>> &
  Partial<Omit<Forward, 'kind' | 'identity' | 'timeouts'>> & {
    readonly identity?: Partial<ForwardedIdentity>
    /** In milliseconds: `timeout`, `upstream_body_timeout`, `client_body_timeout`, `request_timeout`, `tunnel_max_lifetime`, `tunnel_idle_timeout`. */
    readonly timeout?: number
    readonly bodyTimeout?: number
    readonly requestTimeout?: number
    readonly wholeTimeout?: number
    readonly tunnelLifetime?: number
    readonly tunnelTimeout?: number
  }

/** What a route tells unless it says otherwise. */
export const TOLD: ForwardedIdentity = {
  pass: true,
  claimHeaders: new Map(),
  groups: { format: 'both', first: [] },
  key: 'told',
}

export function route(upstream: string | readonly [string, ...string[]], over: RouteOptions = {}): Route<Forward> {
  const [first, ...others] = typeof upstream === 'string' ? [upstream] : upstream
  const of = (origin: string) => ({ origin, weight: 1 })
  const { id, name, from, match, policy, mtls, maxDirectoryAge, definedAt, identity, ...rest } = over
  const { timeout = 30_000, bodyTimeout = 0, requestTimeout = 0, wholeTimeout = 0, ...more } = rest
  const { tunnelLifetime = 0, tunnelTimeout, ...action } = more
  return {
    id: id ?? 'r1',
    name: name ?? 'app',
    from: from ?? { scheme: 'http', host: 'app.test', wildcard: false },
    match: match ?? { kind: 'all' },
    policy: policy ?? { kind: 'public' },
    portal: true,
    keepFragment: true,
    ...(mtls && { mtls }),
    ...(maxDirectoryAge !== undefined && { maxDirectoryAge }),
    action: {
      kind: 'forward',
      upstreams: [of(first), ...others.map(of)],
      rewrite: { host: { kind: 'upstream' } },
      setRequestHeaders: new Map(),
      removeRequestHeaders: [],
      allowRequestHeaders: [],
      timeouts: {
        response: { span: timeout, key: 'timeout' },
        responseBody: { span: bodyTimeout, key: 'upstream_body_timeout' },
        requestBody: { span: requestTimeout, key: 'client_body_timeout' },
        request: { span: wholeTimeout, key: 'request_timeout' },
        tunnelLifetime: { span: tunnelLifetime, key: 'tunnel_max_lifetime' },
        ...(tunnelTimeout !== undefined && { tunnel: tunnelTimeout }),
      },
      identity: identity ? { ...TOLD, ...identity } : TOLD,
      allowWebsockets: true,
      allowUpgrades: [],
      allowOrigins: [],
      balancing: BALANCING,
      tls: { skipVerify: false },
      ...action,
    },
    definedAt: definedAt ?? 'config.yaml:1:1',
  }
}

export function facts(over: Partial<RequestFacts> = {}): RequestFacts {
  return {
    id: 'req-1',
    method: 'GET',
    host: 'app.test',
    port: undefined,
    path: '/',
    query: '',
    clientIp: '127.0.0.1',
    scheme: 'http',
    wants: 'json',
    cookie: '',
    origin: undefined,
    userAgent: '',
    headers: new RequestHeaders(NO_LINES, new Set()),
    ...over,
  }
}

export const ENGINEERING: Group = { id: '00gEngineering000000', name: 'Engineering', type: 'OKTA_GROUP' }

export function principal(over: Partial<SessionPrincipal> = {}): SessionPrincipal {
  return {
    kind: 'session',
    provider: 'default',
    person: personKey({ issuer: 'https://idp.test', subject: '00u1' }),
    identity: {
      issuer: 'https://idp.test',
      subject: '00u1',
      email: 'alice@corp.test',
      name: 'Alice',
      claims: { department: 'R&D', sub: 'forged' },
    },
    sessionId: 'session-1',
    expiresAt: FOREVER,
    membership: createMembership([ENGINEERING], 0, 'test'),
    status: 'active',
    ...over,
  }
}

/** A grant as the engine issues it. With a principal the route asks for a session. */
export function grant(of: Route<Forward>, request: RequestFacts, who?: Principal): Grant<Forward> {
  const judged: Route = who ? { ...of, policy: { kind: 'signed-in' } } : of
  const decision = decide(judged, who, request, 0)
  if (decision.outcome !== 'allow') throw new Error(`expected an allow, got ${decision.outcome}`)
  if (!isForwardGrant(decision.grant)) throw new Error('expected a grant to forward')
  return decision.grant
}

const sharedSecrets = [new Secret('s'.repeat(32))] as const
const keyRings = createKeyRings(() => sharedSecrets)
export const hopMark = createHopMarks(keyRings)
/** What an application gets of `route`'s mark. */
export const HOP = hopMark('r1').next('')
export const signer = createAssertionSigner({
  keys: { signingKeys: [], sharedSecrets },
  settling: 0,
  clock: manualClock(),
})

export function forwarderConfig(over: { readonly identityHeaders?: ReadonlySet<string> } = {}): ForwarderConfig {
  return {
    config: {
      naming: NAMING,
      identityHeaders: over.identityHeaders ?? identityHeaders(NAMING, []),
      strictTransportSecurity: '',
      upstreamConnectTimeout: 10_000,
      upstreamMaxConnections: 512,
      upstreamMaxPending: 1024,
      upstreamQueueTimeout: 10_000,
      upstreamMaxTunnels: 100,
      routes: [],
    },
    cookieNames: ['__Host-postern', 'postern'],
  }
}

export function upstreams(clock: Clock = manualClock(), authorities?: string): Upstreams {
  const made = createUpstreams({ authorities, signer, keyRings, clock, logger: silentLogger })
  cleanup(() => made.close())
  return made
}

export function forwarder(clock?: Clock, config = forwarderConfig(), authorities?: string): GenerationForwarder {
  return upstreams(clock, authorities).open(config)
}

export interface Front {
  readonly port: number
  /** How the exchanges ended, in order. */
  readonly ended: Watched<Forwarded | Error>
}

/** Values as they come; `next` waits for one. */
export interface Watched<T> {
  readonly all: T[]
  readonly next: () => Promise<T>
}

export function watched<T>(): Watched<T> & { readonly add: (value: T) => void } {
  const all: T[] = []
  const waiting: ((value: T) => void)[] = []
  let read = 0
  return {
    all,
    add(value) {
      all.push(value)
      waiting.shift()?.(value)
    },
    next() {
      const value = all[read++]
      return value === undefined ? new Promise((resolve) => waiting.push(resolve)) : Promise.resolve(value)
    },
  }
}

/** What becomes of a request; rejects when nothing was answered. */
function outcomeOf(made: Forwarder, allowed: Grant, exchange: Exchange): Promise<Forwarded> {
  return new Promise((forwarded, failed) => made.forward(allowed, exchange, { forwarded, failed }))
}

/** Grants every request to `to`; answers a rejection with its status and code, as the proxy would. */
export async function front(
  to: Route<Forward>,
  made: Forwarder,
  options: {
    readonly who?: Principal
    readonly facts?: Partial<RequestFacts>
    readonly clock?: Clock
    readonly timeouts?: Partial<Timeouts>
  } = {},
): Promise<Front> {
  const ended = watched<Forwarded | Error>()
  const granted = ({ method, target }: RequestHead): Grant<Forward> => {
    const [path = '/', query] = target.split(/\?(.*)/s)
    const asked = facts({ method, path, query: query === undefined ? '' : `?${query}`, ...options.facts })
    return grant(to, asked, options.who)
  }
  const listener = await listen({
    listen: { host: '127.0.0.1', port: 0 },
    timeouts: {
      timeoutRead: 0,
      timeoutIdle: 60_000,
      clientBodyTimeout: 60_000,
      clientBodyMinRate: 0,
      clientWriteTimeout: 0,
      tunnelIdleTimeout: 0,
      ...options.timeouts,
    },
    clock: options.clock ?? manualClock(),
    logger: silentLogger,
    refused() {},
    async handle(exchange) {
      try {
        ended.add(await outcomeOf(made, granted(exchange.head), exchange))
      } catch (thrown) {
        const error = toAppError(thrown)
        ended.add(error)
        await sendReply(exchange, { status: error.info.status, headers: [['x-error', error.code]], body: error.code })
      }
    },
  })
  cleanup(async () => {
    const stopped = listener.stop()
    listener.destroy()
    await stopped
  })
  return { port: listener.address.port, ended }
}

/** One end of a raw connection. */
export interface Wire {
  readonly socket: Socket
  readonly received: () => string
  /** Until the bytes received so far (latin1) satisfy the pattern. */
  readonly seen: (pattern: RegExp) => Promise<RegExpExecArray>
  readonly send: (text: string | Buffer) => void
  readonly closed: Promise<void>
}

export function wire(socket: Socket): Wire {
  let bytes = ''
  const watchers = new Set<() => void>()
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  socket.on('error', () => {})
  socket.on('data', (piece) => {
    bytes += piece.toString('latin1')
    for (const watcher of watchers) watcher()
  })
  return {
    socket,
    received: () => bytes,
    closed,
    send: (text) => void socket.write(text, 'latin1' as BufferEncoding),
    seen: (pattern) =>
      new Promise((resolve, reject) => {
        const look = (): void => {
          const found = pattern.exec(bytes)
          if (!found) return
          watchers.delete(look)
          resolve(found)
        }
        watchers.add(look)
        void closed.then(() =>
          reject(new Error(`closed before ${pattern}; received ${JSON.stringify(bytes.slice(0, 2000))}`)),
        )
        look()
      }),
  }
}

export interface RawUpstream {
  readonly origin: string
  readonly port: number
  readonly connections: Watched<Wire>
}

/** A TCP server that says what `talk` says. */
export async function rawUpstream(talk: (wire: Wire, index: number) => unknown = () => {}): Promise<RawUpstream> {
  const connections = watched<Wire>()
  const server = createTcpServer((socket) => {
    const end = wire(socket)
    connections.add(end)
    void talk(end, connections.all.length - 1)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  cleanup(() => {
    for (const { socket } of connections.all) socket.destroy()
    return new Promise((resolve) => server.close(resolve))
  })
  const { port } = server.address() as AddressInfo
  return { origin: `http://127.0.0.1:${port}`, port, connections }
}

/** Answers every request on every connection with the same bytes, as soon as its header section is complete. */
export function answering(answer: string): (wire: Wire) => void {
  return ({ socket }) => {
    socket.on('data', (piece) => {
      if (piece.includes('\r\n\r\n')) socket.write(answer, 'latin1')
    })
  }
}

export async function client(port: number): Promise<Wire> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: false })
  cleanup(() => socket.destroy())
  await once(socket, 'connect')
  return wire(socket)
}

export const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
