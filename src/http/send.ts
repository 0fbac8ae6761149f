import { field } from './header-lines.ts'
import type { Exchange, Finished, Reply } from './exchange.ts'

/** Answers with a whole response; what came of it once the exchange has closed. Throws when it has gone out some way already. */
export function writeReply(exchange: Exchange, { status, headers, body, close }: Reply): Finished {
  if (exchange.closed) return { status, bytesOut: 0 }
  const bytes = Buffer.byteLength(body)
  const bodyless = status === 204 || status === 304
  let lines = ''
  for (const [name, value] of headers) lines += field(name, value)
  const out = exchange.respond({ status, headers: lines, length: bodyless ? undefined : bytes, close })
  if (bodyless || exchange.head.method === 'HEAD') out.end()
  // As long in bytes as in characters: ASCII.
  else if (typeof body === 'string' && body.length === bytes) out.end(body, 'latin1')
  else out.end(body)
  return { status, bytesOut: bytes }
}
