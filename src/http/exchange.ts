/** Requests, their facts, and the ways out of an exchange. Types only. */
import type { Config, Route } from '../config/model.ts'
import type { ErrorCode } from '../errors.ts'
import type { Decision, Grant, PolicyEngine } from '../policy/model.ts'
import type { Millis, SessionId, Subject, Unsubscribe } from '../types.ts'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'

/** What was asked, read once from the raw request by routing/target.ts. What is judged here is what is forwarded. */
export interface RequestFacts {
  /** Request id: shown to people, logged, sent upstream. */
  readonly id: string
  readonly method: string
  /** Canonical: lower case, no trailing dot, no port. */
  readonly host: string
  readonly port: number | undefined
  /** Canonical path: begins with `/`, dot segments removed, unreserved octets decoded, slashes merged. */
  readonly path: string
  /** `''`, or `?` and the bytes that followed it, unchanged. */
  readonly query: string
  /** Canonical; `unknown` when a trusted hop spoke for the client and its address cannot be read. */
  readonly clientIp: string
  /** How the client spoke to us or, when a trusted hop says so, to that hop. */
  readonly scheme: 'http' | 'https'
  /** `html`: a navigation that may be redirected. `json`: anything else. `upgrade`: asks for another protocol. */
  readonly wants: 'html' | 'json' | 'upgrade'
  /** All Cookie lines joined with `; `; `''` when there is none. */
  readonly cookie: string
  readonly origin: string | undefined
  readonly userAgent: string
}

export interface BadRequest {
  readonly kind: 'bad-request'
  readonly id: string
  readonly status: 400 | 405 | 408 | 417 | 431 | 501
  /** Short and constant: never echoes what was sent. */
  readonly detail: string
  readonly clientIp: string
}

export type ControlAction =
  | 'ping'
  | 'robots'
  | 'jwks'
  | 'well-known'
  | 'style'
  | 'route-callback'
  | 'sign-in'
  | 'idp-callback'
  | 'sign-out'
  | 'signed-out'
  | 'user-page'
  | 'user-json'
  | 'okta-hook'
  | 'scim'

export type RouteMatch =
  | { readonly kind: 'route'; readonly route: Route }
  /** `origin`: the external origin of this host from configuration, never from the request's scheme or port. */
  | {
      readonly kind: 'control'
      readonly action: ControlAction
      readonly on: 'authenticate' | 'route'
      readonly origin: string
    }
  | { readonly kind: 'none' }

export interface RouteTable {
  match(request: RequestFacts): RouteMatch
  /** External origin of a route's host for this request; undefined when no route serves the host. */
  originOf(host: string, port: number | undefined): string | undefined
  /** May a sign-in return here? Host, scheme and port of a configured route or of the authenticate service. */
  allowsReturn(url: URL): boolean
}

/** The world as one request sees it: read once at the top, nothing below asks for "current" anything. */
export interface Generation {
  readonly version: number
  /** routing/target.parseTarget with this configuration's trust in forwarded headers. */
  readonly parse: (req: IncomingMessage, upgrade: boolean) => RequestFacts | BadRequest
  readonly config: Config
  readonly routes: RouteTable
  readonly policy: PolicyEngine
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
  pass(grant: Grant): Promise<Finished>
  /** Ends a passed exchange at once: the response is cut, the tunnel closed. */
  cut(reason: CutReason): void
}

export interface Forwarder {
  /** A cut exchange shows as its client socket being destroyed: the forwarder then aborts the upstream request. */
  forward(grant: Grant, req: IncomingMessage, res: ServerResponse): Promise<Forwarded>
  /** Answers the handshake itself; resolves when the tunnel has ended. Rejects only before anything was written to the socket. */
  tunnel(grant: Grant, req: IncomingMessage, socket: Duplex, head: Buffer): Promise<Forwarded>
  close(): Promise<void>
}

/** Long-lived exchanges (WebSockets, SSE, downloads) that must end when their permission does. */
export interface OpenStream {
  readonly sessionId: SessionId
  readonly subject: Subject
  readonly expiresAt: Millis
  /** Decides again with what is known now. */
  stillAllowed(): boolean
  cut(reason: CutReason): void
}

export interface StreamRegistry {
  add(stream: OpenStream): Unsubscribe
  endSession(id: SessionId, reason: CutReason): void
  /** Decide again for one subject, or for everyone (a new configuration). */
  recheck(subject?: Subject): void
  readonly size: number
  close(): void
}
