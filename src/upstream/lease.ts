import type { AppError } from '../errors.ts'
import type { Span } from '../types.ts'
import type { UpstreamAddress } from './address.ts'
import type { AnswerHandler, UpstreamRequest } from './client.ts'
import type { TlsOptions } from './tls.ts'

/** How a connection to the upstream is made. */
export interface ConnectSettings {
  readonly kind: 'socket'
  readonly address: UpstreamAddress
  readonly timeout: Span
  /** The name to verify: ours, or it would be taken from the Host header, which a client may choose. */
  readonly servername: string
  readonly tls: TlsOptions
}

/** A tunnel is a stream of HTTP/2: a request with a `protocol`. */
export interface StreamSettings {
  readonly kind: 'stream'
  readonly dispatch: (request: UpstreamRequest, handler: AnswerHandler) => void
}

/** One request's hold on an upstream: the seam for load balancing, health and retries. */
export interface Lease {
  /** Scheme, host and port, or the path of a socket: for people. */
  readonly origin: string
  /** Its address for HTTP, `http://localhost` for a socket. */
  readonly url: string
  /** The name that its certificate must carry. */
  readonly servername: string
  /** Does it wait for a connection to become free? */
  readonly waiting: boolean
  /** Sends the request, at once or in turn. Too many: the handler gets ERR_UPSTREAM_BUSY. Again: for a retry. */
  dispatch(request: UpstreamRequest, handler: AnswerHandler): void
  /** Takes a place for a tunnel, which has a connection or a stream of its own. Too many: throws ERR_UPSTREAM_BUSY. */
  tunnel(protocol: string): ConnectSettings | StreamSettings
  /** Exactly once, when nothing more is sent: frees the place. */
  report(outcome: Outcome): void
  /** After the report: the same request on an upstream that it has not tried or, `anywhere`, on any; undefined: there is none. */
  next(where: 'elsewhere' | 'anywhere'): Lease | undefined
}

/** What whoever chooses upstreams learns. */
export type Outcome =
  | { readonly kind: 'answered'; readonly status: number }
  /** `sent`: a connection stood, so the upstream may have the request. */
  | { readonly kind: 'failed'; readonly error: AppError; readonly sent: boolean }
  /** The client or we failed, or the answer was cut, which says nothing about the upstream. */
  | { readonly kind: 'abandoned' }

/** Faults of the client and of ours say nothing about the upstream: nobody else shall lose it for them. */
export function failedWith(error: AppError, sent: boolean): Outcome {
  return error.code.startsWith('ERR_UPSTREAM_') ? { kind: 'failed', error, sent } : { kind: 'abandoned' }
}
