/** Messages as protobuf writes them (https://protobuf.dev/programming-guides/encoding/), by tables of their fields. */

/** `hex`: octets that JSON has as hex digits. `fixed64`: decimal digits, or a number. */
type Scalar = 'string' | 'hex' | 'bool' | 'enum' | 'int64' | 'fixed32' | 'fixed64' | 'double'
type Field = readonly [number: number, kind: Scalar | Shape, repeated?: 'repeated']
export interface Shape {
  readonly [name: string]: Field
}

type Message = Readonly<Record<string, unknown>>

const [VARINT, FIXED64, DELIMITED, FIXED32] = [0, 1, 2, 5] as const
const WIRE: Readonly<Record<Scalar, number>> = {
  string: DELIMITED,
  hex: DELIMITED,
  bool: VARINT,
  enum: VARINT,
  int64: VARINT,
  fixed32: FIXED32,
  fixed64: FIXED64,
  double: FIXED64,
}

/** Characters. */
const SHORT = 32

/** A field that is absent is left out; one that the table does not have is a mistake, and throws. */
export function encodeProtobuf(message: object, shape: Shape): Uint8Array {
  const backwards = new Backwards()
  backwards.message(message as Message, shape)
  return backwards.bytes()
}

/** From the end to the begin: so the length of a part is known when it has to be written, and nothing is copied. */
class Backwards {
  private buffer = Buffer.allocUnsafe(16_384)
  private at = this.buffer.length

  bytes(): Uint8Array {
    return this.buffer.subarray(this.at)
  }

  /** Octets so far: what is counted from the end stays right when the buffer grows. */
  private get written(): number {
    return this.buffer.length - this.at
  }

  message(message: Message, shape: Shape): void {
    const names = Object.keys(message)
    for (let i = names.length - 1; i >= 0; i--) {
      const name = names[i] ?? ''
      const field = shape[name]
      if (!field) throw new TypeError(`protobuf: no field ${name}`)
      const value = message[name]
      if (value === undefined) continue
      const [number, kind, repeated] = field
      if (repeated) this.list(value as readonly unknown[], number, kind)
      else this.field(value, number, kind)
    }
  }

  private list(values: readonly unknown[], number: number, kind: Scalar | Shape): void {
    // Numbers are packed into one field, everything else is one field each.
    if (typeof kind === 'string' && WIRE[kind] !== DELIMITED) {
      const behind = this.written
      for (let i = values.length - 1; i >= 0; i--) this.scalar(values[i], kind)
      this.head(number, DELIMITED, this.written - behind)
      return
    }
    for (let i = values.length - 1; i >= 0; i--) this.field(values[i], number, kind)
  }

  private field(value: unknown, number: number, kind: Scalar | Shape): void {
    const behind = this.written
    if (typeof kind === 'string') this.scalar(value, kind)
    else this.message(value as Message, kind)
    const wire = typeof kind === 'string' ? WIRE[kind] : DELIMITED
    this.head(number, wire, wire === DELIMITED ? this.written - behind : undefined)
  }

  private head(number: number, wire: number, length: number | undefined): void {
    if (length !== undefined) this.varint(length)
    this.varint((number << 3) | wire)
  }

  private scalar(value: unknown, kind: Scalar): void {
    switch (kind) {
      case 'string':
        return this.text(value as string)
      case 'hex': {
        const at = this.before((value as string).length / 2)
        this.buffer.write(value as string, at, 'hex')
        return
      }
      case 'bool':
        return this.varint(value === true ? 1 : 0)
      case 'enum':
      case 'int64':
        return this.varint(Number(value))
      case 'fixed32': {
        const at = this.before(4)
        this.buffer.writeUInt32LE(value as number, at)
        return
      }
      case 'fixed64': {
        const at = this.before(8)
        this.buffer.writeBigUInt64LE(BigInt(value as string | number), at)
        return
      }
      case 'double': {
        const at = this.before(8)
        this.buffer.writeDoubleLE(value as number, at)
        return
      }
      default:
        kind satisfies never
    }
  }

  private text(value: string): void {
    // Most are short and ASCII: to ask Node for these takes longer than to write them.
    const { length } = value
    if (length <= SHORT) {
      const begin = this.before(length)
      let i = 0
      for (; i < length; i++) {
        const code = value.charCodeAt(i)
        if (code > 127) break
        this.buffer[begin + i] = code
      }
      if (i === length) return
      // Not ASCII: as if nothing had been written.
      this.at += length
    }
    const at = this.before(Buffer.byteLength(value))
    this.buffer.write(value, at)
  }

  /** @param value whole, from 0 to 2^53: statuses, ports, kinds, lengths. */
  private varint(value: number): void {
    let length = 1
    for (let rest = value; rest > 127; rest = Math.floor(rest / 128)) length++
    let at = this.before(length)
    let rest = value
    for (; length > 1; length--, rest = Math.floor(rest / 128)) this.buffer[at++] = (rest % 128) | 128
    this.buffer[at] = rest
  }

  /** Room for so many octets in front of what is there; where it begins. May make a new buffer: ask for that afterwards. */
  private before(length: number): number {
    if (length > this.at) {
      const written = this.bytes()
      const larger = Buffer.allocUnsafe(2 * this.buffer.length + length)
      larger.set(written, larger.length - written.length)
      this.at = larger.length - written.length
      this.buffer = larger
    }
    return (this.at -= length)
  }
}
