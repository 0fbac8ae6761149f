import { isIPv6 } from 'node:net'
import { domainToASCII } from 'node:url'
import type { RouteFrom } from '../config/route-model.ts'
import { parseIpv6 } from './address.ts'

/** Letters, digits, hyphens, and the underscores that internal names have; labels of 63 at most (RFC 1035 §2.3.1). */
const NAME = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*$/
/** RFC 3986 §3.2.2 and §3.2.3, without userinfo: a bracketed address or a name, and perhaps a port. */
const AUTHORITY = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]]*)(?::(\d{0,8}))?$/
const MAX_NAME = 253

/**
 * The one canonical spelling of a Host header or of an authority: lower case, no trailing dot, IPv6
 * in brackets and compressed, the port as a number. undefined: not a host (RFC 9110 §7.2 says 400).
 * An empty port (`app.test:`) is no port.
 */
export function parseHost(authority: string): { readonly host: string; readonly port: number | undefined } | undefined {
  const [, name, digits] = AUTHORITY.exec(authority) ?? []
  if (name === undefined) return undefined
  const port = digits ? Number(digits) : undefined
  if (port !== undefined && (port < 1 || port > 65_535)) return undefined
  const host = name.startsWith('[') ? canonicalIpv6(name.slice(1, -1)) : canonicalName(name)
  return host === undefined ? undefined : { host, port }
}

function canonicalName(name: string): string | undefined {
  const host = withoutDot(name.toLowerCase())
  return host.length <= MAX_NAME && NAME.test(host) ? host : undefined
}

/** `app.test.` is `app.test` (RFC 3986 §3.2.2: the dot only marks the name as absolute). */
function withoutDot(name: string): string {
  return name.endsWith('.') ? name.slice(0, -1) : name
}

function canonicalIpv6(address: string): string | undefined {
  return isIPv6(address) ? `[${parseIpv6(address).toRFC5952String()}]` : undefined
}

/** Parses a route's `from`: `https://app.corp.example[:port]`. A `*` in the host matches one or more characters. */
export function parseFrom(text: string): RouteFrom | { readonly problem: string } {
  const [, scheme, authority, rest] = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?#\\]*)(.*)$/s.exec(text) ?? []
  if (scheme === undefined || authority === undefined) {
    return { problem: 'expected a URL such as https://app.corp.example' }
  }
  const lowerScheme = scheme.toLowerCase()
  if (lowerScheme !== 'https' && lowerScheme !== 'http') {
    return { problem: `expected the scheme https or http, not "${lowerScheme}"` }
  }
  if (rest !== '' && rest !== '/') {
    return { problem: 'expected scheme, host and port only; a path belongs in "prefix", "path" or "regex"' }
  }
  if (authority.includes('@')) return { problem: 'expected no user name or password' }
  const [name, port] = split(authority)
  const pattern = withoutDot(/^[\0-\x7f]*$/.test(name) ? name.toLowerCase() : domainToASCII(name))
  // With a letter in place of each star, the pattern must be a host name.
  const parsed = parseHost(pattern.replaceAll('*', 'x') + port)
  if (!parsed) return { problem: `expected a host name, not "${authority}"` }
  const wildcard = pattern.includes('*')
  const host = wildcard ? pattern : parsed.host
  return { scheme: lowerScheme, host, wildcard, ...(parsed.port === undefined ? {} : { port: parsed.port }) }
}

/** `app.test:8443` as `app.test` and `:8443`. */
function split(authority: string): readonly [name: string, port: string] {
  const at = authority.startsWith('[') ? authority.indexOf(':', authority.indexOf(']')) : authority.indexOf(':')
  return at === -1 ? [authority, ''] : [authority.slice(0, at), authority.slice(at)]
}

/** The port that a URL without one means. */
export function defaultPort(scheme: 'http' | 'https'): number {
  return scheme === 'https' ? 443 : 80
}
