import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseStrictJson, utf8Text } from '../../../src/lib/strict-json.ts'

test('what JSON.stringify writes is read as JSON.parse reads it, whatever stands in its strings', () => {
  const text = fc.oneof(fc.string(), fc.constantFrom('":', '\\":', '\\', '{"a":1}', '__proto__', '\ud800'))
  const { value: json } = fc.letrec((tie) => ({
    value: fc.oneof({ maxDepth: 4 }, text, fc.double(), fc.constantFrom(null, true), tie('list'), tie('object')),
    list: fc.array(tie('value'), { maxLength: 4 }),
    object: fc.dictionary(text, tie('value'), { maxKeys: 4 }),
  }))
  fc.assert(
    fc.property(json, fc.nat(4), (value, space) => {
      const written = JSON.stringify(value, null, space)
      expect(parseStrictJson(written)).toEqual(JSON.parse(written))
    }),
  )
})

test.each([
  '{"a":1,"a":1}',
  '{"a":1,"\\u0061":2}',
  '[{"b":{"a":1,"c":":","a":[]}}]',
  '{"a":{"b":1,"c":2},"a":{}}',
  '{"__proto__":1,"__proto__":2}',
  '{"":1,"":2}',
  '',
  '{"a":1',
  '\ufeff{}',
])('%s is nothing', (text) => {
  expect(parseStrictJson(text)).toBeUndefined()
})

test('a name may come again in another object', () => {
  expect(parseStrictJson('[{"a":{"a":1}},{"a":2}]')).toEqual([{ a: { a: 1 } }, { a: 2 }])
})

test('depth is no trouble', () => {
  const deep = 100_000
  expect(Array.isArray(parseStrictJson('['.repeat(deep) + ']'.repeat(deep)))).toBe(true)
  expect(parseStrictJson(`${'{"a":'.repeat(deep)}1,"a":1${'}'.repeat(deep)}`)).toBeUndefined()
})

test('text is UTF-8 alone', () => {
  expect(utf8Text(Buffer.from('Zoë 😀'))).toBe('Zoë 😀')
  for (const bytes of [[0xff], [0x5a, 0x6f, 0xeb], [0xc0, 0x80], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98]]) {
    expect(utf8Text(Buffer.from(bytes))).toBeUndefined()
  }
})
