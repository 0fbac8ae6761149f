/** Where an upstream is, and what it speaks there. */
export interface UpstreamAddress {
  /** For HTTP: `http` or `https`, host and port; of a Unix socket `localhost`. */
  readonly url: string
  readonly socketPath?: string
  /** HTTP/2 without TLS, with prior knowledge (RFC 9113 §3.3). */
  readonly http2: boolean
}

/** Of an origin as the configuration has it: `http://app:8080`, `h2c://app:50051`, `https+unix:///run/app.sock`. */
export function addressOf(origin: string): UpstreamAddress {
  const [, secure, path] = /^(https\+)?unix:\/\/(.*)$/.exec(origin) ?? []
  if (path !== undefined)
    return { url: secure ? 'https://localhost' : 'http://localhost', socketPath: path, http2: false }
  const http2 = origin.startsWith('h2c:')
  return { url: http2 ? origin.replace('h2c:', 'http:') : origin, http2 }
}

export function isTls(origin: string): boolean {
  return origin.startsWith('https')
}
