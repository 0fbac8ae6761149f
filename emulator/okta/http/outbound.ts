import { type ClientRequest, request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { isIP } from 'node:net'
import type { Span } from '../../../src/types.ts'
import type { Clock } from '../clock.ts'

export interface OutboundRequest {
  readonly method: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
  readonly timeout: Span
}

/** `failed`: no whole answer, for this reason. */
export type OutboundAnswer =
  | { readonly kind: 'answer'; readonly status: number; readonly body: string }
  | { readonly kind: 'failed'; readonly reason: string }

/** Calls that Okta makes: event hooks and SCIM. Never follows a redirect, never rejects. */
export interface Outbound {
  send(request: OutboundRequest): Promise<OutboundAnswer>
  /** Like a line of /etc/hosts with a port: calls of this origin go there, under their own name. */
  route(origin: string, to: { readonly host: string; readonly port: number }): void
  close(): void
}

/** More than any receiver has to say. */
const ANSWER_LIMIT = 1024 * 1024

/** `ca`: PEM that is trusted beside the public ones. */
export function createOutbound(deps: { readonly clock: Clock; readonly ca?: string }): Outbound {
  const routes = new Map<string, { readonly host: string; readonly port: number }>()
  const running = new Set<ClientRequest>()

  function open(url: URL, { method, headers }: OutboundRequest): ClientRequest {
    const { host, port } = routes.get(url.origin) ?? { host: addressOf(url), port: url.port }
    const options = {
      method,
      host,
      port,
      path: `${url.pathname}${url.search}`,
      headers: { ...headers, host: url.host },
      // One call a connection: nothing idle is left for `close`.
      agent: false as const,
    }
    if (url.protocol === 'http:') return httpRequest(options)
    const servername = isIP(url.hostname) === 0 ? { servername: url.hostname } : {}
    return httpsRequest({ ...options, ...servername, ...(deps.ca !== undefined && { ca: deps.ca }) })
  }

  return {
    send: (wanted) =>
      new Promise((resolve) => {
        const request = open(new URL(wanted.url), wanted)
        running.add(request)
        const stop = deps.clock.after(wanted.timeout, () => end({ kind: 'failed', reason: 'timeout' }))
        function end(answer: OutboundAnswer): void {
          stop()
          running.delete(request)
          request.destroy()
          resolve(answer)
        }
        request.on('error', (error) => end({ kind: 'failed', reason: error.message }))
        request.on('close', () => end({ kind: 'failed', reason: 'closed' }))
        request.on('response', (response) => {
          let body = ''
          response.setEncoding('utf8')
          response.on('data', (chunk: string) => {
            body += chunk
            if (body.length > ANSWER_LIMIT) end({ kind: 'failed', reason: 'answer too large' })
          })
          response.on('error', (error) => end({ kind: 'failed', reason: error.message }))
          response.on('end', () => end({ kind: 'answer', status: response.statusCode ?? 0, body }))
        })
        request.end(wanted.body)
      }),
    route: (origin, to) => void routes.set(new URL(origin).origin, to),
    close() {
      for (const request of running) request.destroy()
    },
  }
}

/** Names below `localhost` are loopback (RFC 6761 §6.3), whatever the resolver of this machine thinks. */
function addressOf(url: URL): string {
  const name = url.hostname.replace(/^\[|\]$/g, '')
  return name.endsWith('.localhost') ? '127.0.0.1' : name
}

/** `http://` is for loopback receivers only. */
export function isLoopback(url: URL): boolean {
  const name = url.hostname
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127(\.\d+){3}$/.test(name)
}
