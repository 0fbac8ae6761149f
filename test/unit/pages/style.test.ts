import { describe, expect, test } from 'vitest'
import { sha256 } from '../../../src/lib/crypto.ts'
import { stylesheetOf } from '../../../src/pages/style.ts'

const stylesheet = stylesheetOf({})

const [light = '', dark = ''] = [...stylesheet.body.matchAll(/:root \{([^}]*)\}/g)].map(([, block]) => block)

/** WCAG 2.2 §1.4.3: at least 4.5:1 for text. */
describe.each([
  ['light', light],
  ['dark', dark],
])('%s colours', (_name, block) => {
  test.each([
    ['text', 'card'],
    ['text', 'soft'],
    ['muted', 'card'],
    ['muted', 'page'],
    ['accent', 'card'],
    ['link', 'card'],
    ['link', 'page'],
    ['link', 'soft'],
    ['on-accent', 'accent'],
    ['on-accent', 'accent-hover'],
    ['stop', 'stop-soft'],
    ['wait', 'wait-soft'],
    ['good', 'good-soft'],
  ])('%s on %s can be read', (text, ground) => {
    expect(contrast(colour(block, text), colour(block, ground))).toBeGreaterThanOrEqual(4.5)
  })
})

test('the stylesheet loads nothing, and its hash is of its text', () => {
  expect(stylesheet.body).not.toMatch(/@import|url\(|expression\(/)
  expect(stylesheet.hash).toBe(sha256(stylesheet.body).slice(0, 12))
})

function colour(block: string, name: string): readonly number[] {
  const hex = new RegExp(`--${name}: #([0-9a-f]{6});`).exec(block)?.[1]
  if (hex === undefined) throw new Error(`no colour ${name}`)
  return [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
}

function contrast(one: readonly number[], other: readonly number[]): number {
  const [darker = 0, lighter = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b)
  return (lighter + 0.05) / (darker + 0.05)
}

function luminance(rgb: readonly number[]): number {
  const [red = 0, green = 0, blue = 0] = rgb.map((part) =>
    part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4,
  )
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
