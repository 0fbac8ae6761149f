/** Messages as protobuf writes them (https://protobuf.dev/programming-guides/encoding/), by tables of their fields. */

/** `hex`: octets that JSON has as hex digits. `fixed64`: decimal digits, or a number. */
type Scalar = 'string' | 'hex' | 'bool' | 'enum' | 'int64' | 'fixed32' | 'fixed64' | 'double'
type Field = readonly [number: number, kind: Scalar | Shape, repeated?: 'repeated']
export interface Shape {
  readonly [name: string]: Field
}

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

/** A field that is absent is left out; one that the table does not have is a mistake, and throws. */
export function encodeProtobuf(message: object, shape: Shape): Uint8Array {
  const backwards = new Backwards()
  backwards.message(message, shape)
  return backwards.bytes()
}

/** From the end to the begin: so the length of a part is known when it has to be written, and nothing is copied. */
class Backwards {
  private buffer = Buffer.allocUnsafe(16_384)
  private at = this.buffer.length

  bytes(): Uint8Array {
    return this.buffer.subarray(this.at)
  }

  message(message: object, shape: Shape): void {
    for (const [name, value] of Object.entries(message).toReversed()) {
      const field = shape[name]
      if (!field) throw new TypeError(`protobuf: no field ${name}`)
      if (value === undefined) continue
      const [number, kind, repeated] = field
      if (repeated) this.list(value as readonly unknown[], number, kind)
      else this.field(value, number, kind)
    }
  }

  private list(values: readonly unknown[], number: number, kind: Scalar | Shape): void {
    // Numbers are packed into one field, everything else is one field each.
    if (typeof kind === 'string' && WIRE[kind] !== DELIMITED) {
      const end = this.at
      for (let i = values.length - 1; i >= 0; i--) this.scalar(values[i], kind)
      this.head(number, DELIMITED, end - this.at)
      return
    }
    for (let i = values.length - 1; i >= 0; i--) this.field(values[i], number, kind)
  }

  private field(value: unknown, number: number, kind: Scalar | Shape): void {
    const end = this.at
    if (typeof kind === 'string') this.scalar(value, kind)
    else this.message(value as object, kind)
    const wire = typeof kind === 'string' ? WIRE[kind] : DELIMITED
    this.head(number, wire, wire === DELIMITED ? end - this.at : undefined)
  }

  private head(number: number, wire: number, length: number | undefined): void {
    if (length !== undefined) this.varint(BigInt(length))
    this.varint(BigInt((number << 3) | wire))
  }

  private scalar(value: unknown, kind: Scalar): void {
    switch (kind) {
      case 'string': {
        const length = Buffer.byteLength(value as string)
        this.buffer.write(value as string, this.before(length))
        return
      }
      case 'hex':
        this.buffer.write(value as string, this.before((value as string).length / 2), 'hex')
        return
      case 'bool':
        return this.varint(value === true ? 1n : 0n)
      case 'enum':
      case 'int64':
        return this.varint(BigInt.asUintN(64, BigInt(value as string | number)))
      case 'fixed32':
        this.buffer.writeUInt32LE(value as number, this.before(4))
        return
      case 'fixed64':
        this.buffer.writeBigUInt64LE(BigInt(value as string | number), this.before(8))
        return
      case 'double':
        this.buffer.writeDoubleLE(value as number, this.before(8))
        return
      default:
        kind satisfies never
    }
  }

  private varint(value: bigint): void {
    let length = 1
    for (let rest = value >> 7n; rest > 0n; rest >>= 7n) length++
    let at = this.before(length)
    let rest = value
    for (; length > 1; length--, rest >>= 7n) this.buffer[at++] = Number(rest & 127n) | 128
    this.buffer[at] = Number(rest)
  }

  /** Room for so many octets in front of what is there; where it begins. */
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
