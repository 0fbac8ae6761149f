import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { stringify } from 'yaml'
import { parseConfigDocument } from '../../../src/config/document.ts'
import { parseLongDocument } from '../../../src/config/long-document.ts'

type Path = readonly (string | number)[]

/** Every path of a value, and one below each that is not there. */
function pathsOf(value: unknown, path: Path = []): readonly Path[] {
  const children: readonly (readonly [string | number, unknown])[] = Array.isArray(value)
    ? value.map((item, i) => [i, item] as const)
    : typeof value === 'object' && value !== null
      ? Object.entries(value)
      : []
  return [path, [...path, 'absent'], ...children.flatMap(([key, child]) => pathsOf(child, [...path, key]))]
}

/** Value, issues and the position of everything. */
function everything(text: string, parse: (text: string, file: string) => ReturnType<typeof parseConfigDocument>) {
  const document = parse(text, 'config.yaml')
  const { value, issues } = document
  return { value, issues, at: pathsOf(value).map((path) => [path, document.valueAt(path), document.keyAt(path)]) }
}

function same(text: string): void {
  const inPieces = everything(text, (whole, file) => parseLongDocument(whole, file, 0))
  expect(inPieces).toEqual(everything(text, parseConfigDocument))
}

const scalar = fc.oneof(
  fc.constantFrom('a', 'b: c', '- x', '#', '*.corp.example', 'two\n- lines\n', '', 'null', '&a', "it's", '{', '---'),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
)
const value = fc.letrec((tie) => ({
  any: fc.oneof({ depthSize: 'small' }, scalar, fc.array(tie('any'), { maxLength: 3 }), tie('map')),
  map: fc.dictionary(fc.constantFrom('from', 'to', 'policy', '- k', 'x y'), tie('any'), { maxKeys: 3 }),
}))

test('a list in pieces gives the values, issues and positions of the whole', () => {
  fc.assert(
    fc.property(
      fc.array(value.map, { maxLength: 130 }),
      fc.record({
        indent: fc.constantFrom(2, 4),
        indentSeq: fc.boolean(),
        collectionStyle: fc.constantFrom('any' as const, 'block' as const),
        lineWidth: fc.constantFrom(20, 80),
      }),
      fc.constantFrom('routes', 'policy'),
      (items, options, key) => {
        const text = stringify({ before: 'a', [key]: items, after: { x: [1] } }, options)
        same(text)
        same(text.replaceAll('\n', '\r\n'))
      },
    ),
    { numRuns: 150 },
  )
})

test.each([
  'routes:\n- a: 1\n- a: 2\nlog_level: info\n',
  'routes: # all\n\n  # first\n  - a: 1 # one\n\n# second\n  - a: 2\n',
  'routes:\n  -\n    a: 1\n  - a: |\n      - text\n      more\n  - a: 3\n',
  'routes:\n  - - a: 1\n  - a: 2\n',
  'routes:\n  - {a: 1,\n  b: 2}\n  - a: 2\n',
  'routes:\n  - a: "one\n  - two"\n  - a: 2\n',
  'routes:\n  - a: &x 1\n  - a: *x\n',
  'routes:\n  - a: *nobody\n  - a: 2\n',
  'routes:\n  - &x {a: 1}\n  - <<: *x\n',
  'routes:\n  - a: 1\n  - a: 2\nroutes:\n  - a: 3\n',
  'routes:\n  - a: 1\n    a: 2\n  - a: 3\n',
  'routes:\n  - a: 1\n b: 2\n',
  'routes:\n  - a: 1\n\t\n  - a: 2\n',
  'policy:\n  - a: 1\nroutes:\n  - a: 2\n  - a: 3',
  'x: |\n  routes:\n    - a: 1\nroutes:\n  - a: 2\n',
  'x:\n  routes:\n  - a: 1\n',
  'x: |\nroutes:\n  - a: 1\n',
  '"x\nroutes:\n  - a: 1\n"\n',
  'x: "\nroutes:\n  - a: 1\n"\n',
  '---\nroutes:\n  - a: 1\n',
  'routes:\n  - a: 1\n...\nb: 2\n',
  'routes:\n  - a: 1\n---\nroutes: []\n',
  '{x: [\nroutes:\n  - a\n]}\n',
])('%j reads the same in pieces', same)
