/** Exchanges and the ways out of them. Types only. */
import type { CookieNames, Fixed, Live } from '../config/model.ts'
import type { Route } from '../config/route-model.ts'
import type { AppError, ErrorCode } from '../errors.ts'
import type { Asker, Principal } from '../policy/model.ts'
import type { Decision, Grant, ShadowDecision } from '../policy/verdict.ts'
import type { RouteTable } from '../routing/model.ts'
import type { Monotonic, Limit, PersonKey, Span, WallTime } from '../types.ts'
import type { Duplex, Readable } from 'node:stream'
import type { BadRequest, RequestFacts, RequestHead } from './request.ts'

export type { BadRequest, RequestFacts, RequestHead } from './request.ts'

/**
 * The world as one request sees it: built whole from the live configuration, read once at the top; nothing below asks
 * for "current" anything. A reload replaces it in one step; it ends when its last exchange has left.
 */
export interface Generation {
  readonly version: number
  /** routing/target.parseTarget with this configuration's trust in forwarded headers. */
  readonly parse: (head: RequestHead) => RequestFacts | BadRequest
  /** The same in every generation of a process. */
  readonly fixed: Fixed
  readonly live: Live
  /** By the scheme of the host that was asked, as it is configured. */
  readonly cookieNames: Readonly<Record<'http' | 'https', CookieNames>>
  readonly routes: RouteTable
  /** In the order in which they are asked. */
  readonly authenticators: readonly Authenticator[]
  readonly forwarder: Forwarder
  /** Absent: nobody is limited. */
  readonly rateLimits: RateLimits | undefined
  /** An exchange begins in this generation; `leave` when it has ended. */
  enter(): void
  leave(): void
}

/** Counts a request. 0: it may go on; otherwise the milliseconds until one may. `route`: absent for our own paths. */
export interface RateLimits {
  client(facts: RequestFacts, route: Route | undefined, now: Monotonic): Span
  person(who: Principal, route: Route, now: Monotonic): Span
}

/** Knows one kind of credential. */
export interface Authenticator {
  /**
   * undefined: the request holds no credential of this kind that is good on this route, whatever else it holds: an
   * `Authorization` header may be the application's own. A bad token counts only if no other authenticator knows who this
   * is. Only a technical fault throws or rejects. Answers at once where it can; a promise costs every request.
   */
  identify(facts: RequestFacts, route: Route, now: WallTime): Asker | Promise<Asker>
}

/** A whole response as a value; http/send.ts writes it. */
export interface Reply {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | Buffer
  /** The connection closes after it. Absent: it may stay open. */
  readonly close?: true
}

export interface Finished {
  readonly status: number
  readonly bytesOut: number
  readonly forwarded?: Forwarded
}

/** One finished request, for metrics, traces and the status page. */
export interface RequestSample {
  readonly facts: RequestFacts | undefined
  readonly who: Principal | undefined
  readonly route: Route | undefined
  readonly decision: Decision | undefined
  readonly shadow: ShadowDecision | undefined
  readonly finished: Finished | undefined
  readonly error: { readonly code: ErrorCode } | undefined
  readonly seconds: number
  /** Absent: nobody traces. */
  readonly trace?: Trace | undefined
}

/** The trace of one request (https://www.w3.org/TR/trace-context/). */
export interface Trace {
  /** 32 hex digits. */
  readonly id: string
  /** The trace context for the upstream (header lines), in place of the client's. */
  readonly lines: string
  /** Ends the step before, if there is one, and begins this one. */
  step(name: TraceStep): void
  /** The same; what the work waits for becomes a part of this step. */
  within<R>(name: TraceStep, work: () => R): R
  end(sample: RequestSample): void
}

/** Who asks; may they; our own answer, or the application's. */
export type TraceStep = 'session' | 'authz' | 'control' | 'upstream'

export interface Tracing {
  /** `trusted`: the trace context of the request counts. */
  begin(facts: RequestFacts, head: RequestHead, startedAt: Monotonic, trusted: boolean): Trace
}

/** What the forwarder reports; a failure before the response began is thrown as an AppError instead. */
export interface Forwarded {
  readonly status: number
  readonly upstream: string
  /** Time until the head of the response. */
  readonly upstreamMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** For the log: why the upstream may have answered so. */
  readonly hint?: string
  /** Set when the exchange was cut after it began. */
  readonly cut?: ErrorCode | CutReason
  /** The time limit that cut it, by its key: `idle_timeout (5m)`. */
  readonly limit?: string
}

export type CutReason =
  | 'signed-out'
  | 'expired'
  | 'revoked'
  | 'no-longer-allowed'
  /** The store has not been heard for `store_grace`: nobody can say whether the session is over. */
  | 'store-unavailable'
  | 'client-closed'
  /** The client read nothing of its answer for too long. */
  | 'client-stalled'
  /** A tunnel in which nobody said anything for too long. */
  | 'idle'
  /** It lasted longer than it may, however busy it was (`request_timeout`, `tunnel_max_lifetime`). */
  | 'too-long'
  | 'shutdown'

/**
 * One request and its answer, whatever carries them: only an adapter (server/h1.ts) knows sockets. It has one exit,
 * `respond` or `upgrade`; a second one throws. test/contract/exchange.ts says what every adapter does.
 */
export interface Exchange {
  readonly head: RequestHead
  /** undefined: the request has none. */
  readonly body: RequestBody | undefined
  /** Begins the answer. Its body is dropped if the status or the method allows none. */
  respond(head: ResponseHead): ResponseBody
  /**
   * Accepts the upgrade that `head.upgrade` asks for: both directions from then on.
   * @param headers lines, as in `ResponseHead`.
   * @param idle replaces `tunnel_idle_timeout`; 0: no limit.
   */
  upgrade(headers: string, idle?: Span): Duplex
  /** Ends it at once, in a way that no client takes for a complete answer. */
  abort(reason: CutReason | ErrorCode): void
  /** Why it was aborted. */
  readonly aborted: CutReason | ErrorCode | undefined
  /** The client's side is closed: the answer has been written, the client has gone, or the exchange was aborted. */
  readonly closed: boolean
  /** Calls once, when `closed` becomes true, or soon when it is. */
  onClosed(listener: () => void): void
}

export interface ResponseHead {
  readonly status: number
  /** HTTP/2 has none. */
  readonly reason?: string | undefined
  /** Lines (http/header-lines.ts), all tidy, without those that frame the answer. `Date` is added when it is missing. */
  readonly headers: string
  /** `Content-Length`: octets of the body, or of the one that is left out (HEAD, 304); undefined: not known beforehand. */
  readonly length?: number | undefined
  /** Is a `Date` among the lines? */
  readonly dated?: boolean | undefined
  /** The connection closes after it. */
  readonly close?: boolean | undefined
}

/** Reading it sends "100 Continue" to a client that waits for that. Destroying it drops what still arrives, and leaves the answer alone. */
export interface RequestBody extends Readable {
  /** Read from the client so far. */
  readonly bytes: number
  /** Is the reader waiting for the client, and not the other way round? */
  readonly starving: boolean
  /** Runs for each piece that the client sends. */
  onPiece: () => void
  /** The longest silence of the client, from now on. After it the body fails with ERR_CLIENT_TIMEOUT. */
  limit(idle: Limit): void
  /** The most bytes that may come. Beyond it the body fails with ERR_BODY_TOO_LARGE. */
  limitBytes(most: number): void
}

/** The part of Node's `Writable` that is used. A string is UTF-8 unless an encoding is given. */
export interface ResponseBody {
  /** False: wait for `drain`, or for the end of the exchange. Never false for what the system took at once. */
  write(piece: Buffer | string): boolean
  write(piece: Buffer | string, encoding: 'latin1'): boolean
  /** Passing the whole body, or its last piece, here saves one write. */
  end(piece?: Buffer | string): unknown
  end(piece: Buffer | string, encoding: 'latin1'): unknown
  once(event: 'drain', resume: () => void): unknown
  /** Octets that the system has not taken yet. 0 after a `write`: the piece may be used for something else. */
  readonly writableLength: number
  readonly writableNeedDrain: boolean
  /** The system has taken all of the answer. */
  readonly writableFinished: boolean
  /** Sends the head now; otherwise it may wait for the first piece. */
  flushHeaders(): void
  /** Call it before `end`. They may be dropped. */
  addTrailers(trailers: Readonly<Record<string, string>>): void
}

export interface Forwarder {
  /** Passes a request on, or opens a tunnel. Throws for what is no grant of the policy engine. */
  forward(grant: Grant, exchange: Exchange, outcome: ForwardOutcome): void
  /** What the application is told of the person: lines (http/header-lines.ts), all tidy. */
  identityHeaders(grant: Grant): string | Promise<string>
}

/** Hears once what became of a forwarded request. */
export interface ForwardOutcome {
  /** Absent: the request has none of ours. */
  readonly trace?: Trace | undefined
  /** The exchange has closed. */
  forwarded(result: Forwarded): void
  /** Nothing was answered. */
  failed(error: AppError): void
}

/** Long-lived exchanges (WebSockets, SSE, downloads) that must end when their permission does. */
export interface OpenStream {
  /** policy/credential.ts; absent: nobody has to say who they are. */
  readonly credential: string | undefined
  readonly person: PersonKey | undefined
  readonly openedAt: Monotonic
  readonly expiresAt: WallTime
  /** Decides again with what is known now. */
  stillAllowed(): boolean
  /** Asks again who shows these credentials; `stillAllowed` judges by the answer from then on. Rejects when that cannot be known now. */
  stillKnown(): Promise<boolean>
  cut(reason: CutReason): void
}

/** Of a stream in the registry. */
export interface StreamPlace {
  leave(): void
}

export interface StreamRegistry {
  add(stream: OpenStream): StreamPlace
  /** Cuts what this credential let in. */
  end(credential: string, reason: CutReason): void
  /** Decides again for one person, or for everyone (a new configuration). */
  recheck(person?: PersonKey): void
  /** Identifies everybody again, because a sign-out may have been missed. false: for some that is not possible now. */
  confirm(): Promise<boolean>
  /** Cuts all streams with a credential that were opened before this instant. */
  endOlder(than: Monotonic, reason: CutReason): void
  readonly size: number
  close(): void
}
