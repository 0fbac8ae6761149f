import { field } from './header-lines.ts'
import type { Exchange, Finished, Reply } from './exchange.ts'

/** Answers with a whole response; resolves when it has been written or the client has gone. */
export function sendReply(exchange: Exchange, { status, headers, body, close }: Reply): Promise<Finished> {
  const bytes = Buffer.byteLength(body)
  return new Promise((resolve) => {
    if (exchange.closed) return resolve({ status, bytesOut: 0 })
    exchange.onClosed(() => resolve({ status, bytesOut: bytes }))
    const bodyless = status === 204 || status === 304
    let lines = ''
    for (const [name, value] of headers) lines += field(name, value)
    const out = exchange.respond({ status, headers: lines, length: bodyless ? undefined : bytes, close })
    if (bodyless || exchange.head.method === 'HEAD') out.end()
    // As long in bytes as in characters: ASCII.
    else if (typeof body === 'string' && body.length === bytes) out.end(body, 'latin1')
    else out.end(body)
  })
}
