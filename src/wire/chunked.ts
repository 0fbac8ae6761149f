import { CR, LF } from './bytes.ts'

/** Enough for every number that JavaScript counts exactly. */
const MAX_DIGITS = 13
/** Of all extensions and trailers of one body together: each chunk of one byte may have its own (CVE-2024-22019). */
const MAX_OVERHEAD = 16 * 1024
const SEMICOLON = 0x3b
const NAME = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]+"
const QUOTED = '"(?:[\\t\\x20\\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t\\x20-\\x7e\\x80-\\xff])*"'
/** RFC 9112 §7.1.1, but for blanks: nobody writes them, and readers disagree about them. */
const EXTENSIONS = new RegExp(`^(?:;${NAME}(?:=(?:${NAME}|${QUOTED}))?)+\\r\\n$`)
/** RFC 9110 §6.5.1: none says where a message ends. Readers that keep trailers might believe it. */
const TRAILER = new RegExp(`^(?!(?:content.length|transfer.encoding):)${NAME}:[\\t\\x20-\\x7e\\x80-\\xff]*\\r\\n$`, 'i')

type State = 'size' | 'extensions' | 'size-end' | 'data' | 'data-end' | 'chunk-end' | 'trailers' | 'done'

/**
 * The chunked coding of one body, taken off (RFC 9112 §7.1). Requests and answers. Extensions and trailers are bounded
 * and dropped; there is no lenient mode.
 */
export class ChunkedDecoder {
  /** Of the last call: where its body bytes begin. */
  start = 0
  /** Of the last call: where the bytes of this coding end. What follows is not of this body. */
  end = 0
  private state: State = 'size'
  private digits = 0
  /** Of the chunk. */
  private left = 0
  /** Extensions or a trailer, as far as they have come. */
  private line = ''
  private overhead = 0

  /** Has the last chunk been read, with the trailers behind it? */
  get done(): boolean {
    return this.state === 'done'
  }

  /**
   * Takes what has arrived. The body bytes are moved together in place: they stand from `start` to the index that comes
   * back. -1: malformed; nothing more may be given.
   */
  decode(bytes: Buffer, from: number, to: number): number {
    let at = from
    let start = -1
    let out = from
    while (at < to && this.state !== 'done') {
      if (this.state === 'data') {
        const until = Math.min(at + this.left, to)
        if (start === -1) {
          // The first run stays where it is: a piece within one chunk, which most are, is not copied.
          start = at
          out = until
        } else {
          bytes.copyWithin(out, at, until)
          out += until - at
        }
        this.left -= until - at
        if (this.left === 0) this.state = 'data-end'
        at = until
      } else if (this.state === 'extensions' || this.state === 'trailers') {
        at = this.takeLine(bytes, at, to)
        if (at === -1) return -1
      } else if (!this.takeOctet(bytes[at++] ?? 0)) return -1
    }
    this.start = start === -1 ? from : start
    this.end = at
    return out
  }

  private takeOctet(octet: number): boolean {
    switch (this.state) {
      case 'size':
        return this.takeDigit(octet)
      case 'size-end':
        this.beginData()
        return octet === LF
      case 'data-end':
        this.state = 'chunk-end'
        return octet === CR
      default:
        this.state = 'size'
        this.digits = 0
        return octet === LF
    }
  }

  private takeDigit(octet: number): boolean {
    const digit = valueOf(octet)
    if (digit !== -1) {
      this.left = this.left * 16 + digit
      return ++this.digits <= MAX_DIGITS
    }
    if (this.digits === 0) return false
    if (octet === CR) this.state = 'size-end'
    else if (octet === SEMICOLON) {
      this.state = 'extensions'
      this.line = ';'
    } else return false
    return true
  }

  private beginData(): void {
    this.state = this.left === 0 ? 'trailers' : 'data'
  }

  /** Up to the end of a line, or of what has arrived; -1: malformed. */
  private takeLine(bytes: Buffer, from: number, to: number): number {
    const found = bytes.indexOf(LF, from)
    const ends = found !== -1 && found < to
    const until = ends ? found + 1 : to
    this.line += bytes.toString('latin1', from, until)
    this.overhead += until - from
    if (this.overhead > MAX_OVERHEAD || (ends && !this.endLine())) return -1
    return until
  }

  private endLine(): boolean {
    const { line } = this
    this.line = ''
    if (this.state === 'extensions') {
      this.beginData()
      return EXTENSIONS.test(line)
    }
    if (line !== '\r\n') return TRAILER.test(line)
    this.state = 'done'
    return true
  }
}

/** Of a hexadecimal digit; -1: it is none. */
function valueOf(octet: number): number {
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30
  const lower = octet | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
