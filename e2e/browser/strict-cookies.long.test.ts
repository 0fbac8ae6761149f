/** `cookie_same_site: strict` in the real browser, which sends no such cookie along a redirect that another site began. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../../test/support/world.ts'
import { chromiumPath, inChromium, launchChromium, newVisitor } from './chromium.ts'

describe.skipIf(chromiumPath === undefined)(inChromium('strict session cookies'), () => {
  let world: World
  let browser: Browser
  beforeAll(async () => {
    world = await createTestWorld({
      config: { cookie_same_site: 'strict' },
      routes: ['app', 'plain'].map((name) => ({
        from: `http://${name}.localhost`,
        allow_any_authenticated_user: true,
        keep_fragment: name === 'app',
      })),
      upstream: (_, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end('<h1>App</h1>'),
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    await world.close()
  })

  test.each(['http://app.localhost/x', 'http://plain.localhost/x', 'http://authenticate.localhost/'])(
    'a sign-in that begins at %s ends there',
    async (address) => {
      const bypass = `<-loopback>,${new URL(world.okta.url).host}`
      const { page, context, complaints } = await newVisitor(browser, {
        proxy: { server: `http://127.0.0.1:${world.port}`, bypass },
      })
      await page.goto(address)
      await page.getByRole('button', { name: 'alice' }).first().click()
      await page.waitForURL(address)
      await page.getByRole('heading', { level: 1 }).waitFor()
      expect(page.url()).toBe(address)
      // From another site, as from a link in a mail.
      await page.goto('about:blank')
      await page.goto(address, { referer: 'http://mail.example/' })
      await page.waitForURL(address)
      await page.getByRole('heading', { level: 1 }).waitFor()
      expect(complaints).toEqual([])
      await context.close()
    },
  )
})
