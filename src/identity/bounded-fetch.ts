import { gunzipSync } from 'node:zlib'
import { AppError, messageOf } from '../errors.ts'
import { readBounded, type Send } from '../lib/outbound.ts'
import { certificateFault } from '../lib/certificate-fault.ts'

/** Metadata, key sets, tokens and userinfo are a few kilobytes; a groups claim with thousands of names stays below this. */
const MAX_BODY_BYTES = 1_048_576

export interface FetchInit {
  readonly method: string
  readonly headers: Record<string, string>
  readonly body?: unknown
  readonly redirect: 'manual'
  readonly signal?: AbortSignal
}

/**
 * One call to the identity provider, with the whole answer read and bounded in size after decompression
 * (CVE-2024-22025). Redirects are answers, never followed: the client secret must not travel on.
 * `send` is the way out. Rejects ERR_IDP_UNREACHABLE for what may be different in a moment: no answer, a timeout, 5xx, and 429,
 * whose body Okta words as `invalid_grant` (okta-api.md#oauth-errors). ERR_IDP_TLS: its certificate is not believed.
 */
export async function boundedFetch(
  url: string,
  { method, headers, body: sent, signal: own }: FetchInit,
  signal: AbortSignal,
  send: Send,
): Promise<Response> {
  const { origin, pathname } = new URL(url)
  const what = `${method} ${origin}${pathname}`
  try {
    const answer = await send(url, {
      method,
      headers: { ...headers, 'accept-encoding': 'identity' },
      ...(sent !== undefined && sent !== null && { body: textOf(sent) }),
      signal: own ? AbortSignal.any([own, signal]) : signal,
    })
    const { status } = answer
    const bytes = await readBounded(answer.body, MAX_BODY_BYTES)
    if (!bytes) throw tooLarge(what)
    if (status === 429 || status >= 500) throw new AppError('ERR_IDP_UNREACHABLE', `${what} answered ${status}`)
    const { 'content-encoding': coding, ...others } = answer.headers
    const body = coding === undefined || coding === 'identity' ? bytes : decoded(bytes, String(coding), what)
    const bodyless = status === 204 || status === 205 || status === 304
    return new Response(bodyless ? null : body, { status, headers: headersOf(others) })
  } catch (error) {
    if (error instanceof AppError) throw error
    const code = certificateFault(error) === undefined ? 'ERR_IDP_UNREACHABLE' : 'ERR_IDP_TLS'
    throw new AppError(code, `${what} failed: ${reason(error)}`, { cause: error })
  }
}

/** Forms and JSON: what the library sends. */
function textOf(body: unknown): string {
  if (typeof body === 'string') return body
  if (body instanceof URLSearchParams) return body.toString()
  throw new TypeError('a call to the identity provider has a body of text')
}

/** Nobody was asked to compress, and some do. */
function decoded(bytes: Uint8Array, coding: string, what: string): Uint8Array<ArrayBuffer> {
  if (coding.toLowerCase() !== 'gzip')
    throw new AppError('ERR_IDP_REJECTED', `${what}: answer in another coding than asked for`)
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_BODY_BYTES })
  } catch (error) {
    if (error instanceof RangeError) throw tooLarge(what)
    throw new AppError('ERR_IDP_REJECTED', `${what}: answer that cannot be decompressed`, { cause: error })
  }
}

function tooLarge(what: string): AppError {
  return new AppError('ERR_IDP_REJECTED', `${what}: answer larger than 1 MiB`)
}

function headersOf(fields: Readonly<Record<string, string | string[] | undefined>>): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(fields)) {
    for (const one of [value ?? []].flat()) headers.append(name, one)
  }
  return headers
}

/** Some packages wrap what the connection says: `connect ECONNREFUSED …`. */
function reason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return messageOf(cause instanceof Error ? cause : error)
}
