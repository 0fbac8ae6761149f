import { HOP_BY_HOP } from '../lib/header-names.ts'

/** What only a header may say: framing, routing, authentication, cookies, how to read or keep the body (RFC 9110 §6.5.1). */
const HEADER_ONLY =
  /^(?:content-.*|set-cookie2?|cookie|authorization|.*-authenticate|authentication-info|cache-control|expires|pragma|age|vary|date|location|retry-after|host|max-forwards|expect|range|accept-ranges|if-.*|strict-transport-security|x-request-id|access-control-.*|.*-security-policy|x-frame-options|clear-site-data|server)$/
const NAME = /^[!#$%&'*+.^_`|~0-9a-z-]+$/
const VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/** Trailers of an HTTP/2 upstream as a client may have them: what gRPC says at the end of a call, and its metadata. */
export function clientTrailers(
  trailers: Readonly<Record<string, string | readonly string[] | undefined>>,
): Readonly<Record<string, string>> | undefined {
  const passed = Object.entries(trailers)
    .map(([name, value]) => [name, typeof value === 'string' ? value : (value ?? []).join(', ')] as const)
    .filter(([name, value]) => NAME.test(name) && VALUE.test(value) && !HEADER_ONLY.test(name) && !HOP_BY_HOP.has(name))
  return passed.length > 0 ? Object.fromEntries(passed) : undefined
}
