/** Each state of each page: axe-core, 320 px, light and dark, in our looks and in those of an operator. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { PAGE_STATES } from '../../test/support/page-states.ts'
import { axeViolations, chromiumPath, inChromium, launchChromium, newVisitor, widerThanTheScreen } from './chromium.ts'
import { type Look, type PageServer, servePages, withPictures } from './page-server.ts'

const WIDTHS: Readonly<Record<Look, readonly number[]>> = {
  ours: [1280, 320],
  branded: [1280, 320],
  helpful: [320],
  written: [320],
}
/** States that are looked at by one tab, one after the other. */
const AT_ONCE = 12

describe.skipIf(chromiumPath === undefined)(inChromium('every state of every page'), () => {
  let server: PageServer
  let browser: Browser
  beforeAll(async () => {
    server = await servePages()
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await server?.close()
  })

  const all = PAGE_STATES.map((state, index) => ({ ...state, index }))
  // What differs in its words alone has the colours of the others; its words must fit and be read out in one look.
  const statesOf = (look: Look) => (look === 'ours' ? all : all.filter(({ as }) => as !== 'words'))
  const slicesOf = (look: Look) =>
    Array.from({ length: Math.ceil(statesOf(look).length / AT_ONCE) }, (_, n) => n * AT_ONCE)
  const looks = Object.keys(WIDTHS) as Look[]
  // Looks that differ from another in the line for help alone need one page of errors.
  const rounds = looks.flatMap((look) =>
    (look === 'ours' || look === 'branded' ? slicesOf(look) : [0]).map((from) => ({ look, from })),
  )

  test.each(rounds)(
    '$look, from number $from on: nothing to object to, no scrolling sideways',
    async ({ look, from }) => {
      const { page, context, complaints } = await newVisitor(browser)
      await withPictures(context)
      for (const { name, status, index } of statesOf(look).slice(from, from + AT_ONCE)) {
        const response = await page.goto(server.url(look, index))
        expect([name, response?.status()]).toEqual([name, status])
        for (const summary of await page.locator('summary').all()) await summary.click()
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
          for (const width of WIDTHS[look]) {
            await page.setViewportSize({ width, height: 800 })
            expect([name, colorScheme, width, await widerThanTheScreen(page)]).toEqual([name, colorScheme, width, []])
          }
          expect([name, colorScheme, await axeViolations(page)]).toEqual([name, colorScheme, []])
        }
      }
      expect(complaints).toEqual([])
      await context.close()
    },
  )
})
