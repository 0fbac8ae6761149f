/** Headers of the PROXY protocol, version 2, good ones and bad ones. */
export interface ProxyV2 {
  readonly source?: string
  readonly destination?: string
  readonly version?: number
  /** 0: LOCAL, 1: PROXY. */
  readonly command?: number
  /** Family and protocol; of the addresses unless given. */
  readonly family?: number
  /** Instead of those of `source` and `destination`. */
  readonly addresses?: Buffer
  readonly tlvs?: Buffer
}

export function proxyV2({
  source = '',
  destination = '',
  version = 2,
  command = 1,
  family = source.includes(':') ? 0x21 : 0x11,
  addresses = Buffer.concat([octets(source), octets(destination), Buffer.from([0x1f, 0x90, 0x01, 0xbb])]),
  tlvs = Buffer.alloc(0),
}: ProxyV2): Buffer {
  const head = Buffer.from('\r\n\r\n\0\r\nQUIT\n????', 'latin1')
  head[12] = version * 16 + command
  head[13] = family
  head.writeUInt16BE(addresses.length + tlvs.length, 14)
  return Buffer.concat([head, addresses, tlvs])
}

/** `::` stands for as many groups as are missing. */
function octets(address: string): Buffer {
  if (!address.includes(':')) return Buffer.from(address.split('.').map(Number))
  const [before = [], after = []] = address.split('::').map((part) => part.split(':').filter(Boolean))
  const groups = [...before, ...Array<string>(8 - before.length - after.length).fill('0'), ...after]
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex')
}
