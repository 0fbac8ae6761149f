/** Field blocks of HTTP/2 (HPACK, RFC 7541). The decoder keeps the peer's table; the encoder keeps none. */
import { decodeHuffman } from './huffman.ts'
import { STATIC_TABLE } from './hpack-table.ts'

/** Octets that the peer's table may hold: what every peer assumes at first (RFC 9113 §6.5.2). */
const TABLE_SIZE = 4096
/** Of each entry, beside its name and its value (RFC 7541 §4.1). */
export const FIELD_OVERHEAD = 32
const STATIC_COUNT = STATIC_TABLE.length / 2
/** Enough for every length that a block can have; a longer one is an attack. */
const MAX_INTEGER_OCTETS = 4

/** What a block says, field by field, in Latin-1. */
export interface FieldSink {
  field(name: string, value: string): void
}

/** Of one connection: a block changes the table with which the next one is read, so none may be left out. */
export class HpackDecoder {
  /** Names and values in turn, the newest last. */
  private entries: string[] = []
  private first = 0
  private size = 0
  private capacity = TABLE_SIZE
  private block: Buffer = Buffer.alloc(0)
  private at = 0

  /** false: the block cannot be decoded, and neither can any that follows. */
  decode(block: Buffer, sink: FieldSink): boolean {
    this.block = block
    this.at = 0
    let begun = false
    while (this.at < block.length) {
      const octet = block[this.at] as number
      if (octet >= 0x20 && octet < 0x40) {
        // Only before the first field (RFC 7541 §4.2).
        if (begun || !this.resize()) return false
        continue
      }
      begun = true
      if (!this.takeField(octet, sink)) return false
    }
    return true
  }

  private takeField(octet: number, sink: FieldSink): boolean {
    if (octet & 0x80) {
      const index = this.integer(0x7f)
      const name = this.nameAt(index)
      const value = this.valueAt(index)
      if (name === undefined || value === undefined) return false
      sink.field(name, value)
      return true
    }
    const kept = (octet & 0x40) !== 0
    const index = this.integer(kept ? 0x3f : 0x0f)
    const name = index === 0 ? this.text() : this.nameAt(index)
    if (name === undefined) return false
    const value = this.text()
    if (value === undefined) return false
    if (kept) this.keep(name, value)
    sink.field(name, value)
    return true
  }

  /** -1: malformed. @param mask the bits of the first octet that belong to it. */
  private integer(mask: number): number {
    const { block } = this
    let value = (block[this.at++] as number) & mask
    if (value < mask) return value
    for (let shift = 0; shift < 7 * MAX_INTEGER_OCTETS; shift += 7) {
      const octet = block[this.at++]
      if (octet === undefined) return -1
      value += (octet & 0x7f) << shift
      if (octet < 0x80) return value
    }
    return -1
  }

  private text(): string | undefined {
    const { block } = this
    const octet = block[this.at]
    if (octet === undefined) return undefined
    const length = this.integer(0x7f)
    const from = this.at
    const to = from + length
    if (length < 0 || to > block.length) return undefined
    this.at = to
    return octet & 0x80 ? decodeHuffman(block, from, to) : block.toString('latin1', from, to)
  }

  private nameAt(index: number): string | undefined {
    return index <= STATIC_COUNT ? STATIC_TABLE[2 * (index - 1)] : this.entries[this.entryAt(index)]
  }

  private valueAt(index: number): string | undefined {
    return index <= STATIC_COUNT ? STATIC_TABLE[2 * (index - 1) + 1] : this.entries[this.entryAt(index) + 1]
  }

  /** Of the name; outside of the list when there is no such entry. */
  private entryAt(index: number): number {
    const at = this.entries.length - 2 * (index - STATIC_COUNT)
    return at < this.first ? -2 : at
  }

  private resize(): boolean {
    const capacity = this.integer(0x1f)
    if (capacity < 0 || capacity > TABLE_SIZE) return false
    this.capacity = capacity
    this.evict(0)
    return true
  }

  private keep(name: string, value: string): void {
    const size = name.length + value.length + FIELD_OVERHEAD
    this.evict(size)
    // RFC 7541 §4.4: one that is larger than the table empties it.
    if (size > this.capacity) return
    this.entries.push(name, value)
    this.size += size
  }

  private evict(coming: number): void {
    const { entries } = this
    while (this.first < entries.length && this.size + coming > this.capacity) {
      this.size -= (entries[this.first] as string).length + (entries[this.first + 1] as string).length + FIELD_OVERHEAD
      entries[this.first] = entries[this.first + 1] = ''
      this.first += 2
    }
    if (this.first < TABLE_SIZE / FIELD_OVERHEAD) return
    entries.splice(0, this.first)
    this.first = 0
  }
}

const WITHOUT_TABLE = '\x20'
/** How a literal with this name begins; names of ours and of applications repeat. */
const begins = new Map<string, string>()
const MAX_NAMES = 2000
/** Upstreams choose names, too. */
const MAX_REMEMBERED_LENGTH = 64
const staticNames = new Map<string, number>()
const statuses = new Map<string, string>()
for (let i = STATIC_COUNT; i > 0; i--) {
  const name = STATIC_TABLE[2 * (i - 1)] ?? ''
  staticNames.set(name, i)
  if (name === ':status') statuses.set(STATIC_TABLE[2 * i - 1] ?? '', String.fromCharCode(0x80 | i))
}

/**
 * A block, an octet a character. No field is put into the peer's table and none is Huffman-coded: a few more octets, and a
 * fraction of the work.
 * @param fields names in lower case and values in turn, in Latin-1.
 * @param first of its connection? Then it tells the peer that the table stays empty.
 */
export function encodeFields(fields: readonly string[], first = false): string {
  let block = first ? WITHOUT_TABLE : ''
  for (let i = 0; i + 1 < fields.length; i += 2) {
    const name = fields[i] as string
    const value = fields[i + 1] as string
    const whole = name === ':status' ? statuses.get(value) : undefined
    block += whole ?? beginOf(name) + integer(value.length, 0x7f, 0) + value
  }
  return block
}

function beginOf(name: string): string {
  const known = begins.get(name)
  if (known !== undefined) return known
  const index = staticNames.get(name)
  const begin = index === undefined ? `\0${integer(name.length, 0x7f, 0)}${name}` : integer(index, 0x0f, 0)
  if (name.length > MAX_REMEMBERED_LENGTH) return begin
  if (begins.size >= MAX_NAMES) begins.clear()
  begins.set(name, begin)
  return begin
}

/** RFC 7541 §5.1. @param pattern the bits of the first octet that are not the number's. */
function integer(value: number, mask: number, pattern: number): string {
  if (value < mask) return String.fromCharCode(pattern | value)
  let text = String.fromCharCode(pattern | mask)
  let rest = value - mask
  for (; rest >= 0x80; rest >>>= 7) text += String.fromCharCode((rest & 0x7f) | 0x80)
  return text + String.fromCharCode(rest)
}
