import { isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** A network in CIDR notation, ready to be compared. */
export type Network =
  | { readonly family: 4; readonly base: number; readonly mask: number }
  | { readonly family: 6; readonly range: readonly [ipaddr.IPv6, number] }

/** Parses an address (`10.0.0.7`, `2001:db8::1`) or a network (`10.0.0.0/8`). Host bits are ignored. undefined: neither. */
export function parseNetwork(text: string): Network | undefined {
  const [, address = '', digits] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text) ?? []
  const length = digits === undefined ? undefined : Number(digits)
  if (isIPv4(address)) return ipv4Network(address, length ?? 32)
  if (!isIPv6(address) || address.includes('%')) return undefined
  const parsed = parseIpv6(address)
  // ::ffff:10.0.0.0/104 is 10.0.0.0/8: addresses are compared in their IPv4 form.
  if (parsed.isIPv4MappedAddress() && (length ?? 128) >= 96) {
    return ipv4Network(parsed.toIPv4Address().toString(), (length ?? 128) - 96)
  }
  return (length ?? 128) <= 128 ? { family: 6, range: [parsed, length ?? 128] } : undefined
}

function ipv4Network(address: string, length: number): Network | undefined {
  if (length > 32) return undefined
  // A shift by 32 is a shift by 0 in JavaScript.
  const mask = length === 0 ? 0 : (-1 << (32 - length)) >>> 0
  return { family: 4, base: (ipv4Number(address) & mask) >>> 0, mask }
}

/** Is this canonical address (see `canonicalAddress`) in one of the networks? False for text that is not an address. */
export function isInside(networks: readonly Network[], address: string): boolean {
  const number = ipv4Number(address)
  if (number !== -1) {
    for (const network of networks) {
      if (network.family === 4 && (number & network.mask) >>> 0 === network.base) return true
    }
    return false
  }
  if (!isIPv6(address)) return false
  const parsed = parseIpv6(address)
  return networks.some((network) => network.family === 6 && parsed.match(network.range[0], network.range[1]))
}

/**
 * An address that somebody wrote, in its one spelling: IPv4-mapped IPv6 as IPv4, IPv6 compressed (RFC 5952).
 * undefined: not an address. Strict, because `010.0.0.1`, `10.1` and `0x0a000001` are different addresses to
 * different readers, and a zone (`fe80::1%eth0`) means something on one machine only.
 */
export function parseAddress(text: string): string | undefined {
  return text.includes('%') ? undefined : canonicalAddress(text)
}

/** The same for an address that the operating system gave, which may have a zone: it is left out. */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  const zone = text.indexOf('%')
  const address = zone === -1 ? text : text.slice(0, zone)
  if (!isIPv6(address)) return undefined
  const parsed = parseIpv6(address)
  return parsed.isIPv4MappedAddress() ? parsed.toIPv4Address().toString() : parsed.toRFC5952String()
}

const OWN: ReadonlySet<string> = new Set([
  'unspecified',
  'loopback',
  'private',
  'linkLocal',
  'uniqueLocal',
  'carrierGradeNat',
])

/** Can anybody on the Internet reach it, as far as its number tells? `address`: canonical; false for anything else. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !OWN.has(ipaddr.IPv4.parse(address).range())
  return isIPv6(address) && !OWN.has(parseIpv6(address).range())
}

/**
 * The library reads `::10.0.0.1` as `::ffff:10.0.0.1`, although it is `::a00:1` (RFC 4291 §2.5.5.1): one address must not
 * be two. Written in hexadecimal it has one reading. `text` has passed `isIPv6`.
 */
export function parseIpv6(text: string): ipaddr.IPv6 {
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text)
  if (!dotted) return ipaddr.IPv6.parse(text)
  const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(1).map(Number)
  const hex = [a * 256 + b, c * 256 + d].map((group) => group.toString(16)).join(':')
  return ipaddr.IPv6.parse(text.slice(0, dotted.index) + hex)
}

/** A dotted quad as a number; -1 for any other text. Every request runs this, so it uses no regular expression. */
function ipv4Number(address: string): number {
  let number = 0
  let octet = 0
  let digits = 0
  let dots = 0
  for (let i = 0; i < address.length; i++) {
    const code = address.charCodeAt(i)
    if (code >= 0x30 && code <= 0x39) {
      octet = octet * 10 + (code - 0x30)
      if (++digits > 3 || octet > 255) return -1
    } else if (code === 0x2e && digits > 0) {
      number = number * 256 + octet
      octet = 0
      digits = 0
      dots++
    } else return -1
  }
  return dots === 3 && digits > 0 ? number * 256 + octet : -1
}
