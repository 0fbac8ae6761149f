import { AppError, messageOf } from '../errors.ts'
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
  init: FetchInit,
  signal: AbortSignal,
  send: typeof fetch = fetch,
): Promise<Response> {
  const { origin, pathname } = new URL(url)
  const what = `${init.method} ${origin}${pathname}`
  const signals = init.signal ? [init.signal, signal] : [signal]
  let response: Response
  let body: Uint8Array<ArrayBuffer>
  try {
    response = await send(url, { ...(init as RequestInit), signal: AbortSignal.any(signals) })
    body = await readBody(response, what)
  } catch (error) {
    if (error instanceof AppError) throw error
    const code = certificateFault(error) === undefined ? 'ERR_IDP_UNREACHABLE' : 'ERR_IDP_TLS'
    throw new AppError(code, `${what} failed: ${reason(error)}`, { cause: error })
  }
  if (response.status === 429 || response.status >= 500) {
    throw new AppError('ERR_IDP_UNREACHABLE', `${what} answered ${response.status}`)
  }
  const bodyless = response.status === 204 || response.status === 205 || response.status === 304
  return new Response(bodyless ? null : body, { status: response.status, headers: response.headers })
}

async function readBody(response: Response, what: string): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = []
  let size = 0
  // Leaving the loop by a throw cancels the stream and closes the connection.
  for await (const piece of response.body ?? []) {
    size += piece.byteLength
    if (size > MAX_BODY_BYTES) throw new AppError('ERR_IDP_REJECTED', `${what}: answer larger than 1 MiB`)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}

/** `fetch failed` says nothing; its cause does: `connect ECONNREFUSED …`. */
function reason(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined
  return messageOf(cause instanceof Error ? cause : error)
}
