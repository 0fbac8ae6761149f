/** The Huffman code of HPACK (RFC 7541 Appendix B). It is canonical, so the length of each code says all. */

/** Bits of the code of each octet, in base 36. */
const LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6cad67777777777777777777777878djde6f565' +
  '65666577666567655677777fbedskmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmnqqkjmnmp' +
  'qqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq'

/** Of an entry: the code ends here; the octet is above these bits, the bits that it takes of this byte are below. */
const LEAF = 1 << 16
/** A node is 256 entries, one for each next byte: a leaf, the number of another node, or 0, which no code has. */
const TREE = buildTree()

function buildTree(): Int32Array {
  const nodes: number[] = Array.from({ length: 256 }, () => 0)
  const byLength = Array.from(LENGTHS)
    .map((digit, octet) => ({ octet, length: Number.parseInt(digit, 36) }))
    .sort((a, b) => a.length - b.length || a.octet - b.octet)
  let code = 0
  let before = 0
  for (const { octet, length } of byLength) {
    code <<= length - before
    before = length
    let node = 0
    let left = length
    for (; left > 8; left -= 8) {
      const at = node + ((code >>> (left - 8)) & 0xff)
      if (nodes[at] === 0) {
        nodes[at] = nodes.length / 256
        for (let i = 0; i < 256; i++) nodes.push(0)
      }
      node = (nodes[at] ?? 0) * 256
    }
    const first = node + ((code << (8 - left)) & 0xff)
    nodes.fill(LEAF | (octet << 4) | left, first, first + (1 << (8 - left)))
    code++
  }
  return Int32Array.from(nodes)
}

/** Latin-1 text of the octets; undefined: no such code, the end-of-string code, or padding that is not its beginning. */
export function decodeHuffman(bytes: Buffer, from: number, to: number): string | undefined {
  // The shortest code has five bits.
  const out = Buffer.allocUnsafe(Math.floor(((to - from) * 8) / 5) + 1)
  let length = 0
  let bits = 0
  let count = 0
  /** Since the last octet ended. */
  let open = 0
  let node = 0
  for (let at = from; at < to; at++) {
    bits = ((bits << 8) | (bytes[at] as number)) & 0xffff
    count += 8
    open += 8
    while (count >= 8) {
      const entry = TREE[node + ((bits >>> (count - 8)) & 0xff)] as number
      if (entry === 0) return undefined
      if (entry & LEAF) {
        out[length++] = (entry >>> 4) & 0xff
        count -= entry & 0xf
        open = count
        node = 0
      } else {
        node = entry * 256
        count -= 8
      }
    }
  }
  while (count > 0) {
    const entry = TREE[node + ((bits << (8 - count)) & 0xff)] as number
    if (!(entry & LEAF) || (entry & 0xf) > count) break
    out[length++] = (entry >>> 4) & 0xff
    count -= entry & 0xf
    open = count
    node = 0
  }
  const mask = (1 << count) - 1
  return open > 7 || (bits & mask) !== mask ? undefined : out.toString('latin1', 0, length)
}
