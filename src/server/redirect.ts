/** Plain HTTP beside the https listener: ACME challenges (RFC 8555 §8.3), and a redirect to the https address of a known host. */
import { createFaultLog } from '../lib/fault-tally.ts'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Address } from '../config/model.ts'
import { parseHost } from '../routing/host.ts'
import { canonicalAddress } from '../routing/address.ts'
import type { Clock, Logger } from '../types.ts'
import type { ClientConnections } from './client-connections.ts'
import { listenBeside, type SideListener } from './side-listener.ts'

export interface RedirectDeps {
  /** The https origin of a host, from the configuration; undefined: the host is unknown. */
  readonly httpsOriginOf: (host: string) => string | undefined
  /** Key authorization of an ACME token; undefined: nobody ordered that. */
  readonly challenge: (token: string) => Promise<string | undefined>
  /** A client has its connections of both listeners together. */
  readonly connections: Pick<ClientConnections, 'admit'>
  readonly clock: Pick<Clock, 'monotonic'>
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>
}

const CHALLENGE = '/.well-known/acme-challenge/'
/** RFC 8555 §8.3: base64url. */
const TOKEN = /^[A-Za-z0-9_-]{1,256}$/
const OPTIONS = { maxHeaderSize: 16_384, headersTimeout: 10_000, requestTimeout: 10_000, insecureHTTPParser: false }

export async function listenRedirect(address: Address, deps: RedirectDeps): Promise<SideListener> {
  const { connections, logger } = deps
  const tell = createFaultLog(deps)
  const server = createServer(OPTIONS, (req, res) => {
    void respond(req, res, deps).catch((error: unknown) => {
      tell(error, 'an ACME challenge could not be answered')
      send(res, 503, 'unavailable\n')
    })
  })
  server.prependListener('connection', (socket) => {
    const { remoteAddress } = socket
    // Absent: it was reset before it was accepted.
    const peer = remoteAddress && (canonicalAddress(remoteAddress) ?? remoteAddress)
    if (!peer || connections.admit(socket, peer) !== 'admitted') socket.destroy()
  })
  return listenBeside(server, address, 'http_redirect_addr', logger)
}

async function respond(req: IncomingMessage, res: ServerResponse, deps: RedirectDeps): Promise<void> {
  const { url = '', headers } = req
  if (!url.startsWith('/')) return send(res, 400, 'expected a path\n')
  if (url.startsWith(CHALLENGE)) {
    const token = url.slice(CHALLENGE.length)
    const answer = TOKEN.test(token) ? await deps.challenge(token) : undefined
    return answer === undefined ? send(res, 404, 'not found\n') : send(res, 200, answer)
  }
  const asked = parseHost(headers.host ?? '')
  const origin = asked && deps.httpsOriginOf(asked.host)
  if (origin === undefined) return send(res, 404, 'not found\n')
  send(res, 308, '', { location: origin + url })
}

/** A body of the request may still come: the connection ends. */
function send(res: ServerResponse, status: number, body: string, headers: Readonly<Record<string, string>> = {}): void {
  res.writeHead(status, {
    ...headers,
    'content-type': 'text/plain; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  })
  res.end(body)
}
