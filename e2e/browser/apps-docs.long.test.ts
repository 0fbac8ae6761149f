/** The scripts of docs/apps.md, in the real browser behind `postern dev`. */
import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { type Dev, startDev } from '../../test/support/dev.ts'
import { portOf } from '../../test/support/world.ts'
import { chromiumPath, inChromium, launchChromium, newVisitor } from './chromium.ts'

const text = readFileSync(new URL('../../docs/apps.md', import.meta.url), 'utf8')
const blocks = (language: string): readonly string[] =>
  [...text.matchAll(new RegExp(`\`\`\`${language}\\n([^]*?)\`\`\``, 'g'))].map(([, block = '']) => block)
const [whoAmI = '', ...functions] = blocks('js')

describe.skipIf(chromiumPath === undefined)(inChromium('the scripts of docs/apps.md'), () => {
  let application: Server
  let dev: Dev
  let browser: Browser
  let context: BrowserContext
  let page: Page
  beforeAll(async () => {
    application = createServer((request, response) => {
      response.setHeader('content-type', 'text/html')
      if (request.url === '/own') response.writeHead(401).end('a password of its own')
      else response.end(`<!doctype html><title>app</title><script>${functions.join('\n')}</script>`)
    })
    new WebSocketServer({ server: application }).on('connection', (socket) =>
      socket.on('message', (data) => socket.send(data, { binary: false })),
    )
    await new Promise<void>((resolve) => application.listen(0, '127.0.0.1', resolve))
    dev = await startDev(`http://127.0.0.1:${portOf(application)}`)
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await dev?.stop()
    application?.closeAllConnections()
    application?.close()
  })
  beforeEach(async () => {
    ;({ context, page } = await newVisitor(browser))
    await page.goto(`${dev.app}/deep?q=1#/inbox`)
  })

  const email = (): Promise<unknown> => page.evaluate(`(async () => { ${whoAmI}; return me?.email })()`)
  /** Is gone when the page is loaded anew. */
  const mark = (): Promise<void> => page.evaluate(() => void (document.title = 'this page'))

  test('who is signed in, with the fields of the table', async () => {
    expect(await email()).toBe('alice@corp.example')
    const known = Object.keys(await page.evaluate<object>(`(async () => { ${whoAmI}; return me })()`))
    const table = [...text.matchAll(/^\| (`[^|]*`) \| /gm)].flatMap(([, names = '']) => names.match(/\w+/g) ?? [])
    for (const name of known) expect(table).toContain(name)
  })

  test('a 401 has the fields that are shown', async () => {
    await context.clearCookies({ domain: 'app.localhost' })
    const shown = JSON.parse(blocks('json')[0] ?? '') as object
    const body = await page.evaluate(async () => (await fetch('/anything')).json() as Promise<object>)
    expect(Object.keys(body).toSorted()).toEqual(Object.keys(shown).toSorted())
  })

  test('a request after the session ended: through the sign-in and back, with query and fragment', async () => {
    await mark()
    await context.clearCookies({ domain: 'app.localhost' })
    await page.evaluate(`void api('/anything')`)
    await expect.poll(() => page.title()).toBe('app')
    expect(page.url()).toBe(`${dev.app}/deep?q=1#/inbox`)
    expect(await email()).toBe('alice@corp.example')
  })

  test('a 401 of the application itself is its own affair', async () => {
    await mark()
    expect(await page.evaluate(`api('/own').then(async (answer) => [answer.status, await answer.text()])`)).toEqual([
      401,
      'a password of its own',
    ])
    expect(await page.title()).toBe('this page')
  })

  test('a WebSocket that is cut with its session asks, and signs in', async () => {
    await page.evaluate(`connect(location.origin.replace('http', 'ws'), ({ data }) => { document.title = data })`)
    const { page: other } = await newVisitor(browser)
    await other.goto(dev.people)
    await other.getByRole('button', { name: 'Become Bob' }).click()
    await other.waitForURL(`${dev.app}/`)
    // Everybody's sessions have ended; this browser is Alice still.
    await expect.poll(() => email().catch(() => 'between pages')).toBe('alice@corp.example')
    expect(page.url()).toBe(`${dev.app}/deep?q=1#/inbox`)
  })

  test('a sign-out without a page of ours that asks', async () => {
    await page.evaluate(`void signOut()`)
    await page.waitForURL(`${dev.authenticate}/.postern/signed_out*`)
    await page.goto(`${dev.app}/`)
    expect(new URL(page.url()).origin).toBe(dev.people)
  })
})
