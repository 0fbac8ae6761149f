import { createServer } from 'node:http'
import { listenOn, portOf } from './world.ts'

export interface OtlpAttribute {
  readonly key: string
  readonly value: { readonly stringValue?: string; readonly intValue?: string }
}
export interface OtlpSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly traceState?: string
  readonly flags: number
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: readonly OtlpAttribute[]
  readonly status?: { readonly code: number }
}
interface Request {
  readonly path: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: Buffer
}

export interface OtlpReceiver {
  readonly url: string
  readonly requests: readonly Request[]
  /** Of requests in JSON. */
  readonly spans: readonly OtlpSpan[]
  /** Of the last request in JSON. */
  resource(): Readonly<Record<string, string | undefined>>
  /** What it answers from now on; 0: it cuts the connection. */
  answer(status: number, headers?: Readonly<Record<string, string>>): void
  close(): Promise<void>
}

/** Takes OTLP over HTTP, and keeps what it was sent. */
export async function createOtlpReceiver(): Promise<OtlpReceiver> {
  const requests: Request[] = []
  let answer: { status: number; headers: Readonly<Record<string, string>> } = { status: 200, headers: {} }
  const server = await listenOn(
    createServer((req, res) => {
      const pieces: Buffer[] = []
      req.on('data', (piece: Buffer) => pieces.push(piece))
      req.on('end', () => {
        requests.push({ path: req.url ?? '', headers: req.headers, body: Buffer.concat(pieces) })
        if (answer.status === 0) req.socket.destroy()
        else res.writeHead(answer.status, answer.headers).end('{}')
      })
    }),
  )
  const messages = () =>
    requests
      .filter(({ headers }) => headers['content-type'] === 'application/json')
      .map(({ body }) => JSON.parse(body.toString()))
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    requests,
    get spans() {
      return messages().flatMap(({ resourceSpans = [] }) => resourceSpans[0]?.scopeSpans[0].spans as OtlpSpan[])
    },
    resource: () => {
      const { resourceSpans, resourceMetrics } = messages().at(-1)
      return attributesOf((resourceSpans ?? resourceMetrics)[0].resource)
    },
    answer: (status, headers = {}) => void (answer = { status, headers }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

export function attributesOf({
  attributes,
}: {
  readonly attributes: readonly OtlpAttribute[]
}): Readonly<Record<string, string | undefined>> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue ?? value.intValue]))
}

type Wire = readonly { readonly field: number; readonly value: bigint | Buffer }[]

/** Protobuf as it is on the wire, whatever it means. */
export function protobufFields(bytes: Buffer): Wire {
  const fields: { field: number; value: bigint | Buffer }[] = []
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const octet = bytes[at++]
      if (octet === undefined) throw new Error('protobuf: cut off')
      value |= BigInt(octet & 127) << shift
      if (octet < 128) return value
    }
  }
  while (at < bytes.length) {
    const head = Number(varint())
    const [field, wire] = [head >> 3, head & 7]
    if (wire === 0) fields.push({ field, value: varint() })
    else if (wire === 1 || wire === 5 || wire === 2) {
      const length = wire === 1 ? 8 : wire === 5 ? 4 : Number(varint())
      if (at + length > bytes.length) throw new Error('protobuf: cut off')
      fields.push({ field, value: bytes.subarray(at, (at += length)) })
    } else throw new Error(`protobuf: wire type ${wire}`)
  }
  return fields
}
