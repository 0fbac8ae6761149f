/** Calls to the identity provider and to Okta. Upstreams have connections of their own, and no proxy. */
import type { Dispatcher } from 'undici'
import type { Outbound } from '../config/model.ts'
import type { Span } from '../types.ts'
import { contextTrusting } from './authorities.ts'
import { undici } from './undici.ts'

/** `connections` to one origin; `connectTimeout` for each; `keepAlive`: while unused, unless the server says for how long. */
export function createOutboundDispatcher(
  { ca, proxy }: Outbound,
  {
    connections,
    connectTimeout,
    keepAlive,
  }: { readonly connections: number; readonly connectTimeout: Span; readonly keepAlive?: Span },
): Dispatcher {
  // An authority is added to those that everybody trusts: the provider may be public and Okta's proxy private.
  const tls = { timeout: connectTimeout, ...(ca !== undefined && { secureContext: contextTrusting(ca) }) }
  // The caller's clock ends a call that takes too long, so undici's own timers stay off.
  const kept = keepAlive !== undefined && { keepAliveTimeout: keepAlive }
  const options = { connections, headersTimeout: 0, bodyTimeout: 0, connect: tls, ...kept }
  const { Agent, EnvHttpProxyAgent } = undici()
  if (!proxy) return new Agent(options)
  return new EnvHttpProxyAgent({
    ...options,
    // Everything is said here: what is left out, undici would take from the environment.
    httpProxy: '',
    httpsProxy: proxy.url.reveal(),
    noProxy: proxy.except.join(','),
    requestTls: tls,
  })
}

/** One request, with redirects as answers. Rejects with what the connection says, or with the signal's reason. */
export type Send = (
  url: string,
  init: {
    readonly method: string
    readonly headers: Readonly<Record<string, string>>
    readonly body?: string | Uint8Array
    readonly signal: AbortSignal
  },
) => Promise<{
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: AsyncIterable<Uint8Array>
}>

/** Connections are opened when they are needed, and kept. `fetch` would do the same at three times the cost. */
export function createSend(outbound: Outbound, connectTimeout: Span): Send {
  let dispatcher: Dispatcher | undefined
  return async (url, { method, headers, body, signal }) => {
    dispatcher ??= createOutboundDispatcher(outbound, { connections: 16, connectTimeout })
    const { origin, pathname, search } = new URL(url)
    const answer = await dispatcher.request({
      origin,
      path: pathname + search,
      method,
      headers: { ...headers },
      body: body ?? null,
      signal,
    })
    return { status: answer.statusCode, headers: answer.headers, body: answer.body }
  }
}

/** All of it; undefined, and the connection closed: more than `limit` bytes. */
export async function readBounded(
  body: AsyncIterable<Uint8Array>,
  limit: number,
): Promise<Buffer<ArrayBuffer> | undefined> {
  const pieces: Uint8Array[] = []
  let size = 0
  // Leaving the loop closes the connection.
  for await (const piece of body) {
    size += piece.byteLength
    if (size > limit) return undefined
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
