/** A client that sends more for one head has no need of an answer. Octets before decoding, and frames. */
const MAX_BLOCK = 64 * 1024
const MAX_FRAGMENTS = 32

/** A field block in the making: a HEADERS frame and its CONTINUATION frames (RFC 9113 §4.3). */
export class FieldBlock {
  readonly id: number
  readonly endStream: boolean
  readonly dependsOnItself: boolean
  private readonly fragments: Buffer[] = []
  private octets = 0

  constructor(id: number, endStream: boolean, dependsOnItself: boolean) {
    this.id = id
    this.endStream = endStream
    this.dependsOnItself = dependsOnItself
  }

  /** false: there are too many. */
  add(fragment: Buffer): boolean {
    this.octets += fragment.length
    this.fragments.push(fragment)
    return this.octets <= MAX_BLOCK && this.fragments.length <= MAX_FRAGMENTS
  }

  whole(): Buffer {
    const [first, ...others] = this.fragments
    return first && others.length === 0 ? first : Buffer.concat(this.fragments)
  }
}
