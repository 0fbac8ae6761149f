import { randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'

/** One request as the emulator's handlers see it. */
export interface Call {
  /** `X-Okta-Request-Id`. */
  readonly id: string
  readonly method: string
  /** As sent, still percent-encoded. */
  readonly path: string
  readonly query: URLSearchParams
  readonly req: IncomingMessage
  readonly res: ServerResponse
  /** Set by the router: decoded `:name` segments. */
  readonly params: Readonly<Record<string, string>>
  /** Read once, kept; at most 1 MiB. */
  body(): Promise<Buffer>
}

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string
}

/** `handled`: the handler has written to `call.res` itself. */
export type Handler = (call: Call) => Promise<Reply | 'handled'> | Reply | 'handled'

const BODY_LIMIT = 1024 * 1024

export function createCall(req: IncomingMessage, res: ServerResponse): Call {
  // `//` is a path, and no host to be parsed.
  const url = new URL(`http://emulator${req.url?.startsWith('/') ? req.url : '/'}`)
  let body: Promise<Buffer> | undefined
  return {
    id: `req${randomBytes(12).toString('base64url')}`,
    method: req.method ?? 'GET',
    path: url.pathname,
    query: url.searchParams,
    req,
    res,
    params: {},
    body: () => (body ??= read(req)),
  }
}

async function read(req: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of req as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > BODY_LIMIT) throw new RangeError('request body too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

export async function form(call: Call): Promise<URLSearchParams> {
  return new URLSearchParams((await call.body()).toString('utf8'))
}

export function json(status: number, value: unknown, headers: Reply['headers'] = {}): Reply {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}

export function html(status: number, body: string): Reply {
  return { status, headers: { 'content-type': 'text/html; charset=utf-8', ...PAGE_HEADERS }, body }
}

export function redirect(location: string, status = 302, headers: Reply['headers'] = {}): Reply {
  return { status, headers: { location, ...headers }, body: '' }
}

export function empty(status = 204, headers: Reply['headers'] = {}): Reply {
  return { status, headers, body: '' }
}

/** Pages have no script. No `form-action`: Chromium applies it to the redirects that follow a sign-in. */
const PAGE_HEADERS = {
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  // Under `no-referrer` a browser posts the forms of a page with `Origin: null`.
  'referrer-policy': 'same-origin',
  'cache-control': 'no-store',
} as const
