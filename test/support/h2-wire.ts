/** A client of HTTP/2 that sends frames exactly as it is told, right or wrong. It shares nothing with the server's codec. */
import { connect, type Socket } from 'node:net'

export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

export const END_STREAM = 1
export const ACK = 1
export const END_HEADERS = 4
export const PADDED = 8

export const NO_ERROR = 0
export const PROTOCOL_ERROR = 1
export const FLOW_CONTROL_ERROR = 3
export const REFUSED_STREAM = 7
export const CANCEL = 8
export const COMPRESSION_ERROR = 9
export const ENHANCE_YOUR_CALM = 11

export const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

export function frame(type: number, flags: number, stream: number, payload: Buffer | string = ''): Buffer {
  const body = Buffer.from(payload as string, 'latin1')
  const head = Buffer.alloc(9)
  head.writeUIntBE(body.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, body])
}

/** The whole frames, and what is left. */
export function framesOf(octets: Buffer): readonly [frames: readonly Frame[], rest: Buffer] {
  const frames: Frame[] = []
  let rest = octets
  while (rest.length >= 9 && rest.length >= 9 + rest.readUIntBE(0, 3)) {
    const end = 9 + rest.readUIntBE(0, 3)
    frames.push({
      type: rest.readUInt8(3),
      flags: rest.readUInt8(4),
      stream: rest.readUInt32BE(5),
      payload: rest.subarray(9, end),
    })
    rest = rest.subarray(end)
  }
  return [frames, rest]
}

/** Literals, none of them kept, none Huffman-coded. */
export function block(fields: readonly (readonly [name: string, value: string])[]): Buffer {
  return Buffer.concat(fields.flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]))
}

function text(value: string): Buffer {
  const octets = Buffer.from(value, 'latin1')
  const { length } = octets
  if (length < 127) return Buffer.concat([Buffer.from([length]), octets])
  const more: number[] = []
  let rest = length - 127
  for (; rest >= 128; rest >>= 7) more.push((rest & 127) | 128)
  return Buffer.concat([Buffer.from([127, ...more, rest]), octets])
}

export type Fields = readonly (readonly [name: string, value: string])[]

/** A well-formed request for `path` of `app.localhost`. */
export function get(path = '/public', ...more: Fields): Fields {
  return [[':method', 'GET'], [':scheme', 'http'], [':authority', 'app.localhost'], [':path', path], ...more]
}

export function headers(stream: number, fields: Fields, flags = END_HEADERS | END_STREAM): Buffer {
  return frame(HEADERS, flags, stream, block(fields))
}

export function uint32(value: number): Buffer {
  const octets = Buffer.alloc(4)
  octets.writeUInt32BE(value)
  return octets
}

export interface H2Answer {
  readonly status: number
  readonly fields: Fields
  readonly body: string
  readonly trailers: Fields | undefined
  /** Error code of RST_STREAM. */
  readonly reset: number | undefined
  /** Did it end with END_STREAM? */
  readonly complete: boolean
  readonly header: (name: string) => string | undefined
}

export interface H2Wire {
  readonly socket: Socket
  /** All that have come. */
  readonly frames: readonly Frame[]
  send(...frames: readonly (Buffer | string)[]): void
  /** The first frame so far, or the next one, that is wanted. Rejects when the connection ends without. */
  frame(wanted: (frame: Frame) => boolean): Promise<Frame>
  /** What became of this stream; it has ended or was reset, or the connection is closed. */
  answer(stream: number): Promise<H2Answer>
  /** Error code of GOAWAY, or `closed` without one. */
  readonly goaway: Promise<number | 'closed'>
  readonly closed: Promise<void>
}

/** Connects; sends the preface and empty SETTINGS unless `bare`. */
export async function h2Wire(port: number, { bare = false, settings = Buffer.alloc(0) } = {}): Promise<H2Wire> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true })
  socket.on('error', () => {})
  const frames: Frame[] = []
  const watchers = new Set<() => void>()
  let ended = false
  let rest: Buffer = Buffer.alloc(0)
  const look = (): void => [...watchers].forEach((watcher) => watcher())
  socket.on('data', (piece: Buffer) => {
    const [more, left] = framesOf(Buffer.concat([rest, piece]))
    frames.push(...more)
    rest = left
    look()
  })
  const closed = new Promise<void>((resolve) =>
    socket.once('close', () => {
      ended = true
      resolve()
      look()
    }),
  )
  await new Promise((resolve) => socket.once('connect', resolve))

  function when<T>(found: () => T | undefined): Promise<T> {
    return new Promise((resolve, reject) => {
      const watcher = (): void => {
        const value = found()
        if (value === undefined && !ended) return
        watchers.delete(watcher)
        if (value === undefined) reject(new Error(`closed; received ${JSON.stringify(frames.map(shown))}`))
        else resolve(value)
      }
      watchers.add(watcher)
      watcher()
    })
  }

  const wire: H2Wire = {
    socket,
    frames,
    closed,
    send(...list) {
      socket.write(Buffer.concat(list.map((one) => Buffer.from(one as string, 'latin1'))))
    },
    frame: (wanted) => when(() => frames.find(wanted)),
    answer: (stream) =>
      when(() => {
        const all = frames.filter((one) => one.stream === stream)
        const over =
          ended || all.some(({ type, flags }) => type === RST_STREAM || (type < PRIORITY && flags & END_STREAM))
        return over ? answerOf(all) : undefined
      }),
    goaway: when(() => {
      const found = frames.find(({ type, payload }) => type === GOAWAY && payload.readUInt32BE(4) !== NO_ERROR)
      return found ? found.payload.readUInt32BE(4) : ended ? ('closed' as const) : undefined
    }),
  }
  wire.goaway.catch(() => {})
  if (!bare) wire.send(PREFACE, frame(SETTINGS, 0, 0, settings))
  return wire
}

function answerOf(frames: readonly Frame[]): H2Answer {
  const blocks = frames.filter(({ type }) => type === HEADERS).map(({ payload }) => fieldsOf(payload))
  const [head = [], trailers] = blocks.filter((fields) => fields[0]?.[1] !== '100')
  const reset = frames.find(({ type }) => type === RST_STREAM)
  return {
    status: Number(head.find(([name]) => name === ':status')?.[1] ?? 0),
    fields: head,
    trailers,
    body: Buffer.concat(frames.filter(({ type }) => type === DATA).map(({ payload }) => payload)).toString('latin1'),
    reset: reset?.payload.readUInt32BE(0),
    complete: frames.some(({ type, flags }) => type < PRIORITY && (flags & END_STREAM) !== 0),
    header: (name) => head.find(([known]) => known === name)?.[1],
  }
}

const NAMES = [
  '',
  ':authority',
  ':method',
  ':method',
  ':path',
  ':path',
  ':scheme',
  ':scheme',
  ...Array(7).fill(':status'),
  ...(
    'accept-charset accept-encoding accept-language accept-ranges accept access-control-allow-origin age allow ' +
    'authorization cache-control content-disposition content-encoding content-language content-length content-location ' +
    'content-range content-type cookie date etag expect expires from host if-match if-modified-since if-none-match ' +
    'if-range if-unmodified-since last-modified link location max-forwards proxy-authenticate proxy-authorization range ' +
    'referer refresh retry-after server set-cookie strict-transport-security transfer-encoding user-agent vary via ' +
    'www-authenticate'
  ).split(' '),
]
const STATUSES = ['200', '204', '206', '304', '400', '404', '500']

/** The subset of HPACK that a server without a table sends. */
function fieldsOf(octets: Buffer): Fields {
  const fields: [string, string][] = []
  let at = 0
  const integer = (mask: number): number => {
    let value = (octets[at++] ?? 0) & mask
    if (value < mask) return value
    for (let shift = 0; ; shift += 7) {
      const octet = octets[at++] ?? 0
      value += (octet & 127) << shift
      if (octet < 128) return value
    }
  }
  const string = (): string => {
    const length = integer(127)
    at += length
    return octets.toString('latin1', at - length, at)
  }
  while (at < octets.length) {
    const octet = octets[at] ?? 0
    if (octet & 0x80) fields.push([':status', STATUSES[integer(0x7f) - 8] ?? '?'])
    else if ((octet & 0xe0) === 0x20) integer(0x1f)
    else {
      const index = integer(0x0f)
      const name = index === 0 ? string() : (NAMES[index] ?? '?')
      fields.push([name, string()])
    }
  }
  return fields
}

function shown({ type, flags, stream, payload }: Frame): string {
  return `${type} ${flags} ${stream} ${payload.toString('hex').slice(0, 60)}`
}
