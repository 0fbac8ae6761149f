import type { Exchange, Finished, Reply } from './exchange.ts'

/** Answers with a whole response; resolves when it has been written or the client has gone. */
export function sendReply(exchange: Exchange, { status, headers, body }: Reply): Promise<Finished> {
  const bytes = typeof body === 'string' ? Buffer.from(body) : body
  return new Promise((resolve) => {
    if (exchange.closed) return resolve({ status, bytesOut: 0 })
    exchange.onClosed(() => resolve({ status, bytesOut: bytes.length }))
    const bodyless = status === 204 || status === 304
    const flat = headers.flat()
    const out = exchange.respond({
      status,
      headers: bodyless ? flat : [...flat, 'content-length', String(bytes.length)],
    })
    if (bodyless || exchange.head.method === 'HEAD') out.end()
    else out.end(bytes)
  })
}
