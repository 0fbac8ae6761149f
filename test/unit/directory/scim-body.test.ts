/** Bodies that are parsed a slice a turn are judged as JSON.parse judges them whole. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { parseBody } from '../../../src/directory/scim/body.ts'

const LONG = 70_000
/** JSON of which some is longer than a slice: in lists, objects and strings, with whitespace wherever it may stand. */
const space = fc.constantFrom('', ' ', '\n', '\t\r\n ')
const small = fc.jsonValue({ maxDepth: 2 }).map((value) => JSON.stringify(value))
const long = fc.oneof(
  fc.tuple(fc.constantFrom(',', ' ,', ', '), small).map(([comma, item]) => {
    return `[${Array.from({ length: Math.ceil(LONG / (item.length + comma.length)) }, () => item).join(comma)}]`
  }),
  fc.tuple(small, space).map(([item, gap]) => {
    const count = Math.ceil(LONG / (item.length + 10))
    return `{${Array.from({ length: count }, (_, n) => `${gap}"key ${n} \\" }"${gap}:${gap}${item}`).join(`${gap},`)}}`
  }),
  fc.constantFrom('x', '\\\\', '\\"', '[', '}').map((text) => `"${text.repeat(LONG)}"`),
)
const document = fc
  .array(
    fc.tuple(space, fc.oneof(small, long), space).map((parts) => parts.join('')),
    { minLength: 1, maxLength: 4 },
  )
  .map((values) => `{${values.map((value, n) => `"Member${n}":${value}`).join(',')}}`)

function expected(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key.toLowerCase(), item]))
  })
}

test('a body of any length gives what JSON.parse gives, with lower-case names', async () => {
  await fc.assert(
    fc.asyncProperty(document, async (text) => {
      const parsed = await parseBody(text)
      if ('refused' in parsed) {
        // Names that differ in case alone are refused, and __proto__ is no key of JSON.parse's objects once assigned.
        expect(text).toMatch(/__proto__|[A-Za-z]/)
        expect(hasTwice(JSON.parse(text))).toBe(true)
      } else expect(JSON.stringify(parsed)).toBe(JSON.stringify(expected(text)))
    }),
    { numRuns: 100 },
  )
})

function hasTwice(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const names = Array.isArray(value) ? [] : Object.keys(value).map((name) => name.toLowerCase())
  return new Set(names).size < names.length || Object.values(value).some(hasTwice)
}

test('what JSON.parse refuses is refused, wherever the fault is in a long body', async () => {
  const fault = fc.constantFrom(',', '"', '{', '}', '[', ']', ':', '\\', '\u0000', 'x', '\u00a0', '0', ' ')
  await fc.assert(
    fc.asyncProperty(document, fc.nat(), fault, fc.boolean(), async (text, at, char, replaces) => {
      const place = at % text.length
      const spoiled = text.slice(0, place) + char + text.slice(place + (replaces ? 1 : 0))
      let sound = true
      try {
        JSON.parse(spoiled)
      } catch {
        sound = false
      }
      const parsed = await parseBody(spoiled)
      if (!sound) expect(parsed).toMatchObject({ refused: 400 })
    }),
    { numRuns: 300 },
  )
})

test.each([
  ['brackets that do not fit', `{"a":[${'1,'.repeat(LONG)}1}}`],
  ['a comma at the end of a long list', `{"a":[${'1,'.repeat(LONG)}]}`],
  ['two commas', `{"a":[${'1,'.repeat(LONG)},1]}`],
  ['no end', `{"a":[${'1,'.repeat(LONG)}1`],
  ['something after the end', `{"a":[${'1,'.repeat(LONG)}1]} x`],
  ['a name twice, far apart', `{"members":[],"b":[${'1,'.repeat(LONG)}1],"Members":[]}`],
  ['more depth than a resource has', `{"a":${'['.repeat(40_000)}${']'.repeat(40_000)}}`],
  ['a name as long as a slice', `{"${'n'.repeat(LONG)}":1}`],
  ['a list as the whole', `[${'1,'.repeat(LONG)}1]`],
])('a long body with %s is refused', async (_what, text) => {
  expect(await parseBody(text)).toMatchObject({ refused: 400 })
})

test('__proto__ in a long body is a name like any other', async () => {
  const parsed = await parseBody(`{"__proto__":{"polluted":1},"a":[${'{"__proto__":{"polluted":1}},'.repeat(5000)}1]}`)
  expect(Object.getPrototypeOf(parsed)).toBe(null)
  expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
})
