/** Every page of the demo: accessible, fit for a phone, light and dark, quiet in the console. */
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  axeViolations,
  chromiumPath,
  inChromium,
  isOnward,
  launchChromium,
  newVisitor,
  type Visitor,
  widerThanTheScreen,
} from './chromium.ts'
import { type Demo, startDemo } from './demo.ts'

interface Sight {
  readonly name: string
  readonly heading: string
  readonly status: number
  /** Leads to the page; answers the status that it came with. */
  readonly reach: (visitor: Visitor, demo: Demo) => Promise<number | undefined>
}

const open = (visitor: Visitor, url: string): Promise<number | undefined> =>
  arrive(visitor, ({ page }) => page.goto(url))

const click = (visitor: Visitor, name: string): Promise<number | undefined> =>
  arrive(visitor, ({ page }) => page.getByRole('button', { name }).first().click())

/** Does it, and answers the status of the page that shows in the end. */
async function arrive(visitor: Visitor, act: (visitor: Visitor) => Promise<unknown>): Promise<number | undefined> {
  const { page } = visitor
  const arrived = page.waitForResponse(
    (response) =>
      response.request().isNavigationRequest() &&
      (response.status() < 300 || response.status() >= 400) &&
      !isOnward(response),
  )
  await act(visitor)
  const { url, status } = await arrived.then((response) => ({ url: response.url(), status: response.status() }))
  await page.waitForURL(url, { waitUntil: 'load' })
  return status
}

async function signInAs(visitor: Visitor, person: string, url: string): Promise<number | undefined> {
  await open(visitor, url)
  return click(visitor, person)
}

const SIGHTS: readonly Sight[] = [
  { name: 'sign-in form', heading: 'Sign In', status: 200, reach: (visitor, demo) => open(visitor, demo.everyone) },
  {
    name: 'refused sign-in form',
    heading: 'Sign In',
    status: 401,
    reach: (visitor, demo) => signInAs(visitor, 'Carol', demo.everyone),
  },
  {
    name: 'error page of the provider',
    heading: '400',
    status: 400,
    reach: (visitor, demo) => open(visitor, `${demo.okta}/signin/org/nothing`),
  },
  { name: 'console', heading: 'Okta emulator', status: 200, reach: (visitor, demo) => open(visitor, demo.okta) },
  {
    name: 'application',
    heading: 'Engineering',
    status: 200,
    reach: (visitor, demo) => signInAs(visitor, 'Alice', `${demo.engineering}/?a=${'long'.repeat(50)}`),
  },
  {
    name: '403 page',
    heading: 'You cannot open Engineering',
    status: 403,
    reach: (visitor, demo) => signInAs(visitor, 'Bob', demo.engineering),
  },
  {
    name: '503 page',
    heading: 'Engineering cannot be opened at the moment',
    status: 503,
    async reach(visitor, demo) {
      await demo.act('faults', { path: '/api/v1/users', act: { kind: 'status', status: 500 } })
      return signInAs(visitor, 'Dave', demo.engineering)
    },
  },
  {
    name: '404 page',
    heading: 'There is nothing at this address',
    status: 404,
    reach: (visitor, demo) => open(visitor, `http://nothing.localhost:${demo.port}/`),
  },
  {
    name: '400 page',
    heading: 'That request did not work',
    status: 400,
    reach: (visitor, demo) => open(visitor, `${demo.authenticate}/oauth2/callback?code=a&state=b`),
  },
  {
    name: 'failed sign-in page',
    heading: 'The sign-in was refused',
    status: 403,
    async reach(visitor, demo) {
      await open(visitor, demo.everyone)
      return click(visitor, 'Cancel')
    },
  },
  {
    name: 'portal',
    heading: 'Your applications',
    status: 200,
    reach: (visitor, demo) => signInAs(visitor, 'Alice', `${demo.everyone}/.postern/`),
  },
  {
    name: 'portal where nothing is found',
    heading: 'Your applications',
    status: 200,
    reach: (visitor, demo) => signInAs(visitor, 'Alice', `${demo.authenticate}/.postern/?q=${'nothing'.repeat(12)}`),
  },
  {
    name: 'status page',
    heading: 'Status',
    status: 200,
    async reach(visitor, demo) {
      const url = `${demo.authenticate}/.postern/status`
      await signInAs(visitor, 'Alice', url)
      await open(visitor, `${demo.engineering}/${'long'.repeat(40)}`)
      return open(visitor, `${url}?${new URLSearchParams({ url: demo.engineering, user: 'alice@example.com' })}`)
    },
  },
  {
    name: 'account page',
    heading: 'Dave Dyer',
    status: 200,
    async reach(visitor, demo) {
      const status = await signInAs(visitor, 'Dave', `${demo.everyone}/.postern/account`)
      await visitor.page.locator('summary').click()
      return status
    },
  },
  {
    name: 'sign-out page',
    heading: 'Do you want to sign out?',
    status: 200,
    async reach(visitor, demo) {
      await signInAs(visitor, 'Dave', demo.everyone)
      return open(visitor, `${demo.everyone}/.postern/sign_out`)
    },
  },
  {
    name: 'signed-out page',
    heading: 'You are signed out',
    status: 200,
    async reach(visitor, demo) {
      await signInAs(visitor, 'Dave', `${demo.everyone}/.postern/account`)
      return click(visitor, 'Sign out')
    },
  },
]

describe.skipIf(chromiumPath === undefined)(inChromium('every page'), () => {
  let demo: Demo
  let browser: Browser

  beforeAll(async () => {
    demo = await startDemo()
    browser = await launchChromium()
  })
  afterAll(async () => {
    await browser?.close()
    await demo?.close()
  })

  test.each(SIGHTS)(
    'the $name has nothing that axe-core objects to, fits 320 px, and its console is empty',
    async ({ heading, status, reach }) => {
      await demo.act('reset')
      const visitor = await newVisitor(browser)
      const { page, context, complaints } = visitor
      expect(await reach(visitor, demo)).toBe(status)
      expect(await page.locator('h1').allInnerTexts()).toEqual([heading])
      for (const colorScheme of ['light', 'dark'] as const) {
        for (const width of [1280, 320]) {
          // A colour on its way from one scheme to the other is neither.
          await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
          await page.setViewportSize({ width, height: 800 })
          expect(await widerThanTheScreen(page)).toEqual([])
          expect(await axeViolations(page)).toEqual([])
        }
      }
      expect(complaints).toEqual([])
      await context.close()
    },
  )

  test('the checks find faults that are there', async () => {
    const { page, context, complaints } = await newVisitor(browser)
    await page.goto(`${demo.authenticate}/.postern/signed_out`)
    await page.setViewportSize({ width: 320, height: 800 })
    await page.evaluate(() => {
      document
        .querySelector('main')
        ?.insertAdjacentHTML('beforeend', `<img src="data:,"><pre>${'wide'.repeat(50)}</pre>`)
      const script = document.createElement('script')
      script.textContent = 'alert(1)'
      document.body.append(script)
    })
    expect(await axeViolations(page)).toEqual([expect.stringMatching(/^image-alt: /)])
    expect(await widerThanTheScreen(page)).toContainEqual(expect.stringMatching(/^html \d+ > 320$/))
    expect(complaints).toEqual([expect.stringContaining('Content Security Policy')])
    await context.close()
  })
})
