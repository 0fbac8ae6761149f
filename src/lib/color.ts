/** Colours as people write them in a configuration: `#rgb` or `#rrggbb`. */
export type Color = `#${string}`

/** Undefined: it is no colour. Of `#rgb` the long form, in lower case. */
export function parseColor(text: string): Color | undefined {
  const [, digits] = /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.exec(text) ?? []
  if (digits === undefined) return undefined
  const long = digits.length === 6 ? digits : digits.replaceAll(/./g, '$&$&')
  return `#${long.toLowerCase()}`
}

/** Contrast ratio, from 1 to 21 (WCAG 2.2, "contrast ratio"). */
export function contrast(one: Color, other: Color): number {
  const [light, dark] = [luminance(one), luminance(other)].toSorted((a, b) => b - a) as [number, number]
  return (light + 0.05) / (dark + 0.05)
}

/** `share` of `other`, from 0 to 1, in the colour. */
export function mix(color: Color, other: Color, share: number): Color {
  const [from, to] = [channels(color), channels(other)]
  const mixed = from.map((value, i) => Math.round(value + ((to[i] ?? value) - value) * share))
  return `#${mixed.map((value) => value.toString(16).padStart(2, '0')).join('')}`
}

/** The colour itself where it is far enough from all surfaces, else the nearest to it on the way to `towards` that is. */
export function distinct(color: Color, surfaces: readonly Color[], ratio: number, towards: Color): Color {
  for (let percent = 0; percent < 100; percent++) {
    const mixed = mix(color, towards, percent / 100)
    if (surfaces.every((surface) => contrast(mixed, surface) >= ratio)) return mixed
  }
  return towards
}

function luminance(color: Color): number {
  const [red = 0, green = 0, blue = 0] = channels(color).map((value) => {
    const share = value / 255
    return share <= 0.040_45 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  })
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

function channels(color: Color): readonly number[] {
  return [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16))
}
