import { type Color, contrast, distinct, mix } from './color.ts'

/** What an operator may choose of the colours of our pages, in one scheme. */
export interface Palette {
  /** Buttons and the mark. */
  readonly accent: Color
  readonly accentHover: Color
  /** What is written on them. */
  readonly onAccent: Color
  /** Links, and the ring around what has the keyboard. */
  readonly link: Color
}

/** What these colours stand on: page, card and soft background (pages/style.ts). */
export const SURFACES: Readonly<Record<Scheme, readonly Color[]>> = {
  light: ['#f4f6f9', '#ffffff', '#f3f5f9'],
  dark: ['#0f1218', '#181c25', '#1f2430'],
}
const INK: Readonly<Record<Scheme, Color>> = { light: '#000000', dark: '#ffffff' }

export type Scheme = 'light' | 'dark'

/** WCAG 2.2 AA: 1.4.3 of text, 1.4.11 of what is no text. */
const TEXT = 4.5
const SHAPE = 3

/** Colours of a brand, moved as little as it takes to be read on our pages. */
export function paletteOf(primary: Color, secondary: Color, scheme: Scheme): Palette {
  const accent = distinct(primary, SURFACES[scheme], SHAPE, INK[scheme])
  const onAccent = contrast(accent, '#ffffff') >= TEXT ? '#ffffff' : '#000000'
  return {
    accent,
    // Away from the text on it, which then is read better still.
    accentHover: mix(accent, onAccent === '#ffffff' ? '#000000' : '#ffffff', 0.2),
    onAccent,
    link: distinct(secondary, SURFACES[scheme], TEXT, INK[scheme]),
  }
}
