/** examples/react-refine: its auth provider, built by Vite, behind `postern dev` in the real browser. */
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { chromiumPath, inChromium, launchChromium, newVisitor } from '../../e2e/browser/chromium.ts'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { installed } from './installed.ts'
import { run, type Running, startServer } from './process.ts'

const example = fileURLToPath(new URL('../../examples/react-refine/', import.meta.url))
const { dependencies, devDependencies } = JSON.parse(readFileSync(`${example}package.json`, 'utf8')) as Readonly<
  Record<'dependencies' | 'devDependencies', Readonly<Record<string, string>>>
>
const [first = '', ...more] = Object.entries({ ...dependencies, ...devDependencies }).map((each) => each.join('@'))
const refine = installed('example-react-refine', { from: 'npm', packages: [first, ...more] })

test('the auth provider has 60 lines at most', () => {
  expect(readFileSync(`${example}src/auth-provider.ts`, 'utf8').trimEnd().split('\n').length).toBeLessThanOrEqual(60)
})

describe.skipIf(!refine.bin || !chromiumPath)(refine.name(inChromium('examples/react-refine')), () => {
  let server: Running
  let dev: Dev
  let browser: Browser
  let context: BrowserContext
  let page: Page
  beforeAll(async () => {
    const folder = join(refine.bin ?? '', '../..')
    for (const part of ['src', 'public', 'index.html', 'vite.config.js'])
      cpSync(example + part, join(folder, part), { recursive: true })
    const vite = `${refine.bin}/vite`
    const built = await run([vite, 'build'], { cwd: folder })
    expect([built.code, built.output]).toEqual([0, expect.stringContaining('built in')])
    const port = await freePort()
    const listen = ['--host', '127.0.0.1', '--port', String(port), '--strictPort']
    server = await startServer([vite, 'preview', ...listen], port, { cwd: folder })
    dev = await startDev(`http://127.0.0.1:${port}`, ['--groups', 'Engineering,Staff'])
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await dev?.stop()
    await server?.close()
  })
  beforeEach(async () => {
    ;({ context, page } = await newVisitor(browser))
    await page.goto(`${dev.app}/list?page=2#top`)
    await expect.poll(heading).toBe('Alice Example')
  })

  const heading = (): Promise<string> => page.locator('h1').innerText()
  const articles = (): Promise<readonly string[]> => page.locator('li').allInnerTexts()
  /** Is gone when the page is loaded anew. */
  const mark = (): Promise<void> => page.evaluate(() => void (document.title = 'this page'))

  test('getIdentity and getPermissions: who is signed in, and their groups', async () => {
    await expect.poll(() => page.locator('#email').innerText()).toBe('alice@corp.example')
    await expect.poll(() => page.locator('#groups').innerText()).toMatch(/^(?=.*Engineering)(?=.*Staff)/)
    await expect.poll(articles).toEqual(['How we deploy', 'Who is on call'])
  })

  test('onError: a 401 of Postern leads through the sign-in and back to the same address', async () => {
    await expect.poll(articles).toHaveLength(2)
    await mark()
    await context.clearCookies({ domain: 'app.localhost' })
    await page.getByRole('button', { name: 'Reload articles' }).click()
    await expect.poll(() => page.title()).toBe('Articles')
    await expect.poll(heading).toBe('Alice Example')
    expect(page.url()).toBe(`${dev.app}/list?page=2#top`)
    await expect.poll(articles).toHaveLength(2)
  })

  test('an error of the application is no reason to sign in', async () => {
    await expect.poll(articles).toHaveLength(2)
    await mark()
    await page.route('**/articles.json', (route) => route.fulfill({ status: 503, body: 'not now' }))
    await page.getByRole('button', { name: 'Reload articles' }).click()
    await page.unroute('**/articles.json')
    await page.getByRole('button', { name: 'Reload articles' }).click()
    await expect.poll(articles).toHaveLength(2)
    expect(await page.title()).toBe('this page')
  })

  test('a 401 of the application itself is no reason, either', async () => {
    await expect.poll(articles).toHaveLength(2)
    await mark()
    await page.route('**/articles.json', (route) => route.fulfill({ status: 401, body: 'a password of its own' }))
    const asked = page.waitForResponse('**/.postern/user')
    await page.getByRole('button', { name: 'Reload articles' }).click()
    expect((await asked).status()).toBe(200)
    await page.unroute('**/articles.json')
    await page.getByRole('button', { name: 'Reload articles' }).click()
    await expect.poll(articles).toHaveLength(2)
    expect(await page.title()).toBe('this page')
  })

  test('logout ends the session here and at the provider', async () => {
    await page.getByRole('button', { name: 'Sign out' }).click()
    await page.waitForURL(`${dev.authenticate}/.postern/signed_out*`)
    await page.goto(`${dev.app}/`)
    // Whoever has signed out is asked.
    await page.getByRole('button', { name: 'Bob' }).click()
    await page.waitForURL(`${dev.app}/`)
    await expect.poll(heading).toBe('Bob Baker')
  })

  test('check: a page from a cache that nobody is signed in to any more signs in', async () => {
    await context.clearCookies({ domain: 'app.localhost' })
    // As a service worker would.
    const dist = join(refine.bin ?? '', '../../dist')
    let asked = 0
    await page.route(`${dev.app}/`, (route) =>
      asked++ === 0 ? route.fulfill({ path: `${dist}/index.html` }) : route.continue(),
    )
    await page.route('**/assets/*', (route) => route.fulfill({ path: dist + new URL(route.request().url()).pathname }))
    await page.goto(`${dev.app}/`)
    await expect.poll(heading).toBe('Alice Example')
  })
})
