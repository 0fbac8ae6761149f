import { field } from './header-lines.ts'
import type { Exchange, Finished, Reply, ResponseBody } from './exchange.ts'

/** Bytes of a whole body that go out as a string together with their head: one plain write instead of gathered buffers. */
const SMALL = 12 * 1024

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
    else if (typeof body === 'string' && body.length === bytes && bytes <= SMALL) endWithText(out, body)
    else endWith(out, typeof body === 'string' ? Buffer.from(body) : body)
  })
}

/** Ends an answer with all of its body, or the rest of it. False: its bytes are still needed after the return. */
export function endWith(out: ResponseBody, body: Buffer): boolean {
  if (body.length <= SMALL) {
    endWithText(out, body.toString('latin1'))
    return true
  }
  out.end(body)
  return out.writableLength === 0
}

/** Written by `end` it would go out together with an empty piece, as a list of two: twice the cost of one write. */
function endWithText(out: ResponseBody, latin1: string): void {
  if (out.chunkedEncoding) return void out.end(latin1, 'latin1')
  out.cork()
  out.write(latin1, 'latin1')
  out.uncork()
  out.end()
}
