/** The real browser: where it is, how it is started, and what is always watched. Tests only. */
import { existsSync } from 'node:fs'
import axe from 'axe-core'
import { type Browser, type BrowserContext, chromium, type Page, type Response } from 'playwright-core'

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']

/** Path of the browser, named by CHROMIUM or where Debian puts it; undefined: missing. */
export const chromiumPath = (process.env['CHROMIUM'] ? [process.env['CHROMIUM']] : PLACES).find((path) =>
  existsSync(path),
)

const MISSING = 'skipped: no Chromium; install it with `sudo apt-get install --yes chromium`, or name one in CHROMIUM'

// Reporters keep the names of skipped suites to themselves.
if (chromiumPath === undefined) process.stderr.write(`browser tests ${MISSING}\n`)

/** Name of a suite that needs the browser: says, when it is skipped, which command installs it. */
export function inChromium(suite: string): string {
  return chromiumPath === undefined ? `${suite} (${MISSING})` : suite
}

/** With an empty profile of its own, and silent towards the network. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    ...(chromiumPath !== undefined && { executablePath: chromiumPath }),
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  })
}

/** Somebody at a browser that nobody has used before. */
export interface Visitor {
  readonly context: BrowserContext
  /** The first tab. */
  readonly page: Page
  /** Errors and warnings of the consoles of all tabs, uncaught exceptions included; the status of a page itself is no error. */
  readonly complaints: readonly string[]
}

export async function newVisitor(
  browser: Browser,
  options: Parameters<Browser['newContext']>[0] = {},
): Promise<Visitor> {
  const context = await browser.newContext(options)
  context.setDefaultTimeout(60_000)
  const complaints: string[] = []
  const documents = new Set<string>()
  context.on('request', (request) => request.isNavigationRequest() && documents.add(request.url()))
  context.on('console', (message) => {
    if (message.type() !== 'error' && message.type() !== 'warning') return
    const { url } = message.location()
    // Chromium notes every document that comes with 4xx or 5xx.
    if (message.text().startsWith('Failed to load resource') && documents.has(url.replace(/#.*/, ''))) return
    complaints.push(`${message.text()} (${url})`)
  })
  context.on('weberror', (error) => complaints.push(String(error.error())))
  return { context, page: await context.newPage(), complaints }
}

/** A page that a browser leaves by itself, at the beginning and the end of a sign-in: the only ones of ours with a script. */
export function isOnward(response: Response): boolean {
  return response.headers()['content-security-policy']?.startsWith("default-src 'none'; script-src ") ?? false
}

/** Findings of axe-core on the page: `rule: elements`. Runs beside the page's own policy, which allows no script. */
export async function axeViolations(page: Page): Promise<readonly string[]> {
  await page.evaluate(axe.source)
  return page.evaluate(async () => {
    const { axe: injected } = globalThis as unknown as { readonly axe: typeof axe }
    // Nothing is fetched: the page's own policy would forbid it.
    const options = { preload: false, rules: { 'target-size': { enabled: true } } }
    const { violations } = await injected.run(document, options)
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 200)).join(' | ')}`)
  })
}

/** Elements that are wider than what they stand in, the document first: what makes a page scroll sideways. */
export function widerThanTheScreen(page: Page): Promise<readonly string[]> {
  return page.evaluate(() =>
    [...document.querySelectorAll('*')]
      // What is written into a field scrolls in the field.
      .filter(({ tagName }) => tagName !== 'INPUT')
      // An element of one pixel holds text for screen readers.
      .filter(({ scrollWidth, clientWidth }) => scrollWidth > clientWidth && clientWidth > 1)
      .filter((element) => getComputedStyle(element).display !== 'inline')
      .map((element) => `${element.tagName.toLowerCase()} ${element.scrollWidth} > ${element.clientWidth}`),
  )
}
