/** Exchanges and the ways out of them. Types only. */
import type { CookieNames, Fixed, Live, Route } from '../config/model.ts'
import type { ErrorCode } from '../errors.ts'
import type { Principal } from '../policy/model.ts'
import type { Decision, Grant } from '../policy/verdict.ts'
import type { RouteTable } from '../routing/model.ts'
import type { PersonKey, SessionId, Unsubscribe, WallTime } from '../types.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { BadRequest, RequestFacts } from './request.ts'

export type { BadRequest, RequestFacts } from './request.ts'

/**
 * The world as one request sees it: built whole from the live configuration, read once at the top; nothing below asks
 * for "current" anything. A reload replaces it in one step; it ends when its last exchange has left.
 */
export interface Generation {
  readonly version: number
  /** routing/target.parseTarget with this configuration's trust in forwarded headers. */
  readonly parse: (req: IncomingMessage, upgrade: boolean) => RequestFacts | BadRequest
  /** The same in every generation of a process. */
  readonly fixed: Fixed
  readonly live: Live
  /** By the scheme of the host that was asked, as it is configured. */
  readonly cookieNames: Readonly<Record<'http' | 'https', CookieNames>>
  readonly routes: RouteTable
  /** In the order in which they are asked. */
  readonly authenticators: readonly Authenticator[]
  readonly forwarder: Forwarder
  /** An exchange begins in this generation; `leave` when it has ended. */
  enter(): void
  leave(): void
}

/** Knows one kind of credential. */
export interface Authenticator {
  /**
   * undefined: the request holds no credential of this kind that is good on this route, whatever else it holds: an
   * `Authorization` header may be the application's own. Only a technical fault throws or rejects. Answers at once where it
   * can; a promise costs every request.
   */
  identify(facts: RequestFacts, route: Route, now: WallTime): Principal | undefined | Promise<Principal | undefined>
}

/** A whole response as a value; only server/listen.ts writes one. */
export interface Reply {
  readonly status: number
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly body: string | Buffer
}

export interface Finished {
  readonly status: number
  readonly bytesOut: number
  readonly forwarded?: Forwarded
}

/** One finished request, for whoever counts. */
export interface RequestSample {
  readonly facts: RequestFacts | undefined
  readonly route: Route | undefined
  readonly decision: Decision | undefined
  readonly finished: Finished | undefined
  readonly error: { readonly code: ErrorCode } | undefined
  readonly seconds: number
}

/** What the forwarder reports; a failure before the response began is thrown as an AppError instead. */
export interface Forwarded {
  readonly status: number
  readonly upstream: string
  /** Until the response header. */
  readonly upstreamMs: number
  readonly bytesIn: number
  readonly bytesOut: number
  /** Set when the exchange was cut after it began. */
  readonly cut?: ErrorCode | CutReason
}

export type CutReason = 'signed-out' | 'expired' | 'revoked' | 'no-longer-allowed' | 'client-closed' | 'shutdown'

/** One request or one upgrade, and the only two ways out of it; a second exit throws. HTTP and upgrades share every check. */
export interface Exchange {
  readonly req: IncomingMessage
  readonly upgrade: boolean
  reply(reply: Reply): Promise<Finished>
  /** By the forwarder of the generation that judged it. */
  pass(grant: Grant, forwarder: Forwarder): Promise<Finished>
  /** Ends a passed exchange at once: the response is cut, the tunnel closed. */
  cut(reason: CutReason): void
}

export interface Forwarder {
  /** A cut exchange shows as its client socket being destroyed: the forwarder then aborts the upstream request. */
  forward(grant: Grant, req: IncomingMessage, res: ServerResponse): Promise<Forwarded>
  /** Answers the handshake itself; resolves when the tunnel has ended. Rejects only before anything was written to the socket. */
  tunnel(grant: Grant, req: IncomingMessage, socket: Duplex, head: Buffer): Promise<Forwarded>
}

/** Long-lived exchanges (WebSockets, SSE, downloads) that must end when their permission does. */
export interface OpenStream {
  /** Nobody signed in where none is needed. */
  readonly sessionId: SessionId | undefined
  readonly person: PersonKey | undefined
  readonly expiresAt: WallTime
  /** Decides again with what is known now. */
  stillAllowed(): boolean
  cut(reason: CutReason): void
}

export interface StreamRegistry {
  add(stream: OpenStream): Unsubscribe
  endSession(id: SessionId, reason: CutReason): void
  /** Decide again for one person, or for everyone (a new configuration). */
  recheck(person?: PersonKey): void
  readonly size: number
  close(): void
}
