import { createHash } from 'node:crypto'
import { createServer, type AddressInfo, type Socket } from 'node:net'

/** One request exactly as it came over the wire (Latin-1), headers in order. */
export interface Received {
  readonly method: string
  readonly target: string
  readonly headers: readonly (readonly [name: string, value: string])[]
  readonly connection: number
  body: string
  /** False: its body never came to an end. */
  complete: boolean
  /** Values of one header, name in lower case. */
  readonly values: (name: string) => readonly string[]
}

export interface EchoUpstream {
  readonly url: string
  readonly received: Received[]
  /** Bytes that were not a request: must stay empty. */
  readonly garbage: string[]
  /** Connections that were opened. */
  readonly connections: () => number
  close(): Promise<void>
}

/**
 * An upstream with a parser of its own: keeps every byte, answers each request with 200
 * (or with what `answer` returns, verbatim) and every upgrade with 101, then returns what it is sent.
 */
export async function createEcho(
  answer: (request: Received) => string | undefined = () => undefined,
): Promise<EchoUpstream> {
  const received: Received[] = []
  const garbage: string[] = []
  const sockets = new Set<Socket>()
  let connections = 0

  const server = createServer((socket) => {
    const connection = connections++
    sockets.add(socket)
    let buffered = ''
    let current: Received | undefined
    let tunnel = false
    socket.on('error', () => {})
    socket.on('close', () => sockets.delete(socket))
    socket.on('data', (chunk) => {
      if (tunnel) {
        socket.write(chunk)
        return
      }
      buffered += chunk.toString('latin1')
      while (buffered !== '' || current) {
        if (!current) {
          const end = buffered.indexOf('\r\n\r\n')
          if (end === -1) return
          current = parseHead(buffered.slice(0, end), connection)
          buffered = buffered.slice(end + 4)
          if (!current) {
            garbage.push(buffered)
            socket.destroy()
            return
          }
          received.push(current)
        }
        const taken = takeBody(current, buffered)
        if (taken === 'bad') {
          garbage.push(buffered)
          socket.destroy()
          return
        }
        if (taken === undefined) return
        const done = current
        done.body = taken.body
        done.complete = true
        buffered = taken.rest
        current = undefined
        tunnel = done.values('upgrade').length > 0
        socket.write(answer(done) ?? (tunnel ? switching(done) : echo(done)), 'latin1')
        if (tunnel) return
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    received,
    garbage,
    connections: () => connections,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

function parseHead(head: string, connection: number): Received | undefined {
  const [line = '', ...fields] = head.split('\r\n')
  const [, method, target] = /^([A-Z-]+) (\S+) HTTP\/1\.1$/.exec(line) ?? []
  const headers = fields.map((field) => /^([^\s:]+): ?([^\r\n]*)$/.exec(field))
  if (method === undefined || target === undefined || headers.includes(null)) return undefined
  const pairs = headers.map((match): readonly [string, string] => [match?.[1] ?? '', match?.[2] ?? ''])
  const values = (name: string): readonly string[] =>
    pairs.filter(([known]) => known.toLowerCase() === name).map(([, value]) => value)
  return { method, target, headers: pairs, connection, body: '', complete: false, values }
}

/** undefined: more must come. */
function takeBody(
  request: Received,
  text: string,
): { readonly body: string; readonly rest: string } | undefined | 'bad' {
  const [length, ...moreLengths] = request.values('content-length')
  const [coding, ...moreCodings] = request.values('transfer-encoding')
  if (moreLengths.length + moreCodings.length > 0 || (length !== undefined && coding !== undefined)) return 'bad'
  if (coding !== undefined) return coding === 'chunked' ? takeChunks(text) : 'bad'
  if (length === undefined) return { body: '', rest: text }
  if (!/^\d+$/.test(length)) return 'bad'
  return text.length < Number(length)
    ? undefined
    : { body: text.slice(0, Number(length)), rest: text.slice(Number(length)) }
}

function takeChunks(text: string): { readonly body: string; readonly rest: string } | undefined | 'bad' {
  let body = ''
  for (let rest = text; ; ) {
    const line = rest.indexOf('\r\n')
    if (line === -1) return undefined
    if (!/^[0-9a-f]+$/i.test(rest.slice(0, line))) return 'bad'
    const size = Number.parseInt(rest.slice(0, line), 16)
    if (rest.length < line + 4 + size) return undefined
    // No trailers: what follows the last chunk is an empty line.
    if (rest.slice(line + 2 + size, line + 4 + size) !== '\r\n') return 'bad'
    if (size === 0) return { body, rest: rest.slice(line + 4) }
    body += rest.slice(line + 2, line + 2 + size)
    rest = rest.slice(line + 4 + size)
  }
}

function echo({ method, target }: Received): string {
  const body = JSON.stringify({ echo: true, method, target })
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${method === 'HEAD' ? '' : body}`
}

function switching(request: Received): string {
  const key = request.values('sec-websocket-key')[0] ?? ''
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  return `HTTP/1.1 101 Switching Protocols\r\nupgrade: ${request.values('upgrade').join(', ')}\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`
}
