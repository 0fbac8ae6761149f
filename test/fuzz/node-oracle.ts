/** Node's parser in its strict mode, behind the public interface: the other reader. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ReadRequest } from './reading.ts'
import { SilentPeer } from './silent-peer.ts'

/** Where it begins and ends does not show. */
export type NodeRequest = Pick<ReadRequest, 'method' | 'target' | 'httpVersion' | 'headers' | 'body'>

export interface NodeOracle {
  /** All requests; of the last one, when it offers another protocol, without the body. */
  read(bytes: Buffer): Promise<readonly NodeRequest[]>
}

const BEHIND: NodeRequest = { method: 'GET', target: '/behind', httpVersion: '1.1', headers: ['host', 'b'], body: '' }

/**
 * What Node is given, and what it must read in it: our requests, and one more where the last of them ends. It reads
 * nothing behind a request that closes the connection, for which it takes `Proxy-Connection: close`, too, and nothing
 * behind one that offers another protocol: that, and the body, it leaves to its application.
 */
export function forNode(
  bytes: Buffer,
  ours: readonly ReadRequest[],
): { bytes: Buffer; expected: readonly NodeRequest[] } {
  const stop = ours.findIndex((request) => offers(request) || request.headers.includes('proxy-connection'))
  const read = stop === -1 ? ours : ours.slice(0, stop + 1)
  const expected = read.map((request) => {
    const { method, target, httpVersion, headers, body } = request
    return { method, target, httpVersion, headers, body: offers(request) ? undefined : body }
  })
  const last = read.at(-1)
  const whole = bytes.subarray(0, last?.end)
  if (!last || last.last || stop !== -1) return { bytes: whole, expected }
  const more = Buffer.from('GET /behind HTTP/1.1\r\nHost: b\r\n\r\n')
  return { bytes: Buffer.concat([whole, more]), expected: [...expected, BEHIND] }
}

function offers({ headers }: Pick<ReadRequest, 'headers'>): boolean {
  return headers.includes('upgrade')
}

export function createNodeOracle(): NodeOracle {
  const readings = new WeakMap<Duplex, NodeRequest[]>()
  const server: Server = createServer({
    insecureHTTPParser: false,
    requireHostHeader: false,
    maxHeaderSize: 128 * 1024,
    keepAliveTimeout: 0,
    headersTimeout: 0,
    requestTimeout: 0,
    connectionsCheckingInterval: 3_600_000,
  })
  const take = (req: IncomingMessage, res?: ServerResponse): void => {
    const requests = readings.get(req.socket)
    if (!requests) return
    const at = requests.length
    const { method = '', url: target = '', httpVersion } = req
    const headers = req.rawHeaders.map((part, i) => (i % 2 === 0 ? part.toLowerCase() : part))
    const pieces: Buffer[] = []
    requests.push({ method, target, httpVersion, headers, body: undefined })
    req.on('data', (piece: Buffer) => pieces.push(piece))
    req.on('error', () => {})
    req.on('end', () => {
      const body = offers({ headers }) ? undefined : Buffer.concat(pieces).toString('latin1')
      requests[at] = { method, target, httpVersion, headers, body }
    })
    res?.end()
  }
  for (const event of ['request', 'checkContinue', 'checkExpectation', 'connect']) server.on(event, take)
  // Whoever asks for another protocol than ours is told nothing by Node: it is a request like any other.
  server.on('clientError', (_, socket: Duplex) => socket.destroy())
  return {
    async read(bytes) {
      const socket = new SilentPeer()
      const requests: NodeRequest[] = []
      readings.set(socket, requests)
      server.emit('connection', socket)
      socket.push(bytes)
      // Behind everything that the parser says of these bytes.
      for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
      socket.destroy()
      return requests
    },
  }
}
