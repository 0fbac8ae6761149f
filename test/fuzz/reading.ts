import { ChunkedDecoder } from '../../src/wire/chunked.ts'
import { endOfHead } from '../../src/wire/field-lines.ts'
import { scanHead } from '../../src/wire/request-head.ts'
import { compileTrust, parseTarget } from '../../src/routing/target.ts'

/** One request, as somebody reads it. */
export interface ReadRequest {
  readonly method: string
  readonly target: string
  /** As it was judged, with the query. */
  readonly path: string
  readonly httpVersion: string
  /** Name in lower case and value, in turn; Latin-1. */
  readonly headers: readonly string[]
  /** Latin-1; undefined: what follows belongs to a tunnel, if anybody opens it. */
  readonly body: string | undefined
  /** Offset, behind the empty line that may stand before it. */
  readonly start: number
  /** Offset behind it. */
  readonly end: number
  /** Nothing is read behind it. */
  readonly last: boolean
}

const TRUST = compileTrust({ proxies: [], hops: 0 })

/** The whole requests at the beginning of the bytes that we let through, one by one, as server/h1-connection.ts takes them. */
export function weRead(bytes: Buffer): readonly ReadRequest[] {
  const read: ReadRequest[] = []
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] === 0x0d && bytes[at + 1] === 0x0a) at += 2
    const start = at
    const end = endOfHead(bytes, at, at)
    const head = end === -1 ? undefined : scanHead(bytes, at, end)
    if (!head || 'problem' in head) break
    const { method, target, httpVersion, headers, framing, upgrade, upgradeTo } = head
    const last = head.close || upgrade || upgradeTo !== undefined
    const raw = { method, target, httpVersion, headers, upgrade, peer: '127.0.0.1', encrypted: false }
    const facts = parseTarget(raw, TRUST, 'id')
    if ('kind' in facts) break
    const list: string[] = []
    for (let i = 0; i < headers.count; i++) list.push(headers.name(i).lower, headers.value(i))
    const body = upgrade ? { text: undefined, end } : bodyAt(bytes, end, framing)
    if (!body) break
    read.push({
      method,
      target,
      path: facts.path + facts.query,
      httpVersion,
      headers: list,
      body: body.text,
      start,
      end: body.end,
      last,
    })
    if (last) break
    at = body.end
  }
  return read
}

function bodyAt(bytes: Buffer, from: number, framing: number | 'chunked') {
  if (typeof framing === 'number') {
    const end = from + framing
    return end > bytes.length ? undefined : { text: bytes.toString('latin1', from, end), end }
  }
  const decoder = new ChunkedDecoder()
  // Others read these bytes as well.
  const copy = Buffer.from(bytes.subarray(from))
  const to = decoder.decode(copy, 0, copy.length)
  return decoder.done && to !== -1
    ? { text: copy.toString('latin1', decoder.start, to), end: from + decoder.end }
    : undefined
}
