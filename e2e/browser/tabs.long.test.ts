/** A window restored with many tabs, in the real browser: each is finished at the provider, and each arrives. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../../test/support/world.ts'
import { chromiumPath, inChromium, launchChromium, newVisitor } from './chromium.ts'

const TABS = Array.from({ length: 12 }, (_, tab) => tab)

describe.skipIf(chromiumPath === undefined)(inChromium('twelve tabs that were opened signed out'), () => {
  let world: World
  let browser: Browser
  beforeAll(async () => {
    world = await createTestWorld({
      routes: ['app', 'wiki', 'ci'].map((name) => ({
        name,
        from: `http://${name}.localhost`,
        allow_any_authenticated_user: true,
      })),
      upstream: (req, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end(`<h1>${req.url}</h1>`),
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    await world.close()
  })

  test.each<readonly [string, (tab: number) => string, readonly number[]]>([
    ['of one host, the oldest first', (tab) => `http://app.localhost/tab/${tab}`, TABS],
    ['of one host, in no order', (tab) => `http://app.localhost/tab/${tab}`, [4, 9, 0, 11, 6, 2, 7, 1, 10, 3, 8, 5]],
    [
      'of three hosts, the oldest first',
      (tab) => `http://${['app', 'wiki', 'ci'][tab % 3]}.localhost/tab/${tab}`,
      TABS,
    ],
    ['with addresses of 4,000 characters', (tab) => `http://app.localhost/tab/${tab}?q=${'x'.repeat(3960)}`, TABS],
  ])('%s: all arrive', async (_, addressOf, order) => {
    const bypass = `<-loopback>,${new URL(world.okta.url).host}`
    const visitor = await newVisitor(browser, { proxy: { server: `http://127.0.0.1:${world.port}`, bypass } })
    const opened: { readonly page: Page; readonly address: string }[] = []
    for (const tab of TABS) {
      const page = await visitor.context.newPage()
      const address = addressOf(tab)
      await page.goto(address)
      await page.waitForURL(({ origin }) => origin === world.okta.url)
      opened.push({ page, address })
    }
    for (const { page, address } of order.flatMap((tab) => opened.slice(tab, tab + 1))) {
      const atProvider = () => new URL(page.url()).origin === world.okta.url
      while (atProvider()) {
        await page.getByRole('button', { name: 'alice' }).first().click()
        await page.waitForURL(({ origin, href }) => origin === world.okta.url || href === address)
      }
      expect(page.url()).toBe(address)
      expect(await page.getByRole('heading').textContent()).toBe(address.slice(new URL(address).origin.length))
    }
    expect(visitor.complaints).toEqual([])
    await visitor.context.close()
  })
})
