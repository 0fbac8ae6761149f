/** What Node's strict parser makes of bytes: the other reader, in tests. */
import { createServer, type IncomingMessage } from 'node:http'
import { Duplex } from 'node:stream'

export interface NodeRequest {
  readonly method: string
  readonly target: string
  readonly httpVersion: string
  readonly rawHeaders: readonly string[]
  readonly body: string
}

/** The requests that Node reads; undefined: it refuses the bytes, or waits for more. */
export function nodeReads(bytes: Buffer): Promise<readonly NodeRequest[] | undefined> {
  return new Promise((resolve) => {
    const read: NodeRequest[] = []
    let open = 0
    let ended = false
    const settle = (): void => {
      if (open > 0 || !ended) return
      socket.destroy()
      resolve(read)
    }
    const refuse = (): void => {
      socket.destroy()
      resolve(undefined)
    }
    const take = (req: IncomingMessage): void => {
      open++
      const pieces: Buffer[] = []
      req.on('data', (piece: Buffer) => pieces.push(piece))
      req.on('error', () => {})
      req.on('end', () => {
        open--
        const { method = '', url = '', httpVersion, rawHeaders } = req
        read.push({ method, target: url, httpVersion, rawHeaders, body: Buffer.concat(pieces).toString('latin1') })
        settle()
      })
    }
    const server = createServer({
      insecureHTTPParser: false,
      requireHostHeader: false,
      maxHeaderSize: 128 * 1024,
      keepAliveTimeout: 0,
      headersTimeout: 0,
      requestTimeout: 0,
    })
    server.on('request', (req, res) => {
      take(req)
      res.end()
    })
    server.on('checkContinue', (req, res) => {
      take(req)
      res.end()
    })
    for (const event of ['upgrade', 'connect']) {
      server.on(
        event,
        ({ method = '', url = '', httpVersion, rawHeaders }: IncomingMessage, _: Duplex, body: Buffer) => {
          read.push({ method, target: url, httpVersion, rawHeaders, body: body.toString('latin1') })
          settle()
        },
      )
    }
    server.on('clientError', refuse)
    const socket = new Duplex({
      read() {},
      write(_piece, _encoding, done) {
        done()
      },
    })
    socket.on('error', () => {})
    server.emit('connection', socket)
    socket.push(bytes)
    // Behind everything that the parser says of these bytes.
    setImmediate(() =>
      setImmediate(() => {
        ended = true
        settle()
        if (open > 0) refuse()
      }),
    )
  })
}
