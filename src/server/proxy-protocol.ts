/**
 * The header that a balancer of TCP puts before a connection (PROXY protocol, https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt):
 * version 1 is a line, version 2 is binary. Total, and bounded: what is no header is found out with the first bytes that
 * none begins with.
 */
import { parseAddress } from '../routing/address.ts'

export type ProxyHeader =
  /** `source`: canonical address of the client; undefined: the balancer speaks for itself, or knows none. */
  | { readonly kind: 'header'; readonly length: number; readonly source: string | undefined }
  | { readonly kind: 'more' }
  | { readonly kind: 'invalid' }

const MORE = { kind: 'more' } as const
const INVALID = { kind: 'invalid' } as const

const V1_BEGIN = Buffer.from('PROXY ')
/** §2.1: with its CRLF. */
const V1_LONGEST = 107
const V2_BEGIN = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const V2_HEAD = 16
/** Addresses and TLVs: names, a certificate's subject, ids of clouds. */
const V2_LONGEST = 4096
/** Family and protocol (§2.2) of TCP → bytes of one address, and of addresses and ports. */
const V2_TCP: ReadonlyMap<number, readonly [address: number, all: number]> = new Map([
  [0x11, [4, 12]],
  [0x21, [16, 36]],
])
const V2_UNSPEC = 0x00
/** Addresses of Unix sockets: of a client on the balancer's own machine. */
const V2_UNIX = 0x31

/** Reads the header at the begin of these bytes. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (begins(bytes, V2_BEGIN)) return bytes.length < V2_HEAD ? MORE : readV2(bytes)
  if (begins(bytes, V1_BEGIN)) return readV1(bytes)
  return INVALID
}

/** As far as there are bytes. */
function begins(bytes: Buffer, begin: Buffer): boolean {
  const length = Math.min(bytes.length, begin.length)
  return bytes.compare(begin, 0, length, 0, length) === 0
}

function readV1(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, V1_LONGEST).indexOf('\r\n')
  if (end === -1) return bytes.length < V1_LONGEST ? MORE : INVALID
  const line = bytes.toString('latin1', 0, end)
  const length = end + 2
  if (/^PROXY UNKNOWN(?: [ -~]*)?$/.test(line)) return { kind: 'header', length, source: undefined }
  const [, family, from = '', to = '', ...ports] =
    /^PROXY TCP([46]) ([0-9A-Fa-f.:]+) ([0-9A-Fa-f.:]+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4})$/.exec(line) ?? []
  const isOf = (address: string): boolean => address.includes(':') === (family === '6')
  const source = parseAddress(from)
  if (source === undefined || parseAddress(to) === undefined || !isOf(from) || !isOf(to)) return INVALID
  return ports.every((port) => Number(port) <= 65_535) ? { kind: 'header', length, source } : INVALID
}

function readV2(bytes: Buffer): ProxyHeader {
  const [versionAndCommand = 0, family = 0] = bytes.subarray(V2_BEGIN.length)
  const following = bytes.readUInt16BE(14)
  const length = V2_HEAD + following
  if (versionAndCommand >> 4 !== 2 || following > V2_LONGEST) return INVALID
  const command = versionAndCommand & 0x0f
  if (command > 1) return INVALID
  // LOCAL: the balancer's own connection, such as a health check, whatever stands behind it.
  const speaksForItself = command === 0
  const [addressLength, addresses] = V2_TCP.get(family) ?? []
  if (!speaksForItself) {
    if (addressLength === undefined && family !== V2_UNSPEC && family !== V2_UNIX) return INVALID
    if (following < (addresses ?? 0)) return INVALID
  }
  if (bytes.length < length) return MORE
  const source =
    speaksForItself || addressLength === undefined
      ? undefined
      : addressIn(bytes.subarray(V2_HEAD, V2_HEAD + addressLength))
  return { kind: 'header', length, source }
}

function addressIn(bytes: Buffer): string | undefined {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  return parseAddress(groups.join(':'))
}
