import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  readonly method: string
  readonly url: string
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** An HTTP server that remembers what it got. */
export interface Receiver {
  readonly port: number
  readonly received: readonly Received[]
  /** What to answer from now on; the body is read already. */
  answer(how: (request: Received, res: ServerResponse) => void): void
  /** Resolves when so many requests have come. */
  count(wanted: number): Promise<void>
  clear(): void
  close(): Promise<void>
}

export async function createReceiver(): Promise<Receiver> {
  const received: Received[] = []
  const waiting = new Set<() => void>()
  let how: (request: Received, res: ServerResponse) => void = (_request, res) => void res.writeHead(204).end()
  const server = createServer((req, res) => {
    let body = ''
    req.setEncoding('utf8')
    req.on('data', (chunk: string) => (body += chunk))
    req.on('end', () => {
      const request = { method: req.method ?? '', url: req.url ?? '', headers: req.headers, body }
      received.push(request)
      for (const look of waiting) look()
      how(request, res)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    received,
    answer(next) {
      how = next
    },
    count: (wanted) =>
      new Promise((resolve) => {
        const look = (): void => {
          if (received.length < wanted) return
          waiting.delete(look)
          resolve()
        }
        waiting.add(look)
        look()
      }),
    clear: () => void received.splice(0),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
