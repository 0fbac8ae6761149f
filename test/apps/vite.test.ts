/** The Vite dev server behind Postern, in the real browser. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { chromiumPath, inChromium, launchChromium, newVisitor } from '../../e2e/browser/chromium.ts'
import { freePort } from '../../e2e/browser/demo.ts'
import { type Dev, startDev } from '../support/dev.ts'
import { type Behind, openAsAlice, startBehind } from './behind.ts'
import { installed } from './installed.ts'
import { type Running, startServer } from './process.ts'

const vite = installed('vite', { from: 'npm', packages: ['vite@7.3.8'] })

describe.skipIf(!vite.bin || !chromiumPath)(vite.name(inChromium('the Vite dev server behind Postern')), () => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-vite-'))
  let server: Running
  let behind: Behind
  let dev: Dev
  let browser: Browser
  beforeAll(async () => {
    writeFileSync(join(folder, 'index.html'), '<!doctype html><h1></h1><script type="module" src="/main.js"></script>')
    save()
    const port = await freePort()
    const listen = ['--host', '127.0.0.1', '--port', String(port), '--strictPort']
    server = await startServer([`${vite.bin}/vite`, ...listen], port, { cwd: folder })
    behind = await startBehind(`http://127.0.0.1:${port}`)
    dev = await startDev(`http://127.0.0.1:${port}`)
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await behind?.close()
    await dev?.stop()
    await server?.close()
    rmSync(folder, { recursive: true, force: true })
  })

  /** A new title each time, after the last one has shown: Vite does not see a second change within 50 ms. */
  let edition = 0
  let shown = ''
  function save(): void {
    shown = `edition ${++edition}`
    writeFileSync(
      join(folder, 'main.js'),
      `document.querySelector('h1').textContent = '${shown}'\nimport.meta.hot.accept()\n`,
    )
  }

  test.each([
    ['Postern', () => behind.url, openAsAlice],
    ['postern dev', () => dev.app, async (page: Page, url: string) => void (await page.goto(url))],
  ])('a saved file shows without a reload, over its WebSocket through %s', async (_who, origin, open) => {
    const { page } = await newVisitor(browser)
    const sockets: string[] = []
    page.on('websocket', (socket) => sockets.push(new URL(socket.url()).host))
    const connected = page.waitForEvent('console', (message) => message.text().includes('[vite] connected'))
    await open(page, `${origin()}/`)
    await connected
    await expect.poll(() => page.locator('h1').innerText()).toBe(shown)
    await page.evaluate(() => document.body.append('was not reloaded'))
    save()
    await expect.poll(() => page.locator('h1').innerText()).toBe(shown)
    expect(await page.locator('body').innerText()).toContain('was not reloaded')
    // Without its WebSocket Vite would ask the upstream's own address.
    expect(new Set(sockets)).toEqual(new Set([new URL(origin()).host]))
  })
})
