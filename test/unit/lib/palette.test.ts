import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { type Color, contrast, parseColor } from '../../../src/lib/color.ts'
import { paletteOf, SURFACES } from '../../../src/lib/palette.ts'
import { stylesheetOf } from '../../../src/pages/style.ts'

const color = fc.integer({ min: 0, max: 0xffffff }).map((value): Color => `#${value.toString(16).padStart(6, '0')}`)
const scheme = fc.constantFrom('light' as const, 'dark' as const)

// WCAG 2.2, definition of contrast ratio: black on white is 21, #777777 on white just misses 4.5.
test.each([
  ['#000000', '#ffffff', 21],
  ['#ffffff', '#ffffff', 1],
  ['#777777', '#ffffff', 4.48],
  ['#0000ff', '#ffffff', 8.59],
] as const)('the contrast of %s and %s is %d', (one, other, ratio) => {
  expect(contrast(one, other)).toBeCloseTo(ratio, 1)
  expect(contrast(other, one)).toBe(contrast(one, other))
})

test('whatever colours a brand has, text of them and on them can be read in either scheme (AA)', () => {
  fc.assert(
    fc.property(color, color, scheme, (primary, secondary, where) => {
      const { accent, accentHover, onAccent, link } = paletteOf(primary, secondary, where)
      for (const surface of SURFACES[where]) {
        expect(contrast(link, surface)).toBeGreaterThanOrEqual(4.5)
        expect(contrast(accent, surface)).toBeGreaterThanOrEqual(3)
      }
      for (const button of [accent, accentHover]) expect(contrast(onAccent, button)).toBeGreaterThanOrEqual(4.5)
    }),
    { numRuns: 2000 },
  )
})

test('a colour that can be read stays as it is', () => {
  expect(paletteOf('#7a1fa2', '#0b5394', 'light')).toMatchObject({ accent: '#7a1fa2', link: '#0b5394' })
})

test('the surfaces are those of the stylesheet', () => {
  const blocks = [...stylesheetOf({}).body.matchAll(/:root \{([^}]*)\}/g)].map(([, block = '']) =>
    ['page', 'card', 'soft'].map((name) => new RegExp(`--${name}: (#\\w{6});`).exec(block)?.[1]),
  )
  expect(blocks).toEqual([SURFACES.light, SURFACES.dark])
})

test('nothing but a colour gets into the stylesheet', () => {
  for (const text of ['red', '#12', '#12345g', '#1234567', '#fff;}', ' #fff', '#fff\n', 'rgb(0,0,0)', '']) {
    expect([text, parseColor(text)]).toEqual([text, undefined])
  }
  const { body } = stylesheetOf({ colors: { light: paletteOf('#abc123', '#abc123', 'light') } })
  expect(body.slice(stylesheetOf({}).body.length)).toMatch(
    /^:root \{ --accent: #\w{6}; --accent-hover: #\w{6}; --on-accent: #\w{6}; --link: #\w{6}; \}\n$/,
  )
})
