import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ChunkedDecoder } from '../../../src/wire/chunked.ts'
import { createNodeOracle } from '../../fuzz/node-oracle.ts'

interface Decoded {
  readonly body: string
  readonly done: boolean
  /** Behind the body. */
  readonly rest: string
}

/** undefined: malformed. @param sizes of the pieces in which the text comes, over and over. */
function decode(text: string, sizes: readonly number[] = [text.length]): Decoded | undefined {
  const decoder = new ChunkedDecoder()
  let body = ''
  let at = 0
  for (let i = 0; at < text.length && !decoder.done; i++) {
    const piece = Buffer.from(text.slice(at, at + (sizes[i % sizes.length] ?? 1)), 'latin1')
    const to = decoder.decode(piece, 0, piece.length)
    if (to === -1) return undefined
    body += piece.toString('latin1', decoder.start, to)
    at += decoder.end
  }
  return { body, done: decoder.done, rest: text.slice(at) }
}

describe('a chunked body', () => {
  test.each<[text: string, body: string]>([
    ['0\r\n\r\n', ''],
    ['3\r\nabc\r\n0\r\n\r\n', 'abc'],
    ['03\r\nabc\r\nA\r\n0123456789\r\n0000000000000\r\n\r\n', 'abc0123456789'],
    ['3;x\r\nabc\r\n1;x=1;y="a\\"b; c"\r\nd\r\n0;z\r\n\r\n', 'abcd'],
    ['1\r\na\r\n0\r\nX: y\r\nZ:\r\n\r\n', 'a'],
    ['2\r\n\r\n\r\n0\r\n\r\n', '\r\n'],
  ])('%j', (text, body) => {
    for (const size of [1, 2, 3, 5, text.length]) {
      expect(decode(`${text}GET /`, [size])).toEqual({ body, done: true, rest: 'GET /' })
    }
  })

  test('stays where it is when it lies in one chunk, and is moved together when it does not', () => {
    const decoder = new ChunkedDecoder()
    const one = Buffer.from('8\r\nabc')
    expect([decoder.decode(one, 0, one.length), decoder.start, one.toString()]).toEqual([6, 3, '8\r\nabc'])
    const two = Buffer.from('xxdefgh\r\n2\r\nij\r\n1\r\nk')
    const to = decoder.decode(two, 2, two.length)
    expect([two.toString('latin1', decoder.start, to), decoder.end, decoder.done]).toEqual([
      'defghijk',
      two.length,
      false,
    ])
  })

  test('looks at nothing behind `to`', () => {
    const decoder = new ChunkedDecoder()
    const bytes = Buffer.from('1;x\r\na\r\n')
    expect(decoder.decode(bytes, 0, 3)).toBe(0)
    expect(decoder.end).toBe(3)
    expect(decoder.decode(bytes, 3, 6)).toBe(6)
    expect(bytes.toString('latin1', decoder.start, 6)).toBe('a')
  })

  test.each(
    [
      '\r\n\r\n',
      'x\r\n',
      '1 \r\na\r\n0\r\n\r\n',
      ' 1\r\na\r\n',
      '1 ;x\r\na\r\n',
      '1;\r\na\r\n',
      '1; x\r\na\r\n',
      '1;x=\r\na\r\n',
      '1;x y\r\na\r\n',
      '1;x="\r\na\r\n',
      '1;x\ny\r\na\r\n',
      '1;x\ry\r\na\r\n',
      '1;x\0\r\na\r\n',
      '0x1\r\na\r\n',
      '1_0\r\n',
      '+1\r\na\r\n',
      '-1\r\na\r\n',
      '1.\r\na\r\n',
      '1\na\n0\n\n',
      '1\r\na0\r\n\r\n',
      '1\r\na\n0\r\n\r\n',
      '1\r\na\rX',
      '1\ra\r\n',
      '00000000000001\r\na\r\n',
      '10000000000000\r\n',
      '1\r\na\r\n0\r\n\n',
      '1\r\na\r\n0\r\nX A: b\r\n\r\n',
      '1\r\na\r\n0\r\n: b\r\n\r\n',
      '0\r\nContent-Length: 1\r\n\r\n',
      '0\r\nX: y\r\ntransfer_encoding: chunked\r\n\r\n',
      '1\r\na\r\n0\r\n X: b\r\n\r\n',
      '1\r\na\r\n0\r\nX: b\n\r\n\r\n',
      '1\r\na\r\n0\r\nX: a\0b\r\n\r\n',
      `1;${'x'.repeat(16 * 1024)}\r\na\r\n`,
      `1\r\na\r\n0\r\nX: ${'x'.repeat(16 * 1024)}\r\n\r\n`,
      `${'1;xxxxxxxxxxxxxx\r\na\r\n'.repeat(1025)}0\r\n\r\n`,
    ].map((text) => [text.slice(0, 40), text] as const),
  )('%j is malformed', (_, text) => {
    for (const size of [1, 2, 7, text.length]) expect(decode(text, [size])).toBeUndefined()
  })
})

test('what passes, Node’s strict parser reads in the same way, wherever it is cut', async () => {
  const chunk = fc
    .tuple(
      fc.string({ unit: 'binary-ascii', minLength: 1, maxLength: 20 }),
      fc.constantFrom('', '', '', '', '', '0', ';a', ';a=b', ';a="b c"', ';a="b', ' ', ';', '\t;a', ';a;b=1', ';a b'),
    )
    .map(([data, extra]) =>
      extra === '0'
        ? `0${data.length.toString(16)}\r\n${data}\r\n`
        : `${data.length.toString(16)}${extra}\r\n${data}\r\n`,
    )
  const trailer = fc.constantFrom('', '', 'X: y\r\n', 'X:\r\nY: \xe9\r\n', 'X y\r\n', ' X: y\r\n', 'X : y\r\n')
  const cut = fc.record({
    at: fc.nat(),
    drop: fc.nat(2),
    put: fc.constantFrom('', '', '\r', '\n', '\r\n', '0', ' ', ';', 'f', '\0'),
  })
  const REQUEST = 'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n'
  const oracle = createNodeOracle()
  let passed = 0
  await fc.assert(
    fc.asyncProperty(
      fc.array(chunk, { maxLength: 5 }),
      trailer,
      fc.array(cut, { maxLength: 1 }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
      async (chunks, trailers, cuts, sizes) => {
        let text = `${chunks.join('')}0\r\n${trailers}\r\n`
        for (const { at, drop, put } of cuts) {
          const where = at % text.length
          text = text.slice(0, where) + put + text.slice(where + drop)
        }
        const found = decode(text)
        expect(decode(text, sizes)).toEqual(found)
        if (!found?.done) return
        passed++
        const read = await oracle.read(Buffer.from(REQUEST + text.slice(0, text.length - found.rest.length), 'latin1'))
        expect(read.map(({ body }) => body)).toEqual([found.body])
      },
    ),
    { numRuns: 3000 },
  )
  expect(passed).toBeGreaterThan(200)
}, 60_000)
