import { detached } from './detached.ts'

/** What counts as one client: an IPv4 address, or of IPv6 the first 64 bits (RFC 6177), because one customer has at least so many addresses. `clientIp` is canonical. */
export function networkOf(clientIp: string): string {
  // The text is kept for minutes, for counting.
  if (!clientIp.includes(':')) return detached(clientIp)
  const [left = '', right] = clientIp.split('::')
  const head = left === '' ? [] : left.split(':')
  const tail = right ? right.split(':') : []
  const zeros = right === undefined ? 0 : 8 - head.length - tail.length
  return [...head, ...Array<string>(zeros).fill('0'), ...tail].slice(0, 4).join(':')
}
