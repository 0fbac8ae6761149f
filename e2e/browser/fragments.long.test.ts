/** Twelve tabs that a browser restores, each with a fragment, in the real browser: one sign-in, and all are where they were. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../../test/support/world.ts'
import { chromiumPath, inChromium, launchChromium, newVisitor } from './chromium.ts'

const APP = 'http://app.localhost'
const PAGE = '<!doctype html><title>App</title><h1>App</h1>'
const LONG = `deep/${'x'.repeat(4096)}`
const addressOf = (tab: number) =>
  `http://${['app', 'wiki', 'ci'][tab % 3]}.localhost/${tab === 3 ? LONG : `tab/${tab}`}?q=${tab}&r=%2F#/inbox/${tab}?x=é`

describe.skipIf(chromiumPath === undefined)(inChromium('what follows # in an address'), () => {
  let world: World
  let browser: Browser
  beforeAll(async () => {
    world = await createTestWorld({
      routes: [
        ...['app', 'wiki', 'ci'].map((name) => ({
          name,
          from: `http://${name}.localhost`,
          allow_any_authenticated_user: true,
        })),
        { from: 'http://plain.localhost', allow_any_authenticated_user: true, keep_fragment: false },
      ],
      upstream: (_, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end(PAGE),
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    await world.close()
  })

  const visitor = (options: { readonly javaScriptEnabled?: boolean } = {}) =>
    newVisitor(browser, {
      ...options,
      proxy: { server: `http://127.0.0.1:${world.port}`, bypass: `<-loopback>,${new URL(world.okta.url).host}` },
    })
  const atProvider = (url: URL) => url.origin === world.okta.url
  const signIn = (page: Page) => page.getByRole('button', { name: 'alice' }).first().click()

  test('comes back after the sign-in, and neither the provider nor the other host ever has it', async () => {
    const { page, context, complaints } = await visitor()
    const seen: string[] = []
    context.on('request', (request) => seen.push(request.url()))
    await page.goto(`${APP}/x?q=1#/secret/place?a=b`)
    await page.waitForURL(atProvider)
    expect(page.url()).not.toContain('secret')
    await signIn(page)
    await page.waitForURL(`${APP}/x?q=1#/secret/place?a=b`)
    expect(await page.getByRole('heading').textContent()).toBe('App')
    for (const url of seen.filter((one) => new URL(one).origin !== APP)) expect(url).not.toContain('secret')
    expect(JSON.stringify(world.log())).not.toContain('secret/place')
    expect(await page.evaluate(() => Object.keys(sessionStorage).filter((key) => key.includes('to=')))).toEqual([])
    // With a session at the sign-in service another application costs no page to click on.
    await page.goto('http://wiki.localhost/y#z')
    await page.waitForURL('http://wiki.localhost/y#z')
    expect(complaints).toEqual([])
    await context.close()
  })

  test('without a fragment the address has none', async () => {
    const { page, context } = await visitor()
    await page.goto(`${APP}/x`)
    await page.waitForURL(atProvider)
    await signIn(page)
    await page.waitForURL(`${APP}/x`)
    expect(page.url()).toBe(`${APP}/x`)
    // Back leads out of the sign-in, to where the tab was before.
    await page.goBack()
    await expect.poll(() => page.url()).not.toContain('sign_in')
    await context.close()
  })

  test('without scripts, and where a route wants none, the sign-in goes on and the fragment is lost', async () => {
    const { page, context } = await visitor({ javaScriptEnabled: false })
    await page.goto(`${APP}/x?q=1#lost`)
    await page.waitForURL(atProvider)
    await signIn(page)
    await page.waitForURL((url) => url.pathname === '/x')
    expect(new URL(page.url()).search).toBe('?q=1')
    await context.close()
    const other = await visitor()
    await other.page.goto('http://plain.localhost/x#lost')
    expect(atProvider(new URL(other.page.url()))).toBe(true)
    await signIn(other.page)
    await other.page.waitForURL((url) => url.href.startsWith('http://plain.localhost/x'))
    await other.context.close()
  })

  test('twelve tabs in front of somebody: each arrives with path, query and fragment', async () => {
    const { context, complaints } = await visitor()
    const tabs = await Promise.all(
      Array.from({ length: 12 }, async (_, tab) => {
        const page = await context.newPage()
        await page.goto(addressOf(tab))
        await page.waitForURL(atProvider)
        return { page, address: new URL(addressOf(tab)).href }
      }),
    )
    for (const { page, address } of tabs) {
      await signIn(page)
      await page.waitForURL((url) => atProvider(url) || url.href === address)
      if (atProvider(new URL(page.url()))) await signIn(page)
      await page.waitForURL(address)
    }
    expect(complaints).toEqual([])
    await context.close()
  })

  test('twelve tabs of which one is looked at: one sign-in, and the others follow when their turn comes', async () => {
    const { context, page } = await visitor()
    const hidden = await Promise.all(
      Array.from({ length: 11 }, async (_, i) => {
        const tab = await context.newPage()
        const show = await hide(tab)
        await tab.goto(addressOf(i + 1))
        return { tab, show, address: new URL(addressOf(i + 1)).href }
      }),
    )
    world.okta.clearCalls()
    for (const { tab, address } of hidden) expect(tab.url()).toBe(address)
    await page.goto(addressOf(0))
    await page.waitForURL(atProvider)
    await signIn(page)
    await page.waitForURL(new URL(addressOf(0)).href)
    for (const { tab, show, address } of hidden) {
      await show()
      await tab.getByRole('heading', { name: 'App' }).waitFor()
      expect(tab.url()).toBe(address)
    }
    expect(world.okta.calls().filter(({ path }) => path.endsWith('/token'))).toHaveLength(1)
    await context.close()
  })

  test('a tab that comes back signed out again and again stops, and asks for a click', async () => {
    const { page, context } = await visitor()
    for (let round = 0; round < 6; round++) {
      await page.goto(`${APP}/x`)
      await page.waitForURL(atProvider)
    }
    await page.goto(`${APP}/x#y`)
    await page.getByRole('link', { name: 'Continue' }).click()
    await page.waitForURL(atProvider)
    await signIn(page)
    await page.waitForURL(`${APP}/x#y`)
    await context.close()
  })
})

/** Chromium under automation shows every tab. This one says that it is hidden, until it is loaded anew. */
async function hide(tab: Page): Promise<() => Promise<void>> {
  await tab.addInitScript(() => {
    const isReloaded = () =>
      performance.getEntriesByType('navigation').some((entry) => 'type' in entry && entry.type === 'reload')
    Object.defineProperty(document, 'visibilityState', { get: () => (isReloaded() ? 'visible' : 'hidden') })
  })
  return () => tab.evaluate(() => void dispatchEvent(new Event('visibilitychange')))
}
