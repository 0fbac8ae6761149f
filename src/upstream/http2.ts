/**
 * The headers of a request over HTTP/2, one for each name. undici collects them in an object, so a second `Cookie` would be
 * joined with a comma, and Node throws for a second `Referer` where nobody catches it. Lines are joined as RFC 9110 §5.3
 * says, cookies as RFC 9113 §8.2.3 does. In capitals, which Node lowers: every object has a `constructor`.
 */
export function http2Headers(headers: readonly string[]): string[] {
  const lines = new Map<string, string>()
  for (let i = 0; i + 1 < headers.length; i += 2) {
    const name = (headers[i] ?? '').toUpperCase()
    const value = headers[i + 1] ?? ''
    const before = lines.get(name)
    lines.set(name, before === undefined ? value : before + (name === 'COOKIE' ? '; ' : ', ') + value)
  }
  // gRPC servers ask for it (RFC 9110 §10.1.4).
  return [...lines.set('TE', 'trailers')].flat()
}

/** undici ends these behind their head, whatever body they have: the upstream would act on half of the request. */
export function losesBody(method: string): boolean {
  return method === 'GET' || method === 'HEAD'
}
