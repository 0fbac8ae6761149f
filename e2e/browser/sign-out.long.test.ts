/** Signing out in the real browser: by the script of an application, and of a session elsewhere from one's own page. */
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createTestWorld, type World } from '../../test/support/world.ts'
import { axeViolations, chromiumPath, inChromium, launchChromium, newVisitor, type Visitor } from './chromium.ts'

const APP = 'http://app.localhost'
/** What an application's button does. */
const SPA = `<!doctype html><html lang="en"><title>App</title><h1>App</h1><button>Leave</button><script>
document.querySelector('button').onclick = async () => {
  const { sign_out_url, csrf_token } = await (await fetch('/.postern/user')).json()
  const answer = await fetch(sign_out_url, { method: 'POST', headers: { 'X-Postern-Csrf': csrf_token } })
  location = (await answer.json()).redirect_to
}
</script>`

describe.skipIf(chromiumPath === undefined)(inChromium('signing out'), () => {
  let world: World
  let browser: Browser
  beforeAll(async () => {
    world = await createTestWorld({
      routes: [{ from: APP, allow_any_authenticated_user: true }],
      upstream: (_, res) => void res.writeHead(200, { 'content-type': 'text/html' }).end(SPA),
    })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser.close()
    await world.close()
  })

  const visitor = () => {
    const bypass = `<-loopback>,${new URL(world.okta.url).host}`
    return newVisitor(browser, { proxy: { server: `http://127.0.0.1:${world.port}`, bypass } })
  }
  const atProvider = (url: URL) => url.origin === world.okta.url
  async function signIn({ page }: Visitor): Promise<Page> {
    await page.goto(`${APP}/`)
    await page.getByRole('button', { name: 'alice' }).first().click()
    await page.getByRole('heading', { name: 'App' }).waitFor()
    return page
  }

  test('by the script of an application ends at the page that says so, here and at the provider', async () => {
    const someone = await visitor()
    const page = await signIn(someone)
    await page.getByRole('button', { name: 'Leave' }).click()
    await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
    await page.goto(`${APP}/`)
    await page.waitForURL(atProvider)
    await page.getByRole('button', { name: 'alice' }).first().waitFor()
    expect(someone.complaints).toEqual([])
    await someone.context.close()
  })

  test('a session elsewhere ends from one’s own page', async () => {
    const [here, there] = [await visitor(), await visitor()]
    const [page, elsewhere] = [await signIn(here), await signIn(there)]
    await page.goto(`${APP}/.postern/account`)
    await page.getByRole('link', { name: 'Show all sessions' }).click()
    await page.getByText('(this one)').waitFor()
    expect(await page.getByText('Chrome on Linux').count()).toBe(2)
    expect(await axeViolations(page)).toEqual([])
    await page.getByRole('button', { name: 'End this one' }).click()
    await expect.poll(() => page.getByText('Chrome on Linux').count()).toBe(1)
    await elsewhere.goto(`${APP}/`)
    // The provider's own session there signs in again: that is its to end.
    await elsewhere.waitForURL((url) => atProvider(url) || url.href === `${APP}/`)
    expect(here.complaints).toEqual([])
    await Promise.all([here.context.close(), there.context.close()])
  })
})
