import { type Color, contrast, parseColor } from '../../lib/color.ts'
import { type Palette, paletteOf, type Scheme, SURFACES } from '../../lib/palette.ts'
import type { Report } from '../issues.ts'
import type { PageSettings } from '../model.ts'
import type { GlobalInput } from '../schema.ts'
import { ANY_SCHEME, isLoopback, parseUrl } from './urls.ts'

/** What our own pages say and look like. What cannot be shown is reported, and left out. */
export function compilePages(globals: GlobalInput, report: Report): PageSettings {
  const { error_message_first_paragraph: firstParagraph } = globals
  const supportUrl = compileSupport(globals.support_url, report)
  const troubleshootingUrl = compileHttps('troubleshooting_url', globals, report)
  const logoUrl = compileHttps('logo_url', globals, report)
  const faviconUrl = compileHttps('favicon_url', globals, report)
  const colors = compileColors(globals, report)
  return {
    productName: globals.product_name,
    ...(supportUrl !== undefined && { supportUrl }),
    ...(troubleshootingUrl !== undefined && { troubleshootingUrl }),
    ...(firstParagraph !== undefined && { firstParagraph }),
    ...(logoUrl !== undefined && { logoUrl }),
    ...(faviconUrl !== undefined && { faviconUrl }),
    ...(colors && { colors }),
  }
}

function compileSupport(written: string | undefined, report: Report): string | undefined {
  if (written === undefined) return undefined
  // What a URL parser takes away without a word (line breaks above all) is no slip of a person.
  const url = /[\p{Cc}\s"'<>\\]|%0[ad]/iu.test(written) || !URL.canParse(written) ? undefined : new URL(written)
  const isMail = url?.protocol === 'mailto:' && /^[^@?]+@[^@?]+$/.test(url.pathname)
  const isPage = url?.protocol === 'https:' && url.username === '' && url.password === ''
  if (url && (isMail || isPage)) return url.href
  report.error(['support_url'], `expected https://… or mailto:somebody@…, found ${JSON.stringify(written)}`)
  return undefined
}

/** From a page that came by https a browser loads nothing by http. */
function compileHttps(
  key: 'troubleshooting_url' | 'logo_url' | 'favicon_url',
  globals: GlobalInput,
  report: Report,
): string | undefined {
  const written = globals[key]
  const url = written === undefined ? undefined : parseUrl(written, ANY_SCHEME, [key], report)
  if (!url || url.protocol === 'https:' || isLoopback(url.hostname)) return url?.href
  report.error([key], `expected an address that begins with https://, found ${JSON.stringify(written)}`)
  return undefined
}

/** The schema has seen that they are colours. */
function compileColors(globals: GlobalInput, report: Report): PageSettings['colors'] {
  const read = (key: ColorKey): Color | undefined => parseColor(globals[key] ?? '')
  const primary = read('primary_color')
  const secondary = read('secondary_color') ?? primary
  const dark = read('darkmode_primary_color') ?? primary
  const darkSecondary = read('darkmode_secondary_color') ?? read('darkmode_primary_color') ?? secondary
  const light = palette([primary, secondary], 'light', ['primary_color', 'secondary_color'], report)
  const darkened = palette(
    [dark, darkSecondary],
    'dark',
    ['darkmode_primary_color', 'darkmode_secondary_color'],
    report,
  )
  return light || darkened ? { ...(light && { light }), ...(darkened && { dark: darkened }) } : undefined
}

type ColorKey = 'primary_color' | 'secondary_color' | 'darkmode_primary_color' | 'darkmode_secondary_color'

function palette(
  [primary, secondary]: readonly [Color | undefined, Color | undefined],
  scheme: Scheme,
  [primaryKey, secondaryKey]: readonly [ColorKey, ColorKey],
  report: Report,
): Palette | undefined {
  const [first, second] = [primary ?? secondary, secondary ?? primary]
  if (first === undefined || second === undefined) return undefined
  const made = paletteOf(first, second, scheme)
  warnOfMoved(primaryKey, first, made.accent, scheme, report)
  warnOfMoved(secondaryKey, second, made.link, scheme, report)
  return made
}

function warnOfMoved(key: ColorKey, written: Color, shown: Color, scheme: Scheme, report: Report): void {
  if (written === shown || !report.isWritten([key])) return
  const nearest = Math.min(...SURFACES[scheme].map((surface) => contrast(written, surface)))
  report.warning(
    [key],
    `${written} is hard to see on our ${scheme} pages (contrast ${nearest.toFixed(1)}): ${shown} is used instead`,
  )
}
