import { AppError, type ErrorCode, messageOf } from '../errors.ts'
import { certificateFault } from '../lib/certificate-fault.ts'
import { describeLimit } from '../lib/duration.ts'
import type { Limit } from '../types.ts'
import { isTls } from './address.ts'
import { tlsProblem } from './tls.ts'

const RESOLVE = new Set(['ENOTFOUND', 'EAI_AGAIN', 'EAI_FAIL', 'EAI_NODATA', 'EAI_NONAME', 'ENODATA'])
const CONNECT = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EACCES',
  'EPERM',
  'EINVAL',
])
const BUSY = new Set(['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL'])
const TLS = /^(?:ERR_TLS_|ERR_SSL_|EPROTO$)/

const TLS_CODES: ReadonlySet<ErrorCode> = new Set(['ERR_UPSTREAM_TLS', 'ERR_UPSTREAM_CERTIFICATE'])

/** Messages that say less than we know. */
const PROTOCOL_PROBLEMS = new Map([
  ['HPE_HEADER_OVERFLOW', 'the header of its answer is too long'],
  ['ERR_HTTP2_ERROR', 'it does not speak HTTP/2 on this port; write http:// in `to`?'],
])

/** How far an exchange with an upstream had come when it failed. */
export interface FailureFacts {
  /** For the log; scheme, host and port only. */
  readonly origin: string
  /** The name that the upstream's certificate must carry. */
  readonly servername: string
  /** Was a connection there, so that the request went out? */
  readonly connected: boolean
}

/** What went wrong with an upstream, as an error of our table; the original is the cause. */
export function upstreamFailure(error: unknown, { origin, servername, connected }: FailureFacts): AppError {
  if (error instanceof AppError) return error
  const code = classify(error, connected, isTls(origin))
  const known = TLS_CODES.has(code) ? tlsProblem(error, servername) : PROTOCOL_PROBLEMS.get(codeOf(error))
  const what = known ?? reasonOf(error)
  return new AppError(code, `upstream ${origin}: ${what}`, { cause: error, details: { upstream: origin } })
}

/** @param what did not come in time. */
export function lateUpstream(
  origin: string,
  what: string,
  late: Limit,
  code: ErrorCode = 'ERR_UPSTREAM_TIMEOUT',
): AppError {
  const limit = describeLimit(late)
  return new AppError(code, `upstream ${origin}: ${what} in time; the limit is ${limit}`, {
    details: { upstream: origin, limit },
  })
}

/** A name with several addresses fails once for each, and says nothing itself. */
function reasonOf(error: unknown): string {
  if (!(error instanceof AggregateError) || error.message !== '') return messageOf(error)
  return error.errors.map(messageOf).join(', ')
}

/** @param what is wrong with what it said. */
export function protocolFailure(origin: string, what: string): AppError {
  return new AppError('ERR_UPSTREAM_PROTOCOL', `upstream ${origin}: ${what}`, { details: { upstream: origin } })
}

/** What an upstream cannot be asked over HTTP/2, and the key that mends it. */
export function needsHttp1(origin: string, what: string): AppError {
  const key = isTls(origin) ? 'set `upstream_codec_type: auto`' : 'write http:// in `to`'
  return protocolFailure(origin, `${what} over HTTP/2; ${key} if it speaks HTTP/1.1`)
}

function classify(error: unknown, connected: boolean, tls: boolean): ErrorCode {
  const code = codeOf(error)
  // Ours.
  if (code === '') return 'ERR_INTERNAL'
  if (BUSY.has(code)) return 'ERR_UPSTREAM_BUSY'
  if (code === 'ETIMEDOUT') return 'ERR_UPSTREAM_TIMEOUT'
  if (certificateFault(error) !== undefined) return 'ERR_UPSTREAM_CERTIFICATE'
  if (TLS.test(code)) return 'ERR_UPSTREAM_TLS'
  if (!connected) {
    if (RESOLVE.has(code)) return 'ERR_UPSTREAM_RESOLVE'
    // An https upstream that hangs up while we shake hands is a TLS failure, whatever the socket says.
    return !tls || CONNECT.has(code) ? 'ERR_UPSTREAM_CONNECT' : 'ERR_UPSTREAM_TLS'
  }
  // HPE_ is Node's parser, of the handshake of a tunnel; and Node refuses to write such a header.
  const isProtocol = /^(?:HPE_|ERR_INVALID_CHAR|ERR_HTTP_|ERR_HTTP2_(?:SESSION_)?ERROR$)/.test(code)
  return isProtocol ? 'ERR_UPSTREAM_PROTOCOL' : 'ERR_UPSTREAM_RESET'
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string'
    ? error.code
    : ''
}
