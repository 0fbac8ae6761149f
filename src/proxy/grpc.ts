/** Refusals as a client of gRPC reads them (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
import type { Reply } from '../http/exchange.ts'
import type { RequestHead } from '../http/request.ts'

/** gRPC-Web is HTTP to everybody but its own library. */
const GRPC = /^application\/grpc(?:\+[^;]*)?[ \t]*(?:;|$)/i
/** https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md; others are UNKNOWN. */
const CODES: Readonly<Record<number, number>> = {
  400: 13,
  401: 16,
  403: 7,
  404: 12,
  429: 14,
  502: 14,
  503: 14,
  504: 14,
}
const UNKNOWN = 2

export function asksByGrpc({ method, httpVersion, headers }: RequestHead): boolean {
  return httpVersion === '2.0' && method === 'POST' && GRPC.test(headers.first('content-type') ?? '')
}

/**
 * The refusal as an answer of trailers alone. It has status 200, so it is for whoever asked and for nobody who takes the
 * status for a verdict (forward-auth).
 */
export function grpcRefusal(reply: Reply): Reply {
  if (reply.status < 400) return reply
  const kept = reply.headers.filter(([name]) => !/^content-/i.test(name))
  return {
    status: 200,
    headers: [
      ['content-type', 'application/grpc'],
      ['grpc-status', String(CODES[reply.status] ?? UNKNOWN)],
      ['grpc-message', encoded(messageOf(reply))],
      ...kept,
    ],
    body: '',
  }
}

/** `denied: no-rule-matched (request …)` of our JSON; a client that asks for pages gets no more than the status. */
function messageOf({ status, headers, body }: Reply): string {
  const isJson = headers.some(([name, value]) => name === 'content-type' && value === 'application/json')
  if (!isJson) return `status ${status}`
  const {
    error,
    reason,
    sentence,
    detail,
    request_id: id,
  } = JSON.parse(String(body)) as Partial<Record<string, string>>
  const why = [error, reason ?? sentence ?? detail].filter((part) => part !== undefined).join(': ')
  return id === undefined ? why : `${why} (request ${id})`
}

/** Printable ASCII, the rest with percent signs, octet by octet. */
function encoded(message: string): string {
  return message.replaceAll(/[^\x20-\x24\x26-\x7e]+/g, (part) =>
    Array.from(Buffer.from(part), (octet) => `%${octet.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}
