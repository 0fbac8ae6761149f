import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  field,
  type HeaderLines,
  headerLines,
  internName,
  linesOf,
  listOf,
  ScannedLines,
} from '../../../src/http/header-lines.ts'

/** As a scanner fills them: `Name:` then blanks, a value and blanks. */
function scanned(...lines: readonly string[]): HeaderLines {
  const begin = 'GET / HTTP/1.1\r\n'
  const text = `${begin}${lines.map((line) => `${line}\r\n`).join('')}\r\n`
  const found = new ScannedLines(text, begin.length)
  let at = begin.length
  for (const line of lines) {
    const colon = text.indexOf(':', at)
    const name = internName(text, at, colon)
    if (!name) throw new Error(`no name: ${line}`)
    const blanks = /^[\t ]*/.exec(line.slice(colon + 1 - at))?.[0].length ?? 0
    const end = at + line.length
    found.add(name, colon + 1 + blanks, at + line.trimEnd().length, end + 2)
    at = end + 2
  }
  return found
}

function all(lines: HeaderLines): unknown[] {
  return Array.from({ length: lines.count }, (_, i) => [lines.name(i).spelling, lines.value(i), lines.isTidy(i)])
}

describe('lines', () => {
  test('say name, value and where they are, and whether they are written as we would write them', () => {
    const lines = scanned('Host: a', 'X-A:b', 'X-B:\tc', 'X-C:  d', 'X-D: e ', 'X-E: ', 'X-F:', 'host: b')
    expect(all(lines)).toEqual([
      ['Host', 'a', true],
      ['X-A', 'b', false],
      ['X-B', 'c', false],
      ['X-C', 'd', false],
      ['X-D', 'e', false],
      ['X-E', '', false],
      ['X-F', '', false],
      ['host', 'b', true],
    ])
    expect(lines.first('host')).toBe('a')
    expect(lines.first('x-z')).toBeUndefined()
    expect(lines.text.slice(lines.start(1), lines.end(2))).toBe('X-A:b\r\nX-B:\tc\r\n')
  })

  test('of a list are tidy, without the blanks around their values', () => {
    const lines = headerLines(['Host', ' a\t', 'X-A', '', 'x-b', 'caf\xe9 \t b'])
    expect(all(lines)).toEqual([
      ['Host', 'a', true],
      ['X-A', '', true],
      ['x-b', 'caf\xe9 \t b', true],
    ])
    expect([lines.text, lines.problem]).toEqual(['Host: a\r\nX-A: \r\nx-b: caf\xe9 \t b\r\n', undefined])
  })

  test.each([
    [['', 'a'], 'invalid header name'],
    [['x a', 'a'], 'invalid header name'],
    [['x:a', 'a'], 'invalid header name'],
    [['x\r\nevil', 'a'], 'invalid header name'],
    [['x', 'a\r\nevil: 1'], 'invalid header value'],
    [['x', 'a\nevil: 1'], 'invalid header value'],
    [['x', 'a\0'], 'invalid header value'],
    [['x', 'a\x7f'], 'invalid header value'],
    [['x', '\u{10d}'], 'invalid header value'],
  ])('of the list %j are none', (list, problem) => {
    expect(headerLines(['Host', 'a', ...list]).problem).toBe(problem)
  })

  test('any list comes back from its lines, or is refused', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.constantFrom('X-A', 'x_a', 'Host', '\r\n', ': '),
    )
    fc.assert(
      fc.property(fc.array(fc.tuple(text, text), { maxLength: 5 }), (pairs) => {
        const lines = headerLines(pairs.flat())
        const list = listOf(lines.text)
        if (lines.problem === undefined) {
          expect(list).toEqual(pairs.flatMap(([name, value]) => [name, value.replaceAll(/^[\t ]+|[\t ]+$/g, '')]))
        }
        // Whatever was refused, nothing made a line of its own.
        expect(list.length / 2).toBe(lines.count)
        expect(linesOf(list)).toBe(lines.text)
      }),
      { numRuns: 1000 },
    )
  })
})

test.each(['a\r\nevil: 1', 'a\nb', 'a\rb', 'a\0', 'a\x7f', '\u{20ac}'])('no line is written with %j', (value) => {
  expect(() => field('x-a', value)).toThrow(expect.objectContaining({ code: 'ERR_INTERNAL' }) as Error)
})

describe('a name', () => {
  test('is one object for each spelling, and says what it is', () => {
    expect(internName('GET Content-LENGTH: 1', 4, 18)).toBe(internName('Content-LENGTH'))
    expect(internName('Content-LENGTH')).toEqual({
      spelling: 'Content-LENGTH',
      lower: 'content-length',
      normal: 'content-length',
      kind: 'content-length',
    })
    expect(internName('X_Env')).toMatchObject({ lower: 'x_env', normal: 'x-env', kind: 'other' })
  })

  test.each(['Transfer_Encoding', 'transfer.encoding', 'CONTENT_LENGTH'])('%s looks like framing', (spelling) => {
    expect(internName(spelling)?.kind).toBe('framing-like')
  })

  test.each(['', 'x ', ' x', 'x\ty', 'x:', 'x\r', 'caf\xe9', 'x(', 'x/y'])('%j is none', (spelling) => {
    expect(internName(spelling)).toBeUndefined()
  })

  test('that somebody invented is forgotten again, and means the same afterwards', () => {
    const before = internName('X-Known')
    for (let i = 0; i < 5000; i++) internName(`x-${i}`)
    expect(internName('X-Known')).not.toBe(before)
    expect(internName('X-Known')).toEqual(before)
    expect(internName(`x-${'a'.repeat(1000)}`)?.lower).toHaveLength(1002)
  })
})
