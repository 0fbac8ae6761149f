import { describe, expect, test } from 'vitest'
import { encodeFields, HpackDecoder } from '../../../src/wire/hpack.ts'

function decoding(decoder = new HpackDecoder()) {
  return (octets: string | Buffer): string[] | 'refused' => {
    const fields: string[] = []
    const bytes = typeof octets === 'string' ? Buffer.from(octets.replaceAll(/\s/g, ''), 'hex') : octets
    const whole = decoder.decode(bytes, { field: (name, value) => void fields.push(name, value) })
    return whole ? fields : 'refused'
  }
}

const FIRST = [':method', 'GET', ':scheme', 'http', ':path', '/', ':authority', 'www.example.com']
const SECOND = [...FIRST, 'cache-control', 'no-cache']
const THIRD = ':method GET :scheme https :path /index.html :authority www.example.com custom-key custom-value'.split(
  ' ',
)

describe('examples of RFC 7541', () => {
  test('C.3: requests without Huffman coding, on one connection', () => {
    const decode = decoding()
    expect(decode('8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d')).toEqual(FIRST)
    expect(decode('8286 84be 5808 6e6f 2d63 6163 6865')).toEqual(SECOND)
    expect(decode('8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65')).toEqual(THIRD)
  })

  test('C.4: requests with Huffman coding', () => {
    const decode = decoding()
    expect(decode('8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff')).toEqual(FIRST)
    expect(decode('8286 84be 5886 a8eb 1064 9cbf')).toEqual(SECOND)
    expect(decode('8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf')).toEqual(THIRD)
  })
})

describe('what no block may be', () => {
  test.each([
    ['an index of 0', '80'],
    ['an index behind the table', 'be'],
    ['a name behind the table', '7e 01 61'],
    ['a literal that is cut', '00 0a 61 62'],
    ['a length that does not end', '00 7f 80'],
    ['an integer of more octets than any length needs', `00 7f ${'80'.repeat(9)}00`],
    ['a table larger than was allowed', '3f e2 1f'],
    ['another table size behind a field', '82 20'],
    ['a Huffman code that is cut', '00 81 fe 00'],
    ['the end-of-string code', '00 84 ff ff ff ff 00'],
    ['padding of more than seven bits', '00 82 1f ff 00'],
    ['padding that is not all ones', '00 81 18 00'],
  ])('%s', (_, hex) => {
    expect(decoding()(hex)).toBe('refused')
  })
})

test('the table holds 4096 octets, and forgets the oldest first', () => {
  const decode = decoding()
  const literal = (name: string, value: string): Buffer =>
    Buffer.concat([
      Buffer.from([0x40, name.length]),
      Buffer.from(name),
      Buffer.from([value.length]),
      Buffer.from(value),
    ])
  // 32 more octets each: forty fields of 101 fit.
  for (let i = 10; i < 60; i++) decode(literal(`n${i}`, 'v'.repeat(66)))
  const nth = (index: number): Buffer => Buffer.from(index < 127 ? [0x80 | index] : [0xff, index - 127])
  expect(decode(nth(62))).toEqual(['n59', 'v'.repeat(66)])
  expect(decode(nth(62 + 39))).toEqual(['n20', 'v'.repeat(66)])
  expect(decode(nth(62 + 40))).toBe('refused')
  // A size of 0 empties it.
  expect(decode('20 be')).toBe('refused')
  expect(decode('20 82')).toEqual([':method', 'GET'])
})

test('a field larger than the table empties it and is read all the same', () => {
  const decode = decoding()
  decode('40 01 61 01 62')
  const large = Buffer.concat([
    Buffer.from([0x40, 1, 0x63, 127, 0x81 + 0x40, 0x1f]),
    Buffer.alloc(127 + 0x41 + (0x1f << 7), 'x'),
  ])
  expect(decode(large)).toEqual(['c', 'x'.repeat(127 + 0x41 + (0x1f << 7))])
  expect(decode('be')).toBe('refused')
})

test.each([
  ['a status of the static table', [':status', '200']],
  ['another status', [':status', '418']],
  ['names that the table knows, and others', ['content-type', 'text/html', 'x-a', '', 'www-authenticate', 'Bearer']],
  ['long values', ['x', 'y'.repeat(126), 'x', 'y'.repeat(127), 'x', 'y'.repeat(128), 'set-cookie', 'z'.repeat(70_000)]],
  ['a long name', ['n'.repeat(300), 'v']],
  ['bytes', ['x-bytes', '\x80\xff']],
])('what is encoded is what is decoded: %s', (_, fields) => {
  expect(decoding()(Buffer.from(encodeFields(fields, true), 'latin1'))).toEqual(fields)
  expect(decoding()(Buffer.from(encodeFields(fields), 'latin1'))).toEqual(fields)
})
