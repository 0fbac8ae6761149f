/** Each state of each page: axe-core, 320 px, light and dark, in our looks and in those of an operator. */
import type { Browser, Page } from 'playwright-core'
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

  const pageOf = async (name: string): Promise<Page> => {
    const { page, context } = await newVisitor(browser)
    await withPictures(context)
    await page.goto(
      server.url(
        'ours',
        all.findIndex((state) => state.name === name),
      ),
    )
    return page
  }

  test.each([
    ['portal: backwards, and a logo that is gone', '(alice@corp.example).'],
    ['portal: nothing found backwards', '”.'],
  ])('a name turns around nothing but itself: %s', async (name, behind) => {
    const page = await pageOf(name)
    const places = await page.locator('main p', { hasText: behind }).evaluate(placesOf, behind)
    expect(places).toHaveLength(behind.length)
    expect(places).toEqual(places.toSorted((a, b) => a - b))
    await page.context().close()
  })

  test('a logo that is gone leaves its place empty', async () => {
    const page = await pageOf('portal: backwards, and a logo that is gone')
    const application = page.locator('.apps a')
    const shown = await application.screenshot()
    await page.locator('.apps img').evaluate((image) => {
      image.style.visibility = 'hidden'
    })
    expect(shown.equals(await application.screenshot())).toBe(true)
    await page.context().close()
  })
})

/** Where each character of `words` stands, from left to right. Runs in the page. */
function placesOf(element: Element, words: string): readonly number[] {
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT)
  const places: number[] = []
  while (walker.nextNode()) {
    const { length } = walker.currentNode.textContent ?? ''
    for (let at = 0; at < length; at++) {
      const range = document.createRange()
      range.setStart(walker.currentNode, at)
      range.setEnd(walker.currentNode, at + 1)
      places.push(range.getBoundingClientRect().left)
    }
  }
  const from = element.textContent.indexOf(words)
  return places.slice(from, from + words.length)
}
