/** `node test/support/run-ts.mjs e2e/browser/pictures.ts`: takes the pictures of docs/pages and lists them in docs/pages.md. */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Page } from 'playwright-core'
import { pictureList, pictureName, PICTURES } from '../../test/support/page-pictures.ts'
import { launchChromium } from './chromium.ts'
import { servePages, withPictures } from './page-server.ts'

const folder = fileURLToPath(new URL('../../docs/pages/', import.meta.url))
const listing = fileURLToPath(new URL('../../docs/pages.md', import.meta.url))
const WIDTH = 720
const MOST_HEIGHT = 1100

export async function main(): Promise<void> {
  mkdirSync(folder, { recursive: true })
  for (const file of readdirSync(folder)) rmSync(folder + file)
  const server = await servePages()
  const browser = await launchChromium()
  const context = await browser.newContext({ viewport: { width: WIDTH, height: 400 }, reducedMotion: 'reduce' })
  await withPictures(context)
  const page = await context.newPage()
  for (const picture of PICTURES) {
    await page.emulateMedia({ colorScheme: picture.scheme })
    await page.goto(server.url(picture.look, picture.index))
    writeFileSync(folder + pictureName(picture), await webp(page))
  }
  await browser.close()
  await server.close()
  const text = readFileSync(listing, 'utf8')
  writeFileSync(listing, text.replace(/(<!-- generated .*? -->\n).*(<!-- end)/s, `$1\n${pictureList()}\n$2`))
}

/** Chromium writes WebP, which playwright-core does not ask for. */
async function webp(page: Page): Promise<Buffer> {
  const height = Math.min(MOST_HEIGHT, await page.evaluate(() => document.documentElement.scrollHeight))
  const devtools = await page.context().newCDPSession(page)
  const { data } = await devtools.send('Page.captureScreenshot', {
    format: 'webp',
    quality: 70,
    captureBeyondViewport: true,
    clip: { x: 0, y: 0, width: WIDTH, height, scale: 1 },
  })
  await devtools.detach()
  return Buffer.from(data, 'base64')
}
