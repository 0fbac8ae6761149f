import { isUtf8 } from 'node:buffer'
import type { Position } from './issues.ts'

/** Bytes that are no text. */
export class NotText extends Error {
  override readonly name = 'NotText'
  /** The first byte that is wrong; undefined: all of them are. */
  readonly at: Position | undefined

  constructor(message: string, at?: Position) {
    super(message)
    this.at = at
  }
}

/** UTF-8, and nothing else: a name with a letter lost would match nobody. Throws NotText. */
export function decodeText(bytes: Buffer): string {
  const [first, second] = bytes
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
    throw new NotText('it is UTF-16; save it as UTF-8')
  }
  const text = bytes.toString('utf8')
  if (isUtf8(bytes)) return text
  const offset = firstWrongByte(bytes, text)
  const before = bytes.toString('utf8', 0, offset)
  const at = { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') }
  const byte = bytes[offset]?.toString(16).padStart(2, '0') ?? ''
  throw new NotText(
    `the byte ${byte} is not UTF-8 (Latin-1, perhaps); save it as UTF-8, and write random bytes as base64`,
    at,
  )
}

/** The replacement character may have been written, too. */
function firstWrongByte(bytes: Buffer, text: string): number {
  for (let i = text.indexOf('\ufffd'); i >= 0; i = text.indexOf('\ufffd', i + 1)) {
    const offset = Buffer.byteLength(text.slice(0, i))
    if (bytes.toString('hex', offset, offset + 3) !== 'efbfbd') return offset
  }
  return 0
}
