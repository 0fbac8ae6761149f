/** Several identity providers in the real browser: the page of choice, and the way to applications of two of them. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ANYBODY, createTwoOrgs, PARTNERS_ONLY, STAFF_ONLY, type TwoOrgs } from '../../test/support/two-orgs.ts'
import { axeViolations, chromiumPath, inChromium, launchChromium, newVisitor, widerThanTheScreen } from './chromium.ts'

describe.skipIf(chromiumPath === undefined)(inChromium('two identity providers'), () => {
  let world: TwoOrgs
  let browser: Browser
  beforeAll(async () => {
    world = await createTwoOrgs({
      upstream: (req, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end(`<h1>${req.url}</h1>`),
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    await world.close()
  })

  const visitor = (options: Parameters<typeof newVisitor>[1] = {}) => {
    const bypass = ['<-loopback>', ...[world.okta.url, world.partners.url].map((url) => new URL(url).host)].join(',')
    return newVisitor(browser, { ...options, proxy: { server: `http://127.0.0.1:${world.port}`, bypass } })
  }

  test.each([
    ['light', { colorScheme: 'light' }],
    ['dark', { colorScheme: 'dark' }],
    ['on a phone', { viewport: { width: 360, height: 640 } }],
  ] as const)('the page of choice is accessible and fits, %s', async (_, options) => {
    const { page, context, complaints } = await visitor(options)
    await page.goto(`${ANYBODY}?a=b`)
    await page.getByRole('heading', { name: 'How do you want to sign in?' }).waitFor()
    expect(await axeViolations(page)).toEqual([])
    expect(await widerThanTheScreen(page)).toEqual([])
    const links = page.getByRole('navigation', { name: 'Identity providers' }).getByRole('link')
    expect(await links.allTextContents()).toEqual(['Sign in with Staff', 'Sign in with Partners'])
    expect(complaints).toEqual([])
    await context.close()
  })

  test('a choice leads to the application, its query and fragment kept, and to one of the other provider in turn', async () => {
    const { page, context, complaints } = await visitor()
    await page.goto(`${ANYBODY}wiki?a=b#part`)
    await page.getByRole('link', { name: 'Sign in with Partners' }).click()
    await page.waitForURL(({ origin }) => origin === world.partners.url)
    await page.getByRole('button', { name: 'alice' }).first().click()
    await page.waitForURL(`${ANYBODY}wiki?a=b#part`)
    await page.goto(STAFF_ONLY)
    await page.waitForURL(({ origin }) => origin === world.okta.url)
    await page.getByRole('button', { name: 'alice' }).first().click()
    await page.waitForURL(STAFF_ONLY)
    for (const url of [PARTNERS_ONLY, STAFF_ONLY, PARTNERS_ONLY]) {
      await page.goto(url)
      await page.waitForURL(url)
      expect(await page.getByRole('heading').textContent()).toBe('/')
    }
    expect(complaints).toEqual([])
    await context.close()
  })
})
