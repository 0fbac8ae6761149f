/** What a new user sees: the whole demo in a real browser. */
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { chromiumPath, inChromium, launchChromium, newVisitor, type Visitor } from './chromium.ts'
import { type Demo, startDemo } from './demo.ts'

/** Short, so that a change at Okta is seen while a test waits for it. */
const REFRESH_INTERVAL = '500ms'
const SOON = { interval: 200 }

describe.skipIf(chromiumPath === undefined)(inChromium('the demo in a browser'), () => {
  let demo: Demo
  let browser: Browser
  let visitor: Visitor
  let context: BrowserContext
  let page: Page

  beforeAll(async () => {
    demo = await startDemo({ refreshInterval: REFRESH_INTERVAL })
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await demo?.close()
  })
  beforeEach(async () => {
    visitor = await newVisitor(browser)
    ;({ context, page } = visitor)
  })
  afterEach(async () => {
    await context.close()
    await demo.act('reset')
  })

  const heading = (of: Page = page): Promise<string> => of.locator('h1').innerText()
  const words = (of: Page = page): Promise<string> => of.locator('main').innerText()
  const choose = (person: string, at: Page = page): Promise<void> =>
    at.getByRole('button', { name: person }).first().click()

  async function signIn(url: string, person: string, at: Page = page): Promise<void> {
    await at.goto(url)
    await choose(person, at)
    await at.waitForURL(url)
  }

  async function signOut(at: Page = page): Promise<void> {
    await at.goto(`${demo.everyone}/.postern/sign_out`)
    await at.getByRole('button', { name: 'Sign out', exact: true }).click()
    await at.waitForURL(`${demo.authenticate}/.postern/signed_out?state=*`)
  }

  /** The echo of the sample application, by what its page says. */
  async function openEcho(at: Page): Promise<void> {
    await expect.poll(() => at.locator('#state').innerText(), SOON).toBe('is open')
    await at.getByRole('button', { name: 'Send' }).click()
    await expect.poll(() => at.locator('#heard').innerText(), SOON).toBe('Echo: Hello through Postern')
  }

  const echoIsCut = (at: Page) =>
    expect.poll(() => at.locator('#state').innerText(), SOON).toBe('was closed: reload the page to see why')

  describe('allow and deny', () => {
    test('alice reaches the address that she asked for; the application verifies who she is', async () => {
      await page.goto(`${demo.engineering}/wiki?a=1&b=%2F`)
      expect(new URL(page.url()).origin).toBe(demo.okta)
      expect(await heading()).toBe('Sign In')
      await choose('Alice')
      await page.waitForURL(`${demo.engineering}/wiki?a=1&b=%2F`)
      const text = await words()
      expect(text).toContain('Hello, Alice Archer')
      expect(text).toContain('Verified. Postern signed this identity, and meant it for this application.')
      expect(text).toMatch(/groups\s+.*Engineering/)
      expect(text).toContain('GET /wiki?a=1&b=%2F')
      expect(text).not.toMatch(/^cookie$/m)
      expect(visitor.complaints).toEqual([])
    })

    test('bob sees which application refused him, as whom, its groups, his groups, their age and what to do', async () => {
      await signIn(`${demo.engineering}/wiki?a=1`, 'Bob')
      const text = await words()
      expect(await heading()).toBe('You cannot open Engineering')
      expect(text).toContain('You are signed in as Bob Baker (bob@example.com).')
      expect(text).toContain('You are not in a group that may open it.')
      expect(text).toMatch(/Group that may open it\s+Engineering\s+Your groups\s+(Sales\s+Everyone|Everyone\s+Sales)/)
      expect(text).toMatch(/Read from Okta (just now|\d+ seconds? ago)\./)
      expect(text).toContain('Ask the owner of the application')
      expect(await page.locator('footer').innerText()).toMatch(/^Request \S+/m)
      expect(await page.getByRole('link', { name: 'Try again' }).getAttribute('href')).toBe(
        `${demo.engineering}/wiki?a=1`,
      )
      expect((await page.reload())?.status()).toBe(403)
      expect(visitor.complaints).toEqual([])
    })

    test('bob signs in as somebody else from the page that refused him', async () => {
      await signIn(`${demo.engineering}/`, 'Bob')
      await page.getByRole('link', { name: 'Use another account' }).click()
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await page.waitForURL(`${demo.authenticate}/.postern/signed_out?state=*`)
      await page.getByRole('link', { name: 'Sign in again' }).click()
      await page.getByRole('button', { name: 'Alice' }).first().click()
      await page.waitForURL(`${demo.engineering}/`)
      expect(await words()).toContain('Hello, Alice Archer')
      expect(visitor.complaints).toEqual([])
    })

    test('the second application opens without a second sign-in', async () => {
      await signIn(`${demo.engineering}/`, 'Bob')
      const visited = new Set<string>()
      page.on('framenavigated', (frame) => visited.add(new URL(frame.url()).host))
      await page.goto(`${demo.everyone}/`)
      await page.getByRole('heading', { name: 'Everyone' }).waitFor()
      expect(await words()).toContain('Hello, Bob Baker')
      expect([...visited]).toEqual([new URL(demo.everyone).host])
      expect(visitor.complaints).toEqual([])
    })

    test('carol, who is suspended, is refused by Okta and sees why', async () => {
      await page.goto(`${demo.engineering}/`)
      await choose('Carol')
      const alert = page.getByRole('alert')
      expect(await alert.innerText()).toContain('Unable to sign in')
      expect(await alert.innerText()).toContain('carol@example.com is SUSPENDED.')
      expect(new URL(page.url()).origin).toBe(demo.okta)
      expect(visitor.complaints).toEqual([])
    })

    test('cancelling at Okta leads to a page with a way back', async () => {
      await page.goto(`${demo.everyone}/`)
      await page.getByRole('button', { name: 'Cancel' }).click()
      await page.waitForURL(`${demo.authenticate}/**`)
      expect(await heading()).toBe('The sign-in was refused')
      await page.getByRole('link', { name: 'Try again' }).click()
      await choose('Dave')
      await page.waitForURL(`${demo.everyone}/`)
      expect(visitor.complaints).toEqual([])
    })
  })

  describe('a change at Okta', () => {
    test('removing a group closes the application and its WebSocket; adding it opens the application again', async () => {
      await signIn(`${demo.engineering}/`, 'Alice')
      await openEcho(page)
      const admin = (await newVisitor(browser)).page
      await admin.goto(demo.okta)
      await admin.getByRole('button', { name: 'Remove from Engineering : alice@example.com' }).click()
      await admin.getByRole('button', { name: 'Add to Engineering : alice@example.com' }).waitFor()
      await echoIsCut(page)
      await page.reload()
      expect(await heading()).toBe('You cannot open Engineering')

      await admin.getByRole('button', { name: 'Add to Engineering : alice@example.com' }).click()
      await admin.context().close()
      const opened = async () => {
        await page.getByRole('link', { name: 'Try again' }).click()
        return heading()
      }
      await expect.poll(opened, SOON).toBe('Engineering')
    })

    test('suspending somebody ends their streams, and Okta refuses the next sign-in', async () => {
      await signIn(`${demo.everyone}/`, 'Dave')
      await openEcho(page)
      await demo.act('status', { user: 'dave@example.com', status: 'SUSPENDED' })
      await echoIsCut(page)
      const reopened = async () => {
        await page.goto(`${demo.everyone}/`)
        return heading()
      }
      await expect.poll(reopened, SOON).toBe('Sign In')
      await choose('Dave')
      expect(await page.getByRole('alert').innerText()).toContain('dave@example.com is SUSPENDED.')
    })
  })

  describe('sign-out', () => {
    test('the button ends the session here and at Okta', async () => {
      await signIn(`${demo.engineering}/`, 'Alice')
      await page.goto(`${demo.engineering}/.postern/account`)
      const visited: string[] = []
      page.on('request', (request) => visited.push(new URL(request.url()).pathname))
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await page.waitForURL(`${demo.authenticate}/.postern/signed_out?state=*`)
      expect(await heading()).toBe('You are signed out')
      expect(visited.slice(0, 3)).toEqual(['/.postern/sign_out', '/oauth2/v1/logout', '/.postern/signed_out'])
      // Chromium applies `form-action` to each redirect after the form, and reports what it stopped here.
      expect(visitor.complaints).toEqual([])

      for (const app of [demo.engineering, demo.everyone]) {
        await page.goto(app)
        expect(new URL(page.url()).origin).toBe(demo.okta)
        expect(await heading()).toBe('Sign In')
      }
    })

    test('from an application that was never opened ends the session as well', async () => {
      await signIn(`${demo.engineering}/`, 'Alice')
      await signOut()
      await page.goto(`${demo.engineering}/`)
      expect(await heading()).toBe('Sign In')
      expect(visitor.complaints).toEqual([])
    })

    test('an open page gets 401 with the address of the sign-in, and its WebSocket is closed', async () => {
      await signIn(`${demo.engineering}/`, 'Alice')
      await openEcho(page)
      await signOut(await context.newPage())
      await echoIsCut(page)

      const answer = await page.evaluate(async () => {
        const response = await fetch('/headers')
        return { status: response.status, body: (await response.json()) as Record<string, string> }
      })
      expect(answer).toMatchObject({
        status: 401,
        body: {
          error: 'unauthenticated',
          reason: 'user-unauthenticated',
          login_url: `${demo.engineering}/.postern/sign_in`,
        },
      })
      await page.goto(answer.body['login_url'] ?? '')
      await choose('Alice')
      await page.waitForURL(`${demo.engineering}/`)
      expect(await words()).toContain('Hello, Alice Archer')
    })
  })

  describe('the tour', () => {
    const links = (): Promise<readonly string[]> => page.locator('main a, main button').allInnerTexts()
    const follow = async (name: string): Promise<void> => {
      await page.getByRole('link', { name }).first().click()
    }

    test('403, another account, sign-out, sign-in: each page leads on, and back to the application', async () => {
      await signIn(`${demo.engineering}/wiki`, 'Bob')
      expect(await links()).toEqual(['Try again', 'Use another account', 'Your applications'])
      await follow('Use another account')
      await page.getByRole('heading', { name: 'Do you want to sign out?' }).waitFor()
      await follow('Stay signed in')
      await page.waitForURL(`${demo.engineering}/wiki`)
      await follow('Use another account')
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
      await follow('Sign in again')
      await choose('Dave')
      await page.waitForURL(`${demo.engineering}/wiki`)
      expect(await heading()).toBe('You cannot open Engineering')

      await follow('Your applications')
      await page.waitForURL(`${demo.engineering}/.postern/`)
      expect(await page.locator('.apps strong').allInnerTexts()).toEqual(['Everyone'])
      await follow('Everyone')
      await page.waitForURL(`${demo.everyone}/`)
      await follow('Sign out')
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
      await follow('Sign in again')
      await choose('Alice')
      await page.waitForURL(`${demo.everyone}/`)
      expect(await words()).toContain('Hello, Alice Archer')
      expect(visitor.complaints).toEqual([])
    })

    test('from the portal of the sign-in service one signs out and comes back to it', async () => {
      await page.goto(demo.authenticate)
      await choose('Alice')
      await page.waitForURL(`${demo.authenticate}/`)
      expect(await page.locator('.apps strong').allInnerTexts()).toEqual(['Engineering', 'Everyone'])
      await follow('Your account')
      expect(await heading()).toBe('Alice Archer')
      expect(await words()).toMatch(/Ends\s+in 14 hours/)
      await follow('Your applications')
      await follow('Sign out')
      await page.getByRole('button', { name: 'Sign out', exact: true }).click()
      await page.getByRole('heading', { name: 'You are signed out' }).waitFor()
      await follow('Sign in again')
      await choose('Bob')
      await page.waitForURL(`${demo.authenticate}/`)
      expect(await page.locator('.apps strong').allInnerTexts()).toEqual(['Everyone'])
      expect(visitor.complaints).toEqual([])
    })
  })

  describe('browser behaviour', () => {
    test('five tabs opened at once all reach their addresses', async () => {
      const tabs = [page, ...(await Promise.all(Array.from({ length: 4 }, () => context.newPage())))]
      const urls = tabs.map((_, n) => `${n % 2 ? demo.everyone : demo.engineering}/tab/${n}?n=${n}`)
      await Promise.all(tabs.map((tab, n) => tab.goto(urls[n] ?? '')))
      await Promise.all(tabs.map((tab) => choose('Alice', tab)))
      await Promise.all(tabs.map((tab, n) => tab.waitForURL(urls[n] ?? '')))
      for (const tab of tabs) expect(await words(tab)).toContain('Hello, Alice Archer')
      expect(visitor.complaints).toEqual([])
    })

    test('the back button after a sign-in leads to no error, and forward to the application', async () => {
      await page.goto(demo.everyone + '/.postern/signed_out')
      await signIn(`${demo.everyone}/`, 'Dave')
      await page.goBack()
      expect(new URL(page.url()).origin).toBe(demo.okta)
      await page.goBack()
      expect(new URL(page.url()).origin).toBe(demo.everyone)
      await page.goForward()
      await page.goForward()
      expect(page.url()).toBe(`${demo.everyone}/`)
      expect(await words()).toContain('Hello, Dave Dyer')
    })

    test('an event stream and an upload pass through', async () => {
      await signIn(`${demo.everyone}/`, 'Dave')
      const events = await page.evaluate(
        () =>
          new Promise<string[]>((resolve) => {
            const heard: string[] = []
            const source = new EventSource('/sse')
            source.onmessage = ({ data }: { data: string }) => {
              if (heard.push(data) < 2) return
              source.close()
              resolve(heard)
            }
          }),
      )
      expect(events).toEqual(['second 0', 'second 1'])
      const counted = await page.evaluate(async () => {
        const response = await fetch('/upload', { method: 'POST', body: 'x'.repeat(3_000_000) })
        return (await response.json()) as unknown
      })
      expect(counted).toEqual({ bytes: 3_000_000 })
    })
  })
})
